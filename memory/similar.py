"""Which past cases resemble one at hand, with what is known of them now. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora.kernel.evidence import Finding
from aurora.kernel.untrusted import quoted
from memory.cases import ADVERSE, ClosedCase, Decision, SimilarCase, read_decision
from memory.frame import concluded_by
from memory.items import Item

if TYPE_CHECKING:
    from memory.recall import Hit

VERIFIED = 1.25
"""Weight of an outcome that a person stated, beside one that Aurora concluded."""

SHARED_VALUE, SHARED_TECHNIQUE = 0.5, 0.25
"""What a case gains that shares all the observables, or all the techniques, that were asked about."""


def current(rows: Sequence[Item]) -> Decision:
    """Return the decision that stands: a person's before any other, then of the most trusted the latest.

    Args:
        rows: Of one case, newest first.
    """
    said = [row for row in rows if "filed_by" not in row.value] or rows
    best = max(said, key=lambda row: row.trust)  # the first of them, which is the latest
    return next((each for each in map(read_decision, said) if each.is_verified), read_decision(best))


def diverse(cases: Sequence[SimilarCase], limit: int) -> list[SimilarCase]:
    """Return the best, the last of them given up for the best adverse one if there is none among them."""
    ranked = sorted(cases, key=lambda case: (-case.score, case.case.case_id))
    best = ranked[:limit]
    if not any(case.outcome in ADVERSE for case in best):
        best[limit - 1 :] = [case for case in ranked if case.outcome in ADVERSE][:1] or best[limit - 1 :]
    return best


@dataclass(frozen=True)
class Wanted:
    """What a case is compared with."""

    values: frozenset[str]
    techniques: frozenset[str]
    others_than: frozenset[str]


def weighed(hit: Hit, case: ClosedCase, decision: Decision, wanted: Wanted) -> SimilarCase:
    """Return a hit as a similar case: its score raised by what it shares, and by a person's word for its outcome."""
    values = wanted.values & {ioc.value for ioc in case.iocs}
    techniques = wanted.techniques & set(case.techniques)
    # Not the hit's score: that compares hits of one answer, and these are of several.
    score = hit.relevance * hit.parts["recency"] * hit.parts["importance"] * hit.parts["trust"]
    score *= 1 + SHARED_VALUE * len(values) / max(1, len(wanted.values))
    score *= 1 + SHARED_TECHNIQUE * len(techniques) / max(1, len(wanted.techniques))
    score *= VERIFIED if decision.is_verified else 1
    why = [hit.why]
    why += [f"shares {quoted(value, limit=80)}" for value in sorted(values)[:5]]
    why += [f"shows {quoted(technique, limit=20)} too" for technique in sorted(techniques)[:5]]
    is_corrected = decision.outcome is not case.outcome
    who = quoted(decision.decided_name, limit=60)
    if is_corrected:
        why.append(f"closed as {case.outcome.value}, corrected to {decision.outcome.value} by {who}")
    elif decision.is_verified:
        why.append(f"{decision.outcome.value} as {who} decided")
    return SimilarCase(
        case=case,
        decision=decision,
        corrected_by=decision.decided_name if is_corrected else None,
        score=score,
        why="; ".join(why),
        item=hit.item,
    )


def each_once(cases: Iterable[SimilarCase]) -> list[SimilarCase]:
    """Return each case once, as the filing that resembles most: a corrected case is filed more than once."""
    best: dict[str, SimilarCase] = {}
    for case in cases:
        known = best.get(case.case.case_id)
        if known is None or known.score < case.score:
            best[case.case.case_id] = case
    return list(best.values())


def as_evidence(case: SimilarCase, framed: Finding) -> Finding:
    """Return a case as evidence.

    Its provenance is that of its text, whoever decided it: Aurora's conclusion where nobody outside had a part in it.
    Who decided is among the attributes; `verified` says that a person was authenticated for it.
    """
    told = {
        "case": case.case.case_id,
        "outcome": case.outcome.value,
        "decided_by": case.decision.decided_by.value,
        "verified": "yes" if case.decision.is_verified else "no",
        "score": f"{case.score:.3f}",
    }
    if case.corrected_by is not None:
        told |= {"corrected_by": case.corrected_by, "closed_as": case.case.outcome.value}
    changes = {"provenance": concluded_by(case.item), "attributes": {**framed.attributes, **told}}
    return framed.model_copy(update=changes)
