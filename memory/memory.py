"""The memory of one tenant: the one door to what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from memory import chain
from memory.auditing import audit
from memory.chain import Chain, ChainReport, Event
from memory.exporting import records
from memory.guard.redaction import redact
from memory.items import Item, Json, NewItem, Remembered, State, Tier
from memory.ports import Embedder, Fence, Redactor, Transactions
from memory.preparing import checked_actor, prepare
from memory.reading import Items, Stats
from memory.recall import Recall, Recalled, Request
from memory.scanning import VectorScans
from memory.tokens import TokenCounter
from memory.undoing import Undoing
from memory.writing import Searches, Writing

if TYPE_CHECKING:
    from memory.ports import Vectors


_FEW = 32
"""Texts whose tokens are counted at once: less than 2 ms."""


class Memory:
    """What one tenant remembers.

    Every method is one transaction. Text that comes out is somebody else's: it is handed on as data.

    Args:
        transactions: The database; its tables must be there, see `memory.schema`. Owned by the caller.
        tenant: Whose memory. It comes from whoever runs this, never from data or from a model.
        clock: What `now` is.
        ids: For new items.
        embedder: Makes the vectors of texts and questions.
        redactor: Takes secrets out before anything is kept.
        count: Counts the tokens that an item costs; `None`: as `TokenCounter` does by default.
        index: Where vectors are searched; share one among the memories of a process. `None`: one of its own.
    """

    def __init__(
        self,
        transactions: Transactions,
        *,
        tenant: str,
        clock: Clock,
        ids: IdFactory,
        embedder: Embedder,
        redactor: Redactor = redact,
        count: TokenCounter | None = None,
        index: Searches | None = None,
    ) -> None:
        self.tenant = tenant
        self.transactions = transactions
        self.clock = clock
        self.embedder = embedder
        self.count = count or TokenCounter()
        self.searches: Searches = index or VectorScans()
        self._redactor = redactor
        self._is_loaded = False
        self._recall = Recall(tenant=tenant, clock=clock, embedder=embedder, searches=self.searches)
        self._writing = Writing(tenant=tenant, clock=clock, ids=ids, embedder=embedder, searches=self.searches)

    async def remember(
        self, items: Sequence[NewItem], *, actor: str, fence: Fence | None = None, embeds: bool = True
    ) -> list[Remembered]:
        """Keep items, all of them or none, and return what became of each.

        Secrets are taken out first. An item is trusted no further than the least of its sources; outside content that
        reads like instructions goes to quarantine. What is there already is not kept twice; a fact, or an item with a
        key, takes the place of the one before it if it is trusted at least as much.

        Args:
            items: In their order: each meets those before it.
            actor: Who remembers, for the chain of events: `user:<name>`, `aurora`, …
            fence: Called first in the transaction; it raises where the writer may write no more.
            embeds: Make their vectors now. Otherwise `reembed` makes them later; until then the items are found by
                their words alone, and nothing is linked to them as nearly the same.

        Raises:
            MemoryInvalid: an item cannot be kept; the message names its number and the field.
            Conflict: a given id is taken.
            AuroraError: the fence, the embedder or the database refused.
        """
        if not items:
            return []
        actor = checked_actor(actor)
        prepared = await prepare(items, redactor=self._redactor)
        texts = [item.text for item in prepared]
        vectors, tokens = await self._measured(texts, embeds=embeds)
        for item, each in zip(prepared, tokens, strict=True):
            item.tokens = each
        async with self.transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            return await self._writing.write(connection, prepared, vectors=vectors, actor=actor)

    async def recall(self, request: Request) -> Recalled:
        """Return what answers a request, the best first, with what was left out and why; nothing where nothing fits.

        What is in quarantine, rolled back or erased is never returned.

        Raises:
            AuroraError: the embedder or the database refused.
        """
        return await self._recall.recall(self.transactions, request)

    async def get(self, id: UUID) -> Item | None:
        """Return the item of an id, whatever its state; `None`: this memory has none."""
        async with self._items() as items:
            return (await items.get([id])).get(id)

    async def find(self, text: str) -> Item:
        """Return the item that an id, or the end of one, names.

        Raises:
            NotFound: there is none.
            Conflict: several end so; the message shows them.
        """
        async with self._items() as items:
            return await items.find(text)

    async def history(self, subject: str, predicate: str | None = None) -> list[Item]:
        """Return all that was ever held of a subject, the latest record first."""
        async with self._items() as items:
            return await items.history(subject, predicate)

    async def true_at(
        self, subject: str, predicate: str | None = None, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> list[Item]:
        """Return what is held to be true of a subject, the latest record first.

        Args:
            subject: What it is about.
            predicate: What of it; `None`: anything.
            at: True when, in the world; `None`: now, or at `as_of`.
            as_of: Held when; `None`: now.
        """
        async with self._items() as items:
            return await items.true_at([subject], predicate, now=self.clock.now(), at=at, as_of=as_of)

    async def list(
        self,
        *,
        tier: Tier | None = None,
        kind: str | None = None,
        state: State | None = None,
        source: str | None = None,
        limit: int = 50,
    ) -> list[Item]:
        """Return items in whose place nothing else stands, the latest record first.

        Args:
            tier: Only of this tier.
            kind: Only of this kind.
            state: Only in this state; `None`: in any.
            source: Only with this source; one that ends in `*` names a beginning.
            limit: So many at most.
        """
        async with self._items() as items:
            return await items.list(tier=tier, kind=kind, state=state, source=source, limit=limit)

    async def approve(self, id: UUID, *, actor: str) -> Item:
        """Let an item out of quarantine. It is trusted no more than before.

        Raises:
            NotFound: there is no such item.
            Conflict: it is not in quarantine, or something stands in its place that is trusted more.
        """
        async with self._undoing(actor) as undoing:
            return await undoing.approve(id)

    async def forget(
        self,
        ids: Iterable[UUID] = (),
        *,
        source: str | None = None,
        before: datetime | None = None,
        actor: str,
        reason: str,
        fence: Fence | None = None,
    ) -> int:
        """Erase items and return how many: text, value and vector go, a tombstone and the events stay.

        What was made of nothing but erased items goes with them.

        Raises:
            InputError: nothing is named.
            AuroraError: the fence or the database refused; nothing was erased.
        """
        async with self._undoing(actor, fence) as undoing:
            return await undoing.forget(ids, source=source, before=before, reason=self._redactor(reason).text)

    async def forgettable(
        self, ids: Iterable[UUID] = (), *, source: str | None = None, before: datetime | None = None, limit: int = 20
    ) -> tuple[int, Sequence[Item]]:
        """Return how many items `forget` would erase, and `limit` of them: what rests on others first, then the latest.

        Raises:
            InputError: nothing is named.
        """
        async with self._undoing("rehearsal") as undoing:
            return await undoing.forgettable(ids, source=source, before=before, limit=limit)

    async def rollback(
        self,
        *,
        source: str | None = None,
        after: datetime | None = None,
        actor: str,
        reason: str,
        dry_run: bool = False,
    ) -> Sequence[Item]:
        """Take back all that came from a source or was recorded after a moment; what it had superseded stands again.

        Raises:
            InputError: neither a source nor a moment is given.
        """
        async with self._undoing(actor) as undoing:
            why = self._redactor(reason).text
            return await undoing.rollback(source=source, after=after, reason=why, dry_run=dry_run)

    async def archive(self, ids: Iterable[UUID], *, actor: str, fence: Fence | None = None) -> int:
        """Put items away and return how many: they stay as evidence, recalled only when they are asked for."""
        async with self._undoing(actor, fence) as undoing:
            return await undoing.archive(ids)

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return what was done to this memory, in its order: events with a higher number than `after`."""
        async with self.transactions.reading() as connection:
            return await chain.events(connection, self.tenant, after=after, limit=limit)

    async def verify_chain(self) -> ChainReport:
        """Read all events and items, and tell whether one was edited, removed, moved or cut off."""
        async with self.transactions.reading() as connection:
            return await audit(connection, self.tenant)

    async def stats(self) -> Stats:
        """Return the memory in numbers."""
        async with self._items() as items:
            return await items.stats()

    async def export(self) -> AsyncIterator[Json]:
        """Yield all of this memory as JSON: items with their sources, then links, then events.

        It is one transaction: what is written meanwhile is not in it.
        """
        async with self.transactions.reading() as connection:
            async for record in records(connection, self.tenant):
                yield record

    async def _measured(self, texts: Sequence[str], *, embeds: bool) -> tuple[Vectors | None, Sequence[int]]:
        """Return vectors and tokens of texts. The encoder works without the interpreter's lock: beside the embedder."""
        if self._is_loaded and len(texts) <= _FEW:
            return await self.embedder.embed(texts) if embeds else None, self.count.count_all(texts)
        async with asyncio.TaskGroup() as group:
            counting = group.create_task(asyncio.to_thread(self.count.count_all, texts))
            vectors = await self.embedder.embed(texts) if embeds else None
        self._is_loaded = True
        return vectors, counting.result()

    @asynccontextmanager
    async def _items(self) -> AsyncIterator[Items]:
        async with self.transactions.reading() as connection:
            yield Items(connection, tenant=self.tenant)

    @asynccontextmanager
    async def _undoing(self, actor: str, fence: Fence | None = None) -> AsyncIterator[Undoing]:
        actor = checked_actor(actor)
        async with self.transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            locked = await Chain.lock(connection, tenant=self.tenant)
            yield Undoing(connection, tenant=self.tenant, chain=locked, actor=actor, now=self.clock.now())
