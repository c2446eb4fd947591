"""What becomes of new items, decided without the database: everything they may meet was looked up before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aurora.kernel.errors import Conflict
from aurora.kernel.ids import IdFactory
from memory.chain import Chain
from memory.guard.instructions import instruction_patterns
from memory.guard.trust import Bound, bound
from memory.hand import micros
from memory.items import Fate, Remembered, Source, State, Trust
from memory.preparing import Prepared
from memory.rows import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What new items may meet."""

    same: Iterable[Held]
    """What stands with one of their contents."""
    facts: Iterable[Held]
    """What stands of their subjects and predicates."""
    named: Iterable[Held]
    """What is not retired and has one of their names."""
    known: Mapping[UUID, tuple[str, Trust]]
    """Tenant and trust of the items of the ids that they name, and of their own."""
    uris: Mapping[int, set[str]]
    """Of the sources of what stands with one of their contents."""


class Deciding:
    """Decides on the items of one batch, one after the other: each sees what those before it did.

    Args:
        tenant: Whose memory.
        chain: Locked in this transaction; gets the events.
        ids: For items that bring none.
        actor: Who remembers.
        now: When.
        met: Looked up in this transaction.
    """

    def __init__(self, *, tenant: str, chain: Chain, ids: IdFactory, actor: str, now: datetime, met: Met) -> None:
        self._tenant = tenant
        self._chain = chain
        self._ids = ids
        self._actor = actor
        self._now = now
        self._known = met.known
        self._trusts = {each: trust for each, (owner, trust) in met.known.items() if owner == tenant}
        held: dict[int, Held] = {}  # one object for each row, whichever look-up found it
        self._by_hash: dict[bytes, list[Held]] = {}
        self._by_fact: dict[tuple[str, str], list[Held]] = {}
        for each in {each.seq: held.setdefault(each.seq, each) for each in met.same}.values():
            self._by_hash.setdefault(each.content_hash, []).append(each)
        for each in {each.seq: held.setdefault(each.seq, each) for each in met.facts}.values():
            if each.fact is not None:
                self._by_fact.setdefault(each.fact, []).append(each)
        self._by_name = {each.name: held.setdefault(each.seq, each) for each in met.named if each.name is not None}
        self._uris = dict(met.uris)
        self._done: dict[UUID, Remembered] = {}
        self.written: dict[int, tuple[Held, Prepared]] = {}
        """New rows, by their items' places in the batch, counted from 0."""
        self.sources: list[tuple[int, Source]] = []
        """New sources, with the seqs of the items that they are of."""
        self.retired: dict[int, Held] = {}
        """Rows that were there and lost their place, by seq."""
        self.touched: dict[int, Held] = {}
        """Rows that were there and got a source or another end, by seq."""

    @property
    def standing(self) -> list[int]:
        """The places of new items that stand and may be recalled."""
        return [
            place for place, (held, _) in self.written.items() if held.retired_at is None and held.state is State.ACTIVE
        ]

    def links(self) -> list[tuple[UUID, str, UUID]]:
        """Return the links of the new items: from, relation, to. What was joined is linked as what it was joined to."""
        return [
            (held.id, relation, self._done[to].id if to in self._done else to)
            for held, item in self.written.values()
            for relation, to in item.links
        ]

    def decide(self, item: Prepared, *, seq: int) -> Remembered:
        """Take in one more item, after all those before it; `seq` is its row's, if it gets one.

        Raises:
            Conflict: its id is that of an item of another memory.
        """
        if item.id is not None and (again := self._again(item.id, item)) is not None:
            return again
        limit = bound(item.sources, asked=item.asked, trusts=self._trusts)
        new = Held(
            seq=seq,
            id=item.id or self._ids(),
            trust=limit.trust,
            state=State.ACTIVE,
            recorded_at=self._now,
            valid_from=item.valid_from or self._now,
            valid_to=item.valid_to,
            subject=item.subject,
            predicate=item.predicate,
            namespace=item.namespace,
            key=item.key,
            content_hash=item.content_hash,
            expires_at=item.expires_at,
            is_new=True,
        )
        twin = self._twin(new)
        remembered = self._join(twin, new, item, limit) if twin else self._store(new, item, limit)
        self._trusts[new.id] = remembered.trust
        self._done[new.id] = remembered
        return remembered

    def _again(self, id: UUID, item: Prepared) -> Remembered | None:
        """Return what became of the item with a given id, if it was written before."""
        if (earlier := self._done.get(id)) is not None:
            return Remembered(id=earlier.id, fate=Fate.DUPLICATE, trust=earlier.trust, redacted=item.redacted)
        if (known := self._known.get(id)) is None:
            return None
        tenant, trust = known
        if tenant != self._tenant:
            raise Conflict(f"item {item.number}: its id is taken; give another, or none", item=item.number, field="id")
        return Remembered(id=id, fate=Fate.DUPLICATE, trust=trust, redacted=item.redacted)

    def _join(self, twin: Held, new: Held, item: Prepared, limit: Bound) -> Remembered:
        """Join the sources of a new item to its equal that stands.

        What is trusted less does not become a source of what is trusted more: taking it back must not take that along.
        Nor does it say how long that is kept.
        """
        uris = self._uris.setdefault(twin.seq, set())
        fresh: list[Source] = []
        expires_at = twin.expires_at
        if new.trust == twin.trust:
            fresh = [source for source in item.sources if source.uri not in uris]
            expires_at = new.expires_at if twin.key is not None else _later(twin.expires_at, new.expires_at)
        if fresh or expires_at != twin.expires_at:
            uris.update(source.uri for source in fresh)
            self.sources += ((twin.seq, source) for source in fresh)
            twin.expires_at = expires_at
            twin.version = self._chain.add(
                "joined", twin.id, actor=self._actor, at=self._now, details={"sources": len(fresh)}
            )
            if not twin.is_new:
                self.touched[twin.seq] = twin
        return Remembered(
            id=twin.id,
            fate=Fate.DUPLICATE,
            trust=twin.trust,
            redacted=item.redacted,
            reasons=() if limit.reason is None else (limit.reason,),
        )

    def _store(self, new: Held, item: Prepared, limit: Bound) -> Remembered:
        reasons = [] if limit.reason is None else [limit.reason]
        fate = Fate.STORED
        if new.trust is Trust.EXTERNAL_CONTENT and (patterns := _patterns(item)):
            fate, new.state = Fate.QUARANTINED, State.QUARANTINED
            reasons.append(f"outside content that reads like instructions: {', '.join(patterns)}")
        opponents = self._opponents(new)
        # What is recorded in place of something cannot be recorded before it, wherever the clocks are.
        new.recorded_at = max((self._now, self._chain.at, *(each.recorded_at for each in opponents)))
        above = next((each for each in opponents if each.stands and each.trust > new.trust), None)
        if above is not None and fate is Fate.STORED:
            fate = Fate.OUTRANKED
            reasons.append(f"what stands is trusted more: {above.trust.name.lower()}")
        superseded: list[Held] = []
        if opponents and fate is not Fate.STORED:
            stands = above or opponents[0]
            new.retired_at, new.superseded_by = new.recorded_at, stands.id
        else:
            superseded = opponents
        details = {"hash": new.content_hash.hex(), "tier": item.tier, "trust": int(new.trust)}
        if new.superseded_by is not None:
            details["beside"] = new.superseded_by.hex
        operation = "quarantined" if fate is Fate.QUARANTINED else "stored"
        new.version = self._chain.add(operation, new.id, actor=self._actor, at=self._now, details=details)
        for old in superseded:
            self._supersede(old, new)
        self.written[item.number - 1] = (new, item)
        self._uris[new.seq] = {source.uri for source in item.sources}
        self.sources += ((new.seq, source) for source in item.sources)
        if new.retired_at is None:
            self._stand(new)
        return Remembered(
            id=new.superseded_by if fate is Fate.OUTRANKED and new.superseded_by is not None else new.id,
            fate=fate,
            trust=new.trust,
            superseded=tuple(old.id for old in superseded),
            redacted=item.redacted,
            reasons=tuple(reasons),
        )

    def _supersede(self, old: Held, new: Held) -> None:
        before = micros(old.valid_to)
        old.retired_at, old.superseded_by = new.recorded_at, new.id
        if old.valid_to is None and old.valid_from < new.valid_from:
            old.valid_to = new.valid_from
        old.version = self._chain.add(
            "superseded", old.id, actor=self._actor, at=self._now, details={"by": new.id.hex, "valid_to": before}
        )
        if not old.is_new:
            self.retired[old.seq] = old
        for standing in (self._by_hash.get(old.content_hash), self._by_fact.get(old.fact) if old.fact else None):
            if standing and old in standing:
                standing.remove(old)
        if old.name is not None and self._by_name.get(old.name) is old:
            del self._by_name[old.name]

    def _twin(self, new: Held) -> Held | None:
        """Return the equal of a new item that stands, is trusted at least as much and holds for all of its time."""
        for held in self._by_hash.get(new.content_hash, ()):
            if (
                held.trust >= new.trust
                and held.state in {State.ACTIVE, State.QUARANTINED}
                and held.valid_to == new.valid_to
                and held.valid_from <= new.valid_from
                and (held.expires_at is None or held.expires_at > self._now)
            ):
                return held
        return None

    def _opponents(self, new: Held) -> list[Held]:
        """Return what stands in the new item's place: of its name, or a fact of its key that holds at the same time."""
        found: dict[int, Held] = {}
        if new.name is not None and (held := self._by_name.get(new.name)) is not None:
            found[held.seq] = held
        if new.fact is not None:
            for held in self._by_fact.get(new.fact, ()):
                ends_before = held.valid_to is not None and held.valid_to <= new.valid_from
                begins_after = new.valid_to is not None and new.valid_to <= held.valid_from
                if not ends_before and not begins_after:
                    found[held.seq] = held
        return [*found.values()]

    def _stand(self, new: Held) -> None:
        self._by_hash.setdefault(new.content_hash, []).append(new)
        if new.fact is not None:
            self._by_fact.setdefault(new.fact, []).append(new)
        if new.name is not None:
            self._by_name[new.name] = new


def _patterns(item: Prepared) -> tuple[str, ...]:
    texts = (
        item.text,
        item.subject,
        item.predicate,
        item.object,
        item.key,
        item.value if len(item.value) > len("{}") else None,
    )
    return tuple(sorted({name for text in texts if text for name in instruction_patterns(text)}))


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return None if first is None or second is None else max(first, second)
