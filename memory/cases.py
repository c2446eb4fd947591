"""Closed cases, as the episodic tier keeps them. Pure: no clock, no database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from aurora.kernel.canonical import canonical
from aurora.kernel.errors import InputError
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Decider, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from memory.guard.redaction import redact
from memory.items import MAX_TEXT, Item, Source, Tier, Trust

COLLECTION = "aurora_cases"
"""First part of the namespace of all that is kept about cases."""

ADVERSE = frozenset({VerdictLabel.MALICIOUS, VerdictLabel.SUSPICIOUS})
"""Outcomes that a flood of false alarms must not hide."""

IMPORTANCE = {
    VerdictLabel.MALICIOUS: 0.9,
    VerdictLabel.SUSPICIOUS: 0.7,
    VerdictLabel.NEEDS_REVIEW: 0.5,
    VerdictLabel.BENIGN: 0.4,
}

MAX_SUBJECT = 300
"""Characters of a subject; the column takes 400, of which secrets that are taken out may need some."""

MAX_ID = 200
"""Characters of a case's id; with what names it, it fits the columns `subject` and `uri`."""


_NOTHING = UntrustedText("")

MAX_CASE_SOURCES = 150
"""An item takes 200, and each correction of a case adds one to its next filing."""


class CaseInvalid(InputError):
    """A closed case cannot be kept as it is; the message names the field."""

    code = "aurora.memory.case"


@dataclass(frozen=True, slots=True)
class Ioc:
    """An indicator of compromise."""

    type: str
    """As `ObservableType` names it."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedCase:
    """A case that was decided. Its texts are from outside, whoever wrote them down."""

    case_id: str
    summary: UntrustedText
    """What happened, in a few sentences."""
    outcome: VerdictLabel
    decided_by: Decider
    decided_name: str
    """Name and version of the rule set or model, or the analyst's name."""
    closed_at: datetime
    reason: UntrustedText = _NOTHING
    """Why this outcome."""
    techniques: tuple[str, ...] = ()
    """ATT&CK ids."""
    iocs: tuple[Ioc, ...] = ()
    cps_devices_involved: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    """Ids of its alerts."""
    sources: tuple[Source, ...] = ()
    """Where the summary came from. The least trusted bounds the trust of all that is kept of the case; none: Aurora
    wrote it out of nothing that anybody outside could have written."""

    def __post_init__(self) -> None:
        if not self.case_id or len(self.case_id) > MAX_ID:
            raise CaseInvalid(f"case_id must have 1 to {MAX_ID} characters, not {len(self.case_id)}", field="case_id")
        if not self.summary.strip() or len(self.summary) > MAX_TEXT // 2:
            raise CaseInvalid(
                f"summary of case {self.case_id!r} must have 1 to {MAX_TEXT // 2} characters and not only blanks",
                field="summary",
            )
        if len(self.sources) > MAX_CASE_SOURCES:
            raise CaseInvalid(
                f"case {self.case_id!r} has {len(self.sources)} sources, at most {MAX_CASE_SOURCES}: name its alerts "
                "in `alerts`, and as sources those that the summary is made of",
                field="sources",
            )
        if self.closed_at.tzinfo is None:
            raise CaseInvalid(f"closed_at of case {self.case_id!r} has no time zone", field="closed_at")

    @property
    def uri(self) -> str:
        """How other records name it."""
        return case_uri(self.case_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One outcome of a case: the first, or a correction."""

    id: UUID
    """Of the item."""
    outcome: VerdictLabel
    decided_by: Decider
    decided_name: str
    reason: UntrustedText
    at: datetime
    is_verified: bool
    """Whether an authenticated person said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarCase:
    """A past case that resembles what was asked about."""

    case: ClosedCase
    """As it was closed."""
    decision: Decision
    """The outcome that stands now."""
    corrected_by: str | None
    """Who said otherwise than the case was closed; `None`: nobody."""
    score: float
    why: str
    """Why it is here: safe to show, holds no outside text unquoted."""
    item: Item

    @property
    def outcome(self) -> VerdictLabel:
        """What the case is held to be now."""
        return self.decision.outcome


def case_uri(case_id: str) -> str:
    """Return the name of a case among sources and subjects."""
    return f"case:{case_id}"


def case_text(case: ClosedCase) -> str:
    """Return what of a case is searched: the summary, then its names on lines of their own."""
    lines = [
        str.__str__(case.summary).strip(),
        " ".join(case.techniques),
        " ".join(ioc.value for ioc in case.iocs),
        " ".join(case.cps_devices_involved),
    ]
    return "\n".join(line for line in lines if line)[:MAX_TEXT]


def case_value(case: ClosedCase) -> dict[str, Any]:
    """Return a case as JSON, with the facts it bears witness to."""
    return {
        "case_id": case.case_id,
        "summary": str.__str__(case.summary),
        "outcome": case.outcome.value,
        "decided_by": case.decided_by.value,
        "decided_name": case.decided_name,
        "reason": str.__str__(case.reason),
        "closed_at": case.closed_at.isoformat(),
        "techniques": list(case.techniques),
        "iocs": [{"type": ioc.type, "value": ioc.value} for ioc in case.iocs],
        "cps_devices_involved": list(case.cps_devices_involved),
        "alerts": list(case.alerts),
        "facts": witnessed(case, case.outcome),
    }


def read_case(item: Item) -> ClosedCase:
    """Return the case that an item holds; secrets that it was told with are gone."""
    value = item.value
    return ClosedCase(
        case_id=value["case_id"],
        summary=UntrustedText(value["summary"]),
        outcome=VerdictLabel(value["outcome"]),
        decided_by=Decider(value["decided_by"]),
        decided_name=value["decided_name"],
        reason=UntrustedText(value["reason"]),
        closed_at=datetime.fromisoformat(value["closed_at"]),
        techniques=tuple(value["techniques"]),
        iocs=tuple(Ioc(each["type"], each["value"]) for each in value["iocs"]),
        cps_devices_involved=tuple(value["cps_devices_involved"]),
        alerts=tuple(value["alerts"]),
        sources=item.sources,
    )


def read_decision(item: Item) -> Decision:
    """Return the outcome that an item of kind `case` or `outcome` states.

    It counts as an analyst's only where a person is among the item's sources: what merely says so does not. And where
    others are sources as well, only of a case as the episodic tier filed it: they wrote its summary, a person decided.
    """
    value = item.value
    decided_by = Decider(value["decided_by"])
    is_verified = decided_by is Decider.ANALYST and any(
        source.provenance is Provenance.HUMAN and source.uri == user_uri(value["decided_name"])
        for source in item.sources
    )
    is_verified = is_verified and (item.trust is Trust.OPERATOR or _is_filed(item))
    return Decision(
        id=item.id,
        outcome=VerdictLabel(value["outcome"]),
        decided_by=decided_by,
        decided_name=value["decided_name"],
        reason=UntrustedText(value["reason"]),
        at=item.recorded_at,
        is_verified=is_verified,
    )


def is_row(item: Item) -> bool:
    """Tell whether an item is what the episodic tier keeps of a case: anybody's item may bear a case's name."""
    value = item.value
    if item.tier is not Tier.EPISODIC or not isinstance(value.get("case_id"), str):
        return False
    if item.subject != case_uri(value["case_id"]):
        return False
    try:
        read_decision(item)
        if item.kind == "outcome":
            return _is_said(item)
        read_case(item)
        return item.kind == "case" and _is_filed(item)
    except (AttributeError, KeyError, TypeError, ValueError, CaseInvalid):
        return False


def _is_filed(item: Item) -> bool:
    """Tell whether a case has the id that the tier gives it: nobody's words choose the id of an item."""
    value = item.value
    by = ("filed", value["filed_by"]) if "filed_by" in value else ("case", value.get("case_id"))
    return item.id == id_of(item.tenant, *map(str, by))


def _is_said(item: Item) -> bool:
    """Tell whether a decision is a person's own row, or has the id that the tier gives it."""
    names = ("case_id", "corrects", "outcome", "decided_name")
    return item.trust is Trust.OPERATOR or item.id == id_of(
        item.tenant, "outcome", *(str(item.value[name]) for name in names)
    )


def indicator_subject(type: str, value: str) -> str:
    """Return the subject of facts about an indicator, without the secrets that a URL may have, as it is kept.

    One that is too long for the column is named by its digest.
    """
    return subject_of("indicator", type, redact(value).text)


def subject_of(*parts: str) -> str:
    """Return the name of a thing among subjects, at most `MAX_SUBJECT` characters and different for each thing."""
    whole = ":".join(parts)
    if len(whole) <= MAX_SUBJECT:
        return whole
    return ":".join((*parts[:-1], f"sha256-{hashlib.sha256(parts[-1].encode()).hexdigest()}"))


def user_uri(name: str) -> str:
    """Return the name of a person among sources."""
    return f"user:{name}"


def sources_of(case: ClosedCase) -> tuple[Source, ...]:
    """Return the sources of a case's item: the case's own, and who decided.

    A person vouches for the outcome. Of a summary that was made of other sources they are no second witness, so that
    it counts as derived; and no source takes the place of another by bearing its name.
    """
    derived = Source(uri=case.uri, provenance=Provenance.AGENT_DERIVED)
    person = Source(uri=user_uri(case.decided_name), provenance=Provenance.HUMAN)
    if case.decided_by is not Decider.ANALYST:
        who: tuple[Source, ...] = (derived,)
    elif all(source.provenance is Provenance.HUMAN for source in case.sources):
        who = (person,)
    else:
        who = (derived, person)
    names = {source.uri for source in who}
    renamed = (
        replace(source, uri=f"{source.uri}#quoted") if source.uri in names and source not in who else source
        for source in case.sources
    )
    return (*renamed, *who)


def trust_of(decided_by: Decider) -> Trust:
    """Return the most that a case's item may be trusted, by who decided it."""
    return Trust.OPERATOR if decided_by is Decider.ANALYST else Trust.AGENT_DERIVED


def id_of(tenant: str, *parts: str) -> UUID:
    """Return the id that stands for these parts in a tenant: told twice, the same thing is the same item."""
    bits = int.from_bytes(hashlib.sha256(canonical([COLLECTION, tenant, *parts])).digest()[:16])
    return UUID(int=bits & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62)


def witnessed(case: ClosedCase, outcome: VerdictLabel) -> list[dict[str, str]]:
    """Return the facts that a case of this outcome bears witness to: subject, predicate and object.

    Of an indicator it is how its case ended: enough cases that agree make knowledge (`memory.consolidation`).
    """
    if outcome is VerdictLabel.NEEDS_REVIEW:
        return []
    subjects = dict.fromkeys(indicator_subject(ioc.type, ioc.value) for ioc in case.iocs)
    return [{"subject": subject, "predicate": "case_outcome", "object": outcome.value} for subject in subjects]
