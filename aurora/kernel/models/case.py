"""A case: what an analyst works on; one or more alerts that belong together."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from aurora.kernel.ids import AlertId, CaseId
from aurora.kernel.models.severity import Severity
from aurora.kernel.untrusted import UntrustedText


class CaseStatus(StrEnum):
    """Where a case is in its life (NIST 800-61 order)."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    PENDING_APPROVAL = "pending_approval"
    CONTAINED = "contained"
    ERADICATED = "eradicated"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Case(BaseModel):
    """Alerts that belong together, with what is concluded of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: CaseId
    title: UntrustedText
    severity: Severity
    status: CaseStatus = CaseStatus.OPEN
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    techniques: tuple[str, ...] = ()
    alerts: tuple[AlertId, ...] = ()
    created_at: AwareDatetime
