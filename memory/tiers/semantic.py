"""Tier 3: what is held to be true, what was sighted, and how things are done here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from aurora.kernel.errors import InputError
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Observable
from aurora.kernel.untrusted import UntrustedText
from memory.cases import indicator_subject, subject_of, user_uri
from memory.guard.trust import OF_PROVENANCE
from memory.items import Item, NewItem, Remembered, Source, State, Tier, Trust

if TYPE_CHECKING:
    from memory.memory import Memory
    from memory.ports import Fence

NOTES = ("notes",)
"""Namespace of procedural notes."""

MAX_TITLE = 200

Sighted = Literal["indicator", "asset"]


class FactInvalid(InputError):
    """What is to be known cannot be kept as it is; the message names the field."""

    code = "aurora.memory.fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """How often a value was seen, by whom."""

    items: tuple[Item, ...]
    """What keeps them, the most trusted first."""
    first_seen: datetime
    last_seen: datetime
    sources: tuple[Source, ...]
    """One a sighting, the earliest first; its `span` is the moment."""

    @property
    def count(self) -> int:
        """Different sources that saw it; the same alert told twice counts once."""
        return len(self.sources)


@dataclass(frozen=True)
class SemanticMemory:
    """The semantic tier of one tenant's memory. Implements `memory.ports.ThreatIntelTier`."""

    memory: Memory

    async def state_fact(
        self,
        subject: str,
        predicate: str,
        object: str,
        text: str,
        *,
        sources: Sequence[Source],
        actor: str = "aurora",
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
        trust: Trust | None = None,
        importance: float = 0.6,
        fence: Fence | None = None,
    ) -> Remembered:
        """State that `subject` `predicate` `object`; it supersedes what was said so, if trusted at least as much.

        Args:
            subject: The thing, such as `indicator:ip:192.0.2.7`, `asset:plc-7`, `user:j.doe`.
            predicate: Of which a subject has one object at a time.
            object: What is true of it.
            text: The same in words; this is searched.
            sources: At least one. The least trusted bounds the fact's trust.
            actor: Who states it.
            valid_from: Since when it is true in the world; `None`: since now.
            valid_to: Until when; `None`: still.
            trust: At most this; `None`: as the sources allow.
            importance: 0 to 1.
            fence: See `Memory.remember`.

        Raises:
            FactInvalid: a part of it is blank.
        """
        for name, value in (("subject", subject), ("predicate", predicate), ("object", object)):
            if not value.strip():
                raise FactInvalid(f"the {name} of a fact must not be blank", field=name)
        new = NewItem(
            tier=Tier.SEMANTIC,
            kind="fact",
            text=text,
            sources=tuple(sources),
            trust=trust,
            subject=subject,
            predicate=predicate,
            object=object,
            namespace=("facts",),
            valid_from=valid_from,
            valid_to=valid_to,
            importance=importance,
        )
        (kept,) = await self.memory.remember([new], actor=actor, fence=fence)
        return kept

    async def facts_about(
        self,
        subject: str,
        *,
        predicate: str | None = None,
        at: datetime | None = None,
        as_of: datetime | None = None,
    ) -> list[Item]:
        """Return the facts about a thing.

        Args:
            subject: The thing.
            predicate: Only this; `None`: all.
            at: True at that moment; `None`: now.
            as_of: As it was held at that moment, whatever was learned later; `None`: as it is held now.
        """
        items = await self.memory.true_at(subject, predicate, at=at, as_of=as_of)
        return [item for item in items if item.kind == "fact"]

    async def sight(
        self,
        kind: Sighted,
        value: str | Observable,
        *,
        source: Source,
        at: datetime,
        fence: Fence | None = None,
    ) -> Remembered:
        """Note that an indicator or an asset was seen. Each source of a sighting is kept with its moment.

        A value is one item for each degree of trust of who saw it: what outside content says is never a source of
        what a sensor saw, and rolling back the one leaves the other.

        Args:
            kind: What it is. An indicator given as text is read as an analyst would paste it.
            value: What was seen.
            source: Who saw it; its `span` is replaced by the moment. The same source counts once.
            at: When.
            fence: See `Memory.remember`.

        Raises:
            FactInvalid: it is no indicator, or the moment has no time zone.
        """
        if at.tzinfo is None:
            raise FactInvalid("the moment of a sighting must have a time zone", field="at")
        type_, text = _named(kind, value)
        subject = indicator_subject(type_, text) if kind == "indicator" else asset_subject(text)
        new = NewItem(
            tier=Tier.SEMANTIC,
            kind=kind,
            text=text,
            sources=(Source(uri=source.uri, provenance=source.provenance, span=_span(at)),),
            value={"type": type_, "value": text},
            subject=subject,
            namespace=(f"{kind}s", type_),
            key=f"{OF_PROVENANCE[source.provenance].name.lower()}/{hashlib.sha256(text.encode()).hexdigest()}",
            valid_from=_ALWAYS,
            importance=0.5,
        )
        (kept,) = await self.memory.remember([new], actor="aurora", fence=fence)
        return kept

    async def sightings(self, kind: Sighted, value: str | Observable) -> Sightings | None:
        """Return how often, and by whom, a value was seen; `None`: it was not.

        Raises:
            FactInvalid: it is no indicator.
        """
        type_, text = _named(kind, value)
        subject = indicator_subject(type_, text) if kind == "indicator" else asset_subject(text)
        return _counted([row for row in await self.memory.history(subject) if row.kind == kind and row.state in _SEEN])

    async def note(self, title: str, text: str, *, actor: str, fence: Fence | None = None) -> Remembered:
        """Keep how something is done here. A note of the same title becomes its next version; the old one stays.

        Args:
            title: Names the note.
            text: What is to be done.
            actor: The authenticated person who says or approves it. Never a model's choice: what agents derive is
                not how things are done.
            fence: See `Memory.remember`.

        Raises:
            FactInvalid: title, text or actor is blank, or the title too long.
        """
        for name, value in (("title", title), ("text", text), ("actor", actor)):
            if not value.strip():
                raise FactInvalid(f"the {name} of a note must not be blank", field=name)
        if len(title) > MAX_TITLE:
            raise FactInvalid(f"the title of a note has {len(title)} characters; at most {MAX_TITLE}", field="title")
        new = NewItem(
            tier=Tier.PROCEDURAL,
            kind="note",
            text=f"{title}\n{text}",
            sources=(Source(uri=user_uri(actor), provenance=Provenance.HUMAN),),
            trust=Trust.OPERATOR,
            value={"title": title, "text": text, "by": actor},
            subject=note_subject(title),
            namespace=NOTES,
            key=title,
            importance=0.8,
        )
        (kept,) = await self.memory.remember([new], actor=f"user:{actor}"[:100], fence=fence)
        return kept

    async def notes(self, title: str) -> list[Item]:
        """Return the versions of a note that a person wrote, newest first; the first of them stands."""
        versions = await self.memory.history(note_subject(title))
        return [each for each in versions if each.kind == "note" and each.trust is Trust.OPERATOR]

    async def lookup(self, observables: Sequence[Observable], *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` findings about exactly these values: what is held to be true, then sightings.

        A finding is no better than who wrote the value: what is known of a domain that the attacker chose is
        told as the attacker's.
        """
        from memory.frame import finding  # noqa: PLC0415 - the frame is needed by those who prompt alone

        now = self.memory.clock.now()
        found: list[tuple[tuple[int, int, int], Finding]] = []
        asked = {(each.type.value, each.value): each for each in observables}
        for place, ((type_, value), observable) in enumerate(asked.items()):
            subject = indicator_subject(type_, value)
            facts = await self.facts_about(subject)
            found += [((0, -fact.trust, place), _told(observable, fact, finding(fact, now=now))) for fact in facts]
            if (seen := await self.sightings("indicator", observable)) is not None:
                best = seen.items[0]
                found.append(((1, -best.trust, place), _seen(observable, seen, finding(best, now=now))))
        found.sort(key=lambda each: each[0])
        return [each for _, each in found[:limit]]


_SEEN = frozenset({State.ACTIVE, State.ARCHIVED})
"""Asked for by name, a sighting that has decayed is told; it is only no longer found by search."""

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""That a value was seen does not begin to be true at any moment; when it was seen is with the sources."""


def asset_subject(name: str) -> str:
    """Return the subject of facts about an asset."""
    return subject_of("asset", name)


def note_subject(title: str) -> str:
    """Return the subject of all versions of a note."""
    return subject_of("note", title)


def _named(kind: Sighted, value: str | Observable) -> tuple[str, str]:
    """Return the type and the canonical form of what was seen."""
    from aurora.kernel.observables import recognise  # noqa: PLC0415 - it reads the list of public suffixes

    if kind == "asset":
        name = value if isinstance(value, str) else value.value
        if not name.strip():
            raise FactInvalid("the name of an asset must not be blank", field="value")
        return "asset", name.strip()
    try:
        observable = recognise(value) if isinstance(value, str) else value
    except ValueError as error:
        raise FactInvalid(f"this is no indicator: {error}", field="value") from None
    return observable.type.value, observable.value


def _span(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _counted(items: Sequence[Item]) -> Sightings | None:
    """Return the sightings that items keep together, or `None` if they keep none.

    Of one that was archived and seen again there are two items; a source counts once.
    """
    first: dict[str, tuple[datetime, Source]] = {}
    for moment, source in sorted(_moments(items), key=lambda each: each[0]):
        first.setdefault(source.uri, (moment, source))
    if not first:
        return None
    seen = list(first.values())
    ranked = sorted(items, key=lambda item: (-item.trust, item.retired_at is not None))
    sources = tuple(source for _, source in seen)
    return Sightings(items=tuple(ranked), first_seen=seen[0][0], last_seen=seen[-1][0], sources=sources)


def _moments(items: Iterable[Item]) -> Iterable[tuple[datetime, Source]]:
    for source in (source for item in items for source in item.sources):
        try:
            moment = datetime.fromisoformat(source.span or "")
        except ValueError:
            continue  # a source that says no moment, as one that vouches for the item as a whole
        if moment.tzinfo is not None:
            yield moment, source


def _told(observable: Observable, fact: Item, framed: Finding) -> Finding:
    return _about(observable, framed, {"predicate": fact.predicate or "", "object": fact.object or ""})


def _seen(observable: Observable, seen: Sightings, framed: Finding) -> Finding:
    days = f"{seen.first_seen.date().isoformat()} to {seen.last_seen.date().isoformat()}"
    told = {
        "count": str(seen.count),
        "first_seen": seen.first_seen.isoformat(),
        "last_seen": seen.last_seen.isoformat(),
    }
    line = UntrustedText(f"{observable.value} was seen by {seen.count} sources, {days}")
    return _about(observable, framed.model_copy(update={"text": line}), told)


def _about(observable: Observable, framed: Finding, told: Mapping[str, str]) -> Finding:
    """Return a finding about a value: no better than who wrote the value."""
    attributes = {**framed.attributes, "value": observable.value, "type": observable.type.value, **told}
    provenance = framed.provenance if observable.provenance.is_trusted else observable.provenance
    return framed.model_copy(update={"provenance": provenance, "attributes": attributes})
