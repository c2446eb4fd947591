"""What a model concludes of an alert, and what Aurora makes of it: weighed claims like those of the rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aurora.kernel.evidence import Claim
from aurora.kernel.models.verdict import Contribution, VerdictLabel
from aurora.kernel.untrusted import UntrustedText

RULE: Final = "model.claim"
"""Rule id of what a model contributes. One theme, so its strongest raise and its strongest lowering count."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class Side(StrEnum):
    """What a claim speaks for."""

    MALICIOUS = "malicious"
    BENIGN = "benign"


class Strength(StrEnum):
    """How much a claim would move a careful analyst."""

    WEAK = "weak"
    MODERATE = "moderate"
    STRONG = "strong"

    @property
    def weight(self) -> float:
        """Decibans. Together less than from even odds to `malicious` (13): no model convicts by itself."""
        return {Strength.WEAK: 2.0, Strength.MODERATE: 5.0, Strength.STRONG: 8.0}[self]


class OpinionClaim(BaseModel):
    """One reason, with the evidence that carries it."""

    model_config = ConfigDict(frozen=True)

    text: Text = Field(description="One sentence.")
    evidence: tuple[Annotated[str, StringConstraints(max_length=16)], ...] = Field(
        max_length=16, description="Ids of evidence, such as f3 or e1."
    )
    speaks_for: Side
    strength: Strength
    techniques: tuple[Annotated[str, StringConstraints(max_length=16)], ...] = Field(
        default=(), max_length=16, description="ATT&CK ids that this shows, such as T1059.001; often none."
    )


class Opinion(BaseModel):
    """The triage analyst's answer."""

    model_config = ConfigDict(frozen=True)

    label: VerdictLabel
    confidence: float = Field(ge=0.0, le=1.0, description="How sure you are of the label, from 0 to 1.")
    summary: Text = Field(description="What happened, in one or two sentences.")
    claims: tuple[OpinionClaim, ...] = Field(max_length=12, description="Reasons for and against, strongest first.")
    open_questions: tuple[Text, ...] = Field(default=(), max_length=8, description="What would settle it.")


def weighed(opinion: Opinion) -> tuple[Contribution, ...]:
    """Return the claims of an opinion as contributions. None of them can close an alert by itself.

    The label and the confidence are not used: they are what the claims should come to, and the weights of the
    claims that survive verification say what they do come to.
    """
    return tuple(
        Contribution(
            rule=RULE,
            weight=claim.strength.weight * (1.0 if claim.speaks_for is Side.MALICIOUS else -1.0),
            claim=Claim(text=UntrustedText(claim.text), evidence=claim.evidence),
            techniques=claim.techniques if claim.speaks_for is Side.MALICIOUS else (),
        )
        for claim in opinion.claims
    )
