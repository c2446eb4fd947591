"""An indicator of compromise: an observable that somebody vouches is bad."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from aurora.kernel.models.alert import ObservableType


class IndicatorStatus(StrEnum):
    """Whether an indicator still counts."""

    ACTIVE = "active"
    EXPIRED = "expired"
    FALSE_POSITIVE = "false_positive"


class Indicator(BaseModel):
    """A value with a reputation. (type, value) is unique per tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ObservableType
    value: str = Field(min_length=1)
    source: str
    """Who vouches for it: a feed, a rule set, an analyst."""
    confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    status: IndicatorStatus = IndicatorStatus.ACTIVE
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
