"""A verdict: what triage concluded of an alert, and every reason for it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from aurora.kernel.evidence import Claim, Evidence
from aurora.kernel.ids import AlertId, RunId, VerdictId
from aurora.kernel.models.model_use import ModelUse


class VerdictLabel(StrEnum):
    """The four answers of triage."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    NEEDS_REVIEW = "needs_review"
    BENIGN = "benign"


class Decider(StrEnum):
    """Who may decide."""

    RULES = "rules"
    MODEL = "model"
    ANALYST = "analyst"


FALLBACK = "fallback"
"""`decided_name` of a verdict that only says that its triage could not be done."""


class Contribution(BaseModel):
    """What one rule adds to the weight of evidence.

    `weight` is in bans times ten (decibans, Good 1950): +10 makes malice ten times as likely,
    -10 a tenth. Weights of independent evidence add.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    weight: float = Field(ge=-60.0, le=60.0)
    claim: Claim
    closes: bool = False
    """Whether this is a deterministic reason that may close a severe alert as benign."""
    techniques: tuple[str, ...] = ()
    """ATT&CK techniques that this contribution shows."""


class DroppedClaim(BaseModel):
    """A claim or technique that did not survive verification, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    reason: str


class Verdict(BaseModel):
    """The conclusion about one alert. Corrections are new verdicts; nothing is overwritten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: VerdictId
    alert_id: AlertId
    run_id: RunId | None = None
    label: VerdictLabel
    confidence: float = Field(ge=0.0, le=1.0)
    """How sure, 0 to 1: of this label, not of malice."""
    score: float = 0.0
    """Sum of the weights, in decibans."""
    reason: str = ""
    """One sentence: why this label."""
    evidence: tuple[Evidence, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    techniques: tuple[str, ...] = ()
    dropped: tuple[DroppedClaim, ...] = ()
    decided_by: Decider = Decider.RULES
    decided_name: str = ""
    """Name and version of the rule set or model, or the analyst's name."""
    degraded: bool = False
    """Whether a model should have been heard, and was not: then the rules decided alone."""
    model: ModelUse | None = None
    """What was asked of a model on the way; `None`: none was."""
    created_at: AwareDatetime

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of all contributions, strongest weight first."""
        ranked = sorted(self.contributions, key=lambda each: -abs(each.weight))
        return tuple(each.claim for each in ranked)
