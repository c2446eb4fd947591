"""A memory on somebody's desk: asked, read through, told things, corrected; by the words that people use."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, func, select

from aurora.kernel.errors import InputError
from aurora.kernel.evidence import Provenance
from aurora.kernel.untrusted import quoted
from memory.cases import user_uri
from memory.chain import ChainReport, Event
from memory.guard.instructions import instruction_patterns
from memory.guard.trust import memory_ids
from memory.items import Item, Json, NewItem, Remembered, Source, State, Tier, Trust
from memory.models import EventModel, ItemModel, SourceModel, VectorModel
from memory.namespaces import encode
from memory.reading import Items, Stats, from_source
from memory.recall import LeftOut, Recalled, Request, gate
from memory.reembedding import Reembedded, drop_old_vectors, reembed
from memory.tiers.semantic import SemanticMemory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.memory import Memory

_ITEMS, _SOURCES = cast("Table", ItemModel.__table__), cast("Table", SourceModel.__table__)
_EVENTS, _VECTORS = cast("Table", EventModel.__table__), cast("Table", VectorModel.__table__)
_TAKEN_AWAY = frozenset({State.ROLLED_BACK, State.ERASED})
"""Such items stand no more, whether or not others stand in their place."""
_VERSIONS = 50
"""Versions and derived items that one item is told with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An item with all that hangs on it."""

    item: Item
    versions: Sequence[Item]
    """What was held under the same name, the latest first, this one included."""
    links: Sequence[tuple[str, UUID, UUID, float | None]]
    """Relation, from, to, score."""
    derived: Sequence[Item]
    """Items that name this one as their source."""
    beside: Mapping[UUID, Item]
    """The items that links and sources name."""
    events: Sequence[Event]
    """What was done to it, the first first."""
    reads_like: Sequence[str]
    """Names of the patterns of instructions that it has, for who decides about its quarantine."""


class Desk:
    """What a person does with the memory of one tenant. Whoever makes it says who the person is; data never does.

    Args:
        memory: Of the tenant. Owned by the caller.
        person: Name of the authenticated person.
    """

    def __init__(self, memory: Memory, *, person: str) -> None:
        self.memory = memory
        self.person = person

    @property
    def actor(self) -> str:
        """The person, as the chain of events names them."""
        return f"user:{self.person}"[:100]

    async def search(
        self,
        query: str,
        *,
        tiers: Sequence[str] = (),
        kinds: Sequence[str] = (),
        subject: str | None = None,
        at: datetime | None = None,
        as_of: datetime | None = None,
        for_action: bool = False,
        archived: bool = False,
        limit: int = 8,
    ) -> Recalled:
        """Return what answers a question; see `memory.recall.Request`.

        For an action, what outsiders wrote is not compared. A person is told what of it would have answered, too.

        Raises:
            RequestInvalid: the question has no meaning.
            InputError: there is no such tier.
        """
        request = Request(
            query=query,
            tiers=tuple(_tier(each) for each in tiers) or None,
            kinds=tuple(kinds) or None,
            subject=subject,
            at=at,
            as_of=as_of,
            for_action=for_action,
            include_archived=archived,
            limit=limit,
        )
        found = await self.memory.recall(request)
        if not for_action:
            return found
        return _with_outside(found, await self.memory.recall(replace(request, for_action=False)), request)

    async def items(self, ids: Iterable[UUID]) -> Mapping[UUID, Item]:
        """Return the items of these ids that there are."""
        async with self.memory.transactions.reading() as connection:
            return await Items(connection, tenant=self.memory.tenant).get(ids)

    async def find(self, texts: Iterable[str]) -> list[Item]:
        """Return the items that ids, or ends of ids, name; each once.

        Raises:
            NotFound: there is no such item.
            Conflict: one is the end of several ids.
        """
        async with self.memory.transactions.reading() as connection:
            items = Items(connection, tenant=self.memory.tenant)
            found = [await items.find(text) for text in dict.fromkeys(texts)]
        return [*{item.id: item for item in found}.values()]

    async def show(self, text: str) -> Told:
        """Return everything that is held of the item that an id, or the end of one, names.

        Raises:
            NotFound: there is no such item.
            Conflict: it is the end of several ids.
        """
        async with self.memory.transactions.reading() as connection:
            items = Items(connection, tenant=self.memory.tenant)
            item = await items.find(text)
            versions = await self._rows(connection, items, *_same_name(item))
            links = await items.links(item.id)
            uri = f"memory:{item.id}"
            derived = await self._rows(
                connection,
                items,
                _ITEMS.c.seq.in_(select(_SOURCES.c.seq).where(from_source(self.memory.tenant, uri))),
            )
            named = {each for _, *ends, _ in links for each in ends}
            beside = await items.get((named | set(memory_ids(item.sources))) - {item.id})
            return Told(
                item=item,
                versions=versions or [item],
                links=links,
                derived=derived,
                beside=beside,
                events=await self._events(connection, item.id),
                reads_like=_reads_like(item),
            )

    async def list(
        self,
        *,
        tier: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        source: str | None = None,
        limit: int = 50,
    ) -> Sequence[Item]:
        """Return items in whose place nothing else stands, the latest record first; or those that were taken away.

        Raises:
            InputError: there is no such tier or state.
        """
        wanted = None if state is None else _state(state)
        async with self.memory.transactions.reading() as connection:
            return await Items(connection, tenant=self.memory.tenant).list(
                tier=None if tier is None else _tier(tier),
                kind=kind,
                state=wanted,
                source=source,
                superseded=wanted in _TAKEN_AWAY,
                limit=limit,
            )

    async def state_fact(
        self,
        subject: str,
        predicate: str,
        object: str,
        *,
        reason: str,
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
    ) -> Remembered:
        """State a fact in the person's name; it takes the place of what was said of this subject and predicate.

        Raises:
            MemoryInvalid: it cannot be kept.
        """
        said = f"{subject} {predicate} {object}"
        (kept,) = await self.memory.remember(
            [
                NewItem(
                    tier=Tier.SEMANTIC,
                    kind="fact",
                    text=f"{said}: {reason}" if reason else said,
                    value={"reason": reason, "by": self.person},
                    sources=(Source(uri=user_uri(self.person), provenance=Provenance.HUMAN),),
                    trust=Trust.OPERATOR,
                    subject=subject,
                    predicate=predicate,
                    object=object,
                    namespace=("facts",),
                    valid_from=valid_from,
                    valid_to=valid_to,
                    importance=0.8,
                )
            ],
            actor=self.actor,
        )
        return kept

    async def note(self, title: str, text: str) -> Remembered:
        """Keep how something is done here; a note of the same title becomes its next version.

        Raises:
            FactInvalid: title or text is blank, or the title too long.
        """
        return await SemanticMemory(self.memory).note(title, text, actor=self.person)

    async def approve(self, id: UUID) -> Item:
        """Let an item out of quarantine, trusted no more than before.

        Raises:
            NotFound: there is no such item.
            Conflict: it is not in quarantine.
        """
        return await self.memory.approve(id, actor=self.actor)

    async def forgettable(
        self, ids: Sequence[UUID] = (), *, source: str | None = None, before: datetime | None = None, limit: int = 20
    ) -> tuple[int, Sequence[Item]]:
        """Return how many items `forget` would erase now, and some of them: what was made of others first.

        Raises:
            InputError: nothing is named.
        """
        return await self.memory.forgettable(ids, source=source, before=before, limit=limit)

    async def forget(
        self, ids: Sequence[UUID] = (), *, source: str | None = None, before: datetime | None = None, reason: str
    ) -> int:
        """Erase items and return how many: text, value and vector go, a tombstone and the events stay.

        Raises:
            InputError: nothing is named.
        """
        return await self.memory.forget(ids, source=source, before=before, actor=self.actor, reason=reason)

    async def rollback(
        self, *, source: str | None = None, after: datetime | None = None, reason: str, dry_run: bool = False
    ) -> Sequence[Item]:
        """Take back all that came from a source or was recorded after a moment, and return it.

        Raises:
            InputError: neither a source nor a moment is given.
        """
        return await self.memory.rollback(source=source, after=after, actor=self.actor, reason=reason, dry_run=dry_run)

    async def stats(self) -> Stats:
        """Return the memory in numbers."""
        return await self.memory.stats()

    async def without_vector(self) -> int:
        """Return how many active items have no vector of any embedder: they are found by their words alone."""
        mine = _VECTORS.c.tenant == self.memory.tenant
        query = select(func.count()).where(
            _ITEMS.c.tenant == self.memory.tenant,
            _ITEMS.c.state == State.ACTIVE.value,
            _ITEMS.c.text != "",
            _ITEMS.c.seq.not_in(select(_VECTORS.c.seq).where(mine)),
        )
        async with self.memory.transactions.reading() as connection:
            return (await connection.execute(query)).scalar_one()

    async def verify(self) -> ChainReport:
        """Tell whether events and items are as they were written."""
        return await self.memory.verify_chain()

    async def reembed(
        self, *, drop: bool = False, report: Callable[[Reembedded], None] | None = None
    ) -> tuple[Reembedded, int]:
        """Make the vectors that items lack under the memory's embedder; return how far it got, and how many went.

        Args:
            drop: Then delete the vectors of other embedders.
            report: Called after each batch.
        """
        done = await reembed(self.memory, actor=self.actor, report=report)
        return done, await drop_old_vectors(self.memory) if drop else 0

    def export(self) -> AsyncIterator[Json]:
        """Yield all of this memory as JSON: items with their sources, then links, then events."""
        return self.memory.export()

    async def _rows(
        self, connection: AsyncConnection, items: Items, *conditions: ColumnElement[bool], limit: int = _VERSIONS
    ) -> Sequence[Item]:
        query = select(_ITEMS.c.seq).where(_ITEMS.c.tenant == self.memory.tenant, *conditions)
        seqs = await connection.execute(query.order_by(_ITEMS.c.seq.desc()).limit(limit))
        return [*(await items.rows(seqs.scalars().all())).values()]

    async def _events(self, connection: AsyncConnection, id: UUID) -> Sequence[Event]:
        columns = [column for column in _EVENTS.c if column.name != "tenant"]
        query = select(*columns).where(_EVENTS.c.tenant == self.memory.tenant, _EVENTS.c.item_id == id)
        return [Event(**row) for row in (await connection.execute(query.order_by(_EVENTS.c.number))).mappings()]


def _with_outside(found: Recalled, wide: Recalled, request: Request) -> Recalled:
    """Return what may move an action, and among what was left out that which outsiders wrote."""
    outside = tuple(
        LeftOut(hit.item.id, reason)
        for hit in wide.items
        if hit.item.trust is Trust.EXTERNAL_CONTENT
        and (reason := gate.refusal(hit.item, floor=request.action_floor)) is not None
    )
    if not outside:
        return found
    abstained = found.abstained
    if abstained is not None and not found.left_out:
        abstained = f"what would answer may not move an action; the best: {outside[0].reason}"
    return replace(
        found,
        abstained=abstained,
        considered=found.considered + len(outside),
        left_out=(*outside, *found.left_out),
    )


def _reads_like(item: Item) -> tuple[str, ...]:
    texts = (str.__str__(item.text), item.subject, item.object, item.key, _json(item.value))
    return tuple(sorted({name for text in texts if text for name in instruction_patterns(text)}))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, default=str) if value else ""


def _same_name(item: Item) -> list[ColumnElement[Any]]:
    """Return what tells that an item is a version of this one."""
    if item.key is not None:
        return [_ITEMS.c.namespace == encode(item.namespace), _ITEMS.c.key == item.key]
    if item.subject is not None and item.predicate is not None:
        return [_ITEMS.c.subject == item.subject, _ITEMS.c.predicate == item.predicate]
    return [_ITEMS.c.id == item.id]


def _tier(text: str) -> Tier:
    try:
        return Tier(text)
    except ValueError:
        raise InputError(
            f"there is no tier {quoted(text, limit=40)}; there are {', '.join(Tier)}", field="tier"
        ) from None


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        known = ", ".join(State)
        raise InputError(f"there is no state {quoted(text, limit=40)}; there are {known}", field="state") from None
