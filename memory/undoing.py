"""Taking back: approval out of quarantine, archiving, rolling back, erasing. Each leaves its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, select

from aurora.kernel.errors import Conflict, InputError, NotFound
from memory.chain import Chain
from memory.erasing import Erasing
from memory.hand import Hand
from memory.items import Item, State
from memory.lineage import Lineage, Resting
from memory.models import ItemModel, SourceModel
from memory.reading import Items, from_source
from memory.restoring import Restoring

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_ITEMS = cast("Table", ItemModel.__table__)
_SOURCES = cast("Table", SourceModel.__table__)
_CHUNK = 500
_HELD = (State.ACTIVE, State.QUARANTINED, State.ARCHIVED)
_REASON = 500
"""Characters of a reason that are kept."""


class Undoing:
    """Takes back in one tenant's memory, in the caller's transaction.

    Args:
        connection: Of a transaction that may write.
        tenant: Whose memory.
        chain: Locked in this transaction.
        actor: Who does it.
        now: When.
    """

    def __init__(self, connection: AsyncConnection, *, tenant: str, chain: Chain, actor: str, now: datetime) -> None:
        self._connection = connection
        self._hand = Hand(connection)
        self._tenant = tenant
        self._chain = chain
        self._actor = actor
        # The clock may have been set back since the last event: nothing is retired before it was recorded.
        self._now = max(now, chain.at)

    async def approve(self, id: UUID) -> Item:
        """Let an item out of quarantine. It is trusted no more than before; a person's own words are another item.

        Where something else stands in its place that is trusted no more, it takes that place, from now on.

        Raises:
            NotFound: there is no such item.
            Conflict: it is not in quarantine, or what stands in its place is trusted more.
        """
        item = (await self._items.get([id])).get(id)
        if item is None:
            raise NotFound(f"there is no item {id} in this memory", field="id")
        if item.state is not State.QUARANTINED:
            raise Conflict(f"item {id} is {item.state.value}, not in quarantine", field="id")
        if item.retired_at is not None:
            await self._restoring.stand(item, actor=self._actor, now=self._now)
        await self._move([item], State.ACTIVE, "approved", {})
        await self._chain.flush()
        return (await self._items.get([id]))[id]

    async def archive(self, ids: Iterable[UUID], *, reason: str = "") -> int:
        """Put items away: they stay as evidence, and are recalled only when they are asked for. Return how many."""
        found = [item for item in (await self._items.get(ids)).values() if item.state is State.ACTIVE]
        await self._move(found, State.ARCHIVED, "archived", {"reason": _kept(reason)} if reason else {})
        await self._chain.flush()
        return len(found)

    async def rollback(
        self, *, source: str | None = None, after: datetime | None = None, reason: str, dry_run: bool = False
    ) -> Sequence[Item]:
        """Take back all that came from a source, or was recorded after a moment, and what was derived from it.

        What they had superseded stands again. An item that has other sources too is taken back all the same: which
        part of it came from where nobody can tell.

        Args:
            source: Its URI; one that ends in `*` names a beginning.
            after: The moment; with a source, only what came from it since.
            reason: Why.
            dry_run: Only tell what would be taken back.

        Raises:
            InputError: neither a source nor a moment is given.
        """
        if source is None and after is None:
            raise InputError("say what to roll back: a source, or a moment after which all goes", field="source")
        wanted: list[ColumnElement[bool]] = [_ITEMS.c.state.in_(_HELD)]
        if source is not None:
            wanted.append(_ITEMS.c.seq.in_(select(_SOURCES.c.seq).where(from_source(self._tenant, source))))
        if after is not None:
            wanted.append(_ITEMS.c.recorded_at > after)
        items = await self._with_derived(await self._ids(*wanted))
        if dry_run or not items:
            return items
        await self._move(items, State.ROLLED_BACK, "rolled_back", {"reason": _kept(reason)})
        await self._restoring.restore(items, actor=self._actor, now=self._now)
        await self._chain.flush()
        return list((await self._items.get(item.id for item in items)).values())

    async def forget(
        self,
        ids: Iterable[UUID] = (),
        *,
        source: str | None = None,
        before: datetime | None = None,
        reason: str,
    ) -> int:
        """Erase: text, value, names, sources, links and vectors go, a tombstone and the events stay. Return how many.

        With an item goes what rests on nothing but erased items. What has another source stays; its sources say
        which of them were erased, and so does an event.

        Args:
            ids: These items.
            source: And those from this source; one that ends in `*` names a beginning.
            before: Of them only those recorded before; alone, all that were.
            reason: Why.

        Raises:
            InputError: nothing is named.
        """
        wanted, resting = await self._to_erase(ids, source=source, before=before)
        erasing = Erasing(self._hand, tenant=self._tenant, chain=self._chain)
        going = [*wanted, *resting.goes]
        count = await erasing.erase(going, actor=self._actor, now=self._now, reason=_kept(reason))
        await erasing.tell(resting.stays, actor=self._actor, now=self._now)
        return count

    async def forgettable(
        self, ids: Iterable[UUID] = (), *, source: str | None = None, before: datetime | None = None, limit: int
    ) -> tuple[int, Sequence[Item]]:
        """Return how many items `forget` would erase, and so many of them: first what rests on others, then the latest.

        Raises:
            InputError: nothing is named.
        """
        wanted, resting = await self._to_erase(ids, source=source, before=before)
        going = [*wanted, *resting.goes]
        return len(going), await self._in_order(going[: -limit - 1 : -1])

    async def _to_erase(
        self, ids: Iterable[UUID], *, source: str | None, before: datetime | None
    ) -> tuple[Sequence[UUID], Resting]:
        """Return what is named and not erased yet, and what rests on it; on what was erased before, too."""
        named = list(ids)
        if not named and source is None and before is None:
            raise InputError("say what to erase: items, a source, or a moment before which all goes", field="ids")
        old = [] if before is None else [_ITEMS.c.recorded_at < before]
        wanted: dict[UUID, bool] = {}
        for start in range(0, len(named), _CHUNK):
            wanted |= await self._erased(_ITEMS.c.id.in_(named[start : start + _CHUNK]), *old)
        if source is not None:
            of_source = select(_SOURCES.c.seq).where(from_source(self._tenant, source))
            wanted |= await self._erased(_ITEMS.c.seq.in_(of_source), *old)
        elif not named:
            wanted = await self._erased(*old)
        resting = await Lineage(self._hand, tenant=self._tenant).resting_on(wanted)
        return [each for each, is_erased in wanted.items() if not is_erased], resting

    @property
    def _restoring(self) -> Restoring:
        return Restoring(self._hand, tenant=self._tenant, chain=self._chain)

    @property
    def _items(self) -> Items:
        return Items(self._connection, tenant=self._tenant)

    async def _ids(self, *conditions: ColumnElement[bool]) -> list[UUID]:
        query = select(_ITEMS.c.id).where(_ITEMS.c.tenant == self._tenant, *conditions).order_by(_ITEMS.c.seq)
        return list((await self._connection.execute(query)).scalars())

    async def _erased(self, *conditions: ColumnElement[bool]) -> dict[UUID, bool]:
        """Return the items, in the order in which they were written, and whether each is erased."""
        query = select(_ITEMS.c.id, _ITEMS.c.state == State.ERASED.value)
        rows = await self._connection.execute(
            query.where(_ITEMS.c.tenant == self._tenant, *conditions).order_by(_ITEMS.c.seq)
        )
        return {row[0]: bool(row[1]) for row in rows}

    async def _with_derived(self, ids: Sequence[UUID]) -> Sequence[Item]:
        """Return the items, and those that name one of them as their source, and so on."""
        return await self._in_order([*ids, *await Lineage(self._hand, tenant=self._tenant).made_of(ids, states=_HELD)])

    async def _in_order(self, ids: Sequence[UUID]) -> Sequence[Item]:
        found = await self._items.get(ids)
        return [found[each] for each in ids if each in found]

    async def _move(self, items: Sequence[Item], state: State, operation: str, details: dict[str, str]) -> None:
        changed = []
        for item in items:
            version = self._chain.add(operation, item.id, actor=self._actor, at=self._now, details=details)
            changed.append((state.value, version, self._tenant, self._hand.id(item.id)))
        await self._hand.each("UPDATE memory_items SET state = $1, version = $2 WHERE tenant = $3 AND id = $4", changed)


def _kept(reason: str) -> str:
    """Return a reason as both databases can keep it, shortened to what a list shows."""
    return reason.replace("\x00", "").encode("utf-8", "replace").decode()[:_REASON]
