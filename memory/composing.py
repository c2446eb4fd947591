"""Putting a context together under a hard ceiling: pins, the current turn, what was recalled, a summary, old turns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aurora.kernel.evidence import Finding
from memory.items import Trust
from memory.ledger import Dropped, DropReason
from memory.messages import Message, role
from memory.packing import Entry, Packed, Unit, pack
from memory.summary import Author, Summary, extracted, made, texts_of
from memory.tokens import TokenCounter

PER_FINDING = 16
"""What the frame around a finding costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What is known of messages that fell out for good."""

    text: str = ""
    messages: int = 0
    trust: Trust = Trust.OPERATOR
    """The least of theirs."""
    author: Author = Author.EXTRACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The thread's part of a context."""

    packed: Packed
    summary: Summary | None
    left_out: tuple[Dropped, ...]
    trust: Trust
    """The least of all that is here."""

    def messages(self, *, is_system: bool) -> tuple[Message, ...]:
        """Return the system messages, or all others, oldest first, as they are shown."""
        units = [unit for unit in self.packed.kept if unit.is_system is is_system]
        return tuple(entry.message for entry in self.packed.entries(units))

    @property
    def tokens(self) -> int:
        """Of the messages and the summary."""
        return self.packed.tokens + (self.summary.tokens if self.summary is not None else 0)


def compose(
    units: Sequence[Unit],
    *,
    latest: Unit | None,
    room: int,
    summary_tokens: int,
    carried: Carried,
    count: TokenCounter,
) -> Composed:
    """Return what of a thread fits into `room` tokens, with a summary of what does not.

    Raises:
        NoRoom: system messages and pins do not fit.
    """
    packed, summary = _packed(
        units, latest=latest, room=room, summary_tokens=summary_tokens, carried=carried, count=count
    )
    gone = [Dropped(position=e.position, role=role(e.message), reason=r) for u, r in packed.fallen for e in u.entries]
    cut = [
        Dropped(position=each.position, role=role(each.message), reason=DropReason.SHORTENED)
        for each in packed.short.values()
    ]
    trusts = [entry.trust for entry in packed.entries()]
    return Composed(
        packed=packed,
        summary=summary,
        left_out=tuple(sorted([*gone, *cut], key=lambda each: each.position)),
        trust=min([*trusts, *([summary.trust] if summary is not None else [])], default=Trust.OPERATOR),
    )


def _packed(
    units: Sequence[Unit],
    *,
    latest: Unit | None,
    room: int,
    summary_tokens: int,
    carried: Carried,
    count: TokenCounter,
) -> tuple[Packed, Summary | None]:
    whole = pack(units, latest=latest, room=room, count=count)
    if not carried.messages and not whole.fallen:
        return whole, None
    first = pack([unit for unit in units if unit.is_protected or unit is latest], latest=latest, room=room, count=count)
    allowed = min(summary_tokens, room - first.tokens)
    if carried.text:
        known = made(carried.text, messages=carried.messages, trust=carried.trust, author=carried.author, count=count)
        if known.tokens <= allowed:
            packed = pack(units, latest=latest, room=room - known.tokens, count=count)
            if not packed.fallen:
                return packed, known
    packed = pack(units, latest=latest, room=room - allowed, count=count)
    gone = [entry for unit, _ in packed.fallen for entry in unit.entries]
    summary = extracted(
        [carried.text, *texts_of(entry.message for entry in gone)],
        messages=carried.messages + len(gone),
        trust=min([carried.trust, *(entry.trust for entry in gone)]),
        tokens=allowed,
        count=count,
    )
    return packed, summary


def carried_on(carried: Carried, entries: Sequence[Entry], *, summary_tokens: int, count: TokenCounter) -> Carried:
    """Return what is known after more messages fell out for good. Without room for a word it is only counted."""
    messages = carried.messages + len(entries)
    trust = min([carried.trust, *(entry.trust for entry in entries)])
    texts = [carried.text, *texts_of(entry.message for entry in entries)]
    summary = extracted(texts, messages=messages, trust=trust, tokens=summary_tokens, count=count)
    return Carried(text=str(summary.text) if summary is not None else "", messages=messages, trust=trust)


def worth(findings: Sequence[Finding], *, room: int, count: TokenCounter) -> tuple[tuple[Finding, ...], int]:
    """Return the findings that say most for their tokens, as many as fit, in their order, and what they cost.

    The score is the finding's attribute `score` where it has one; otherwise its place, as tiers answer best first.
    """
    sized = [(place, cost_of(finding, count), finding) for place, finding in enumerate(findings)]
    ranked = sorted(sized, key=lambda each: (-_score(each[2], each[0]) / each[1], each[0]))
    taken: set[int] = set()
    spent = 0
    for place, cost, _ in ranked:
        if spent + cost <= room:
            taken.add(place)
            spent += cost
    return tuple(finding for place, finding in enumerate(findings) if place in taken), spent


def cost_of(finding: Finding, count: TokenCounter) -> int:
    """Return the tokens of a finding as JSON in a frame."""
    return PER_FINDING + count.count(json.dumps(finding.model_dump(mode="json")))


def _score(finding: Finding, place: int) -> float:
    try:
        score = float(finding.attributes["score"])
    except (KeyError, ValueError):
        return 1.0 / (1 + place)
    return score if 0.0 <= score < float("inf") else 0.0
