"""Evidence, claims and where a value came from."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from aurora.kernel.untrusted import UntrustedText


class Provenance(StrEnum):
    """Who wrote a value. One scale for all of Aurora, per field, never read back from the text."""

    SENSOR = "sensor"
    """The kernel, an EDR or an IDS engine observed it."""
    IDENTITY_SERVER = "identity_server"
    """A directory or identity provider recorded it."""
    SANDBOX = "sandbox"
    """A detonation observed it."""
    HUMAN = "human"
    """An authenticated analyst said it."""
    AGENT_DERIVED = "agent_derived"
    """Aurora concluded it from other values."""
    ATTACKER_WRITABLE = "attacker_writable"
    """Whoever caused the event chose it: user agents, file names, command lines, mail bodies."""

    @property
    def is_trusted(self) -> bool:
        """Whether an adversary cannot author such a value."""
        return self in _TRUSTED


_TRUSTED = frozenset({Provenance.SENSOR, Provenance.IDENTITY_SERVER, Provenance.SANDBOX, Provenance.HUMAN})


class Finding(BaseModel):
    """What an enricher or a look-up found; it becomes evidence when it is given an id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """What sort of thing: `field`, `warning_list`, `network`, `software`, `technique`, `past_verdict`, `related`,
    `similar_case`, `fact`, `memory`, `summary`, `unanswered`."""

    provenance: Provenance
    """No better than that of the value it is about: a listed domain that the attacker chose proves nothing."""

    text: UntrustedText
    """What it says, in one line."""

    source: str | None = None
    """Path in the raw record, name and version of a list, or id of a past verdict."""

    attributes: dict[str, str] = Field(default_factory=dict)
    """The same, for rules: e.g. `{"list": "censys-scanning", "category": "scanner", "value": "192.0.2.7"}`."""


class Evidence(Finding):
    """One thing that is known about an alert, and how."""

    id: str = Field(pattern=r"^[a-z]+[0-9]+$")
    """Unique within one verdict: `f3` is the third field of the alert, `e1` the first finding."""


def derived(subject: Provenance) -> Provenance:
    """Return the provenance of a conclusion drawn from a value of `subject` provenance."""
    return Provenance.AGENT_DERIVED if subject is not Provenance.ATTACKER_WRITABLE else subject


class Claim(BaseModel):
    """One statement of a verdict, with the evidence that carries it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: UntrustedText
    evidence: tuple[str, ...] = ()
    """Ids of the evidence; a claim without any does not survive verification."""
