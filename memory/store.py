"""LangGraph's store over the memory of one tenant: values by name, found again by filters, words and meaning."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from langgraph.store.base import BaseStore, IndexConfig, Item, Op, PutOp, Result, SearchItem, SearchOp, TTLConfig

from aurora.kernel.errors import AuroraError
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import IdFactory, Uuid7Factory
from memory.checking import MAX_URI
from memory.guard.redaction import redact
from memory.items import Source, Tier
from memory.opening import open_memory
from memory.ports import Fence, Redactor
from memory.preparing import checked_actor
from memory.recall.request import MAX_LIMIT, Request
from memory.store_ops import Name, Plan, common_prefix, lifetime, listed, planned
from memory.store_options import Paths, checked_ttl, paths_of, said_by, sources_now, tokenized
from memory.store_rows import StoredValue, StoreRows
from memory.store_values import ROOT, stored_namespace
from memory.store_writing import Put, StoreWriting, prepared

if TYPE_CHECKING:
    from aurora.kernel.clock import Clock
    from memory.memory import Memory
    from memory.ports import Embedder

_AT_ONCE = 32
"""Values after which other work gets its turn: some 3 ms."""
_PAGE = 2_000
_SWEPT = 1_000
_CLOSE = 100
"""A read moves the end of a value's life only if it moves by one part in so many: else every read would write."""


class StoreBlocked(AuroraError):
    """The store was asked to wait in a place where it cannot: nothing was done."""

    code = "aurora.memory.store_blocked"


class AuroraStore(BaseStore):
    """LangGraph's `BaseStore` on a memory; it belongs to the event loop that it was made in.

    Values are items of the tier `store`: each put is an event of the tenant's chain, overwritten ones stay as history,
    and `aurora memory forget` and `rollback` work on them. They are trusted as derived by an agent; as outside content
    where a text in them is an `UntrustedText`, where their field `provenance` says `attacker_writable`, or where the
    store was made by `of`. Outside content never replaces or deletes what is trusted more, and what reads like
    instructions goes to quarantine: it is not read until a person approves it.

    What is put comes back exactly, tuples as lists, with two exceptions: recognised secrets are replaced by
    `[redacted:…]` unless `keep_secrets`; texts of outside content come back as `UntrustedText`. Namespaces and keys are
    names, and stay as they are: put no secret into them.

    It differs from `InMemoryStore`: a value has one vector, made of all its indexed fields; `created_at` is that of
    the first put; searches without a query return the last changed first; a namespace without values is not listed.

    Args:
        memory: Of one tenant. Owned by the caller.
        index: `fields` says what of a value is searched, `["$"]` being all of it; `dims` is checked against the
            memory's embedder. `None`: nothing is searched, and queries are ignored.
        ttl: As LangGraph's stores have it, in minutes. What has expired is never returned, swept or not.
        sources: Where what is put comes from. `None`: the run that puts it.
        actor: Who puts, for the chain of events.
        keep_secrets: Values keep them; what is searched never has them.
        redactor: Takes them out.
        ids: For new items; `None`: UUIDs of version 7.
        fence: Called first in each transaction that writes; it raises where the writer may write no more.

    Raises:
        ConfigError: `index` or `ttl` has no meaning here.
    """

    supports_ttl = True

    def __init__(
        self,
        memory: Memory,
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        sources: Sequence[Source] | None = None,
        actor: str = "store",
        keep_secrets: bool = False,
        redactor: Redactor = redact,
        ids: IdFactory | None = None,
        fence: Fence | None = None,
    ) -> None:
        self._memory = memory
        self._index = index
        self._paths = paths_of(index, memory.embedder)
        self.ttl_config = checked_ttl(ttl)
        self._sources = None if sources is None else tuple(sources)
        self._actor = checked_actor(actor)
        self._keep_secrets = keep_secrets
        self._redactor = redactor
        self._ids = ids or Uuid7Factory(clock=memory.clock)
        self._fence = fence
        self._swept_at = memory.clock.now()
        self._loop = _running_loop()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        tenant: str = "default",
        embedder: Embedder | None = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> AsyncIterator[Self]:
        """Open a store in the database at a URL; its tables are made where they are missing.

        Args:
            url: `sqlite:///file`, `sqlite://` for one in memory, `postgresql://user@host/name`.
            tenant: Whose store; from the program, never from data or from a model.
            embedder: `None`: MiniLM where the extra `embed` is installed, else the hashing embedder.
            clock: What `now` is; `None`: the machine's.
            **options: As the class has them.

        Raises:
            ConfigError: the URL or an option cannot be used.
            MissingExtra: the database's driver is not installed.
            StorageUnavailable: the database cannot be reached.
        """
        async with open_memory(url, tenant=tenant, embedder=embedder, clock=clock) as memory:
            yield cls(memory, **options)

    @classmethod
    @contextmanager
    def open_sync(cls, url: str, **options: Any) -> Iterator[Self]:
        """Open a store for a program that has no event loop: it gets one, in a thread of its own.

        Args:
            url: As in `open`.
            **options: As in `open`.
        """
        opened: Future[tuple[Self, asyncio.Event]] = Future()

        async def serve() -> None:
            async with cls.open(url, **options) as store:
                closed = asyncio.Event()
                opened.set_result((store, closed))
                await closed.wait()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:  # the thread that waits gets it
                if opened.done():
                    raise
                opened.set_exception(error)

        thread = threading.Thread(target=run, name="aurora-store", daemon=True)
        thread.start()
        store, closed = opened.result()
        try:
            yield store
        finally:
            store._own_loop().call_soon_threadsafe(closed.set)  # noqa: SLF001 - of its own class
            thread.join()

    def of(self, *sources: Source) -> AuroraStore:
        """Return this store for values that come from somewhere else: they are trusted no further than that."""
        return AuroraStore(
            self._memory,
            index=self._index,
            ttl=self.ttl_config,
            sources=sources,
            actor=self._actor,
            keep_secrets=self._keep_secrets,
            redactor=self._redactor,
            ids=self._ids,
            fence=self._fence,
        )

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations from a thread that runs no event loop; see `abatch`.

        Raises:
            StoreBlocked: this thread runs one, which would stand still, or the store's own has ended.
        """
        if _running_loop() is not None:
            raise StoreBlocked(
                "this would block the event loop: await the asynchronous method, such as `aget` for `get`"
            )
        loop = self._own_loop()
        if not loop.is_running():
            raise StoreBlocked("the event loop of this store has ended; open the store again")
        return asyncio.run_coroutine_threadsafe(self.abatch(ops), loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations: the reads first, then all puts in one transaction, or none of them.

        Reads see what was there before the batch. Of several puts under one name the last counts.

        Raises:
            StoreInvalid: an operation has no meaning; nothing was done.
            MemoryInvalid: a value cannot be kept; nothing was put.
            AuroraError: the fence, the embedder or the database refused.
        """
        self._loop = self._loop or asyncio.get_running_loop()
        plan = planned(ops)
        if plan.gets or plan.searches or plan.lists:
            await self._read(plan)
        if plan.puts:
            await self._put(plan.puts)
        await self._sweep_if_due()
        return plan.results

    async def sweep_ttl(self) -> int:
        """Delete what has expired, and return how many values that were. Their items stay as history."""
        now, swept = self._memory.clock.now(), 0
        self._swept_at = now
        while True:
            async with self._memory.transactions.reading() as connection:
                rows = StoreRows(connection, tenant=self._memory.tenant, now=now)
                names = await rows.expired(limit=_SWEPT)
            if not names:
                return swept
            async with self._memory.transactions.writing() as connection:
                if self._fence is not None:
                    await self._fence(connection)
                deleted = await self._writing(connection, now).delete(names, why="expired")
            swept += deleted
            if len(names) < _SWEPT or not deleted:
                return swept

    async def _read(self, plan: Plan) -> None:
        ranked = {place: await self._ranked(op) for place, op in plan.searches.items()}
        now = self._memory.clock.now()
        until: dict[int, datetime] = {}
        async with self._memory.transactions.reading() as connection:
            rows = StoreRows(connection, tenant=self._memory.tenant, now=now)
            named = await rows.named([name for _, name in plan.gets.values() if name is not None])
            for place, (asked, name) in plan.gets.items():
                value = None if name is None else named.get(name)
                plan.results[place] = None if value is None else _item(value)
                if value is not None and asked.refresh_ttl:
                    _refresh(value, until, now=now)
            for place, search in plan.searches.items():
                found = await self._search(rows, search, ranked[place])
                plan.results[place] = [_search_item(each, score) for each, score in found]
                if search.refresh_ttl:
                    for each, _ in found:
                        _refresh(each, until, now=now)
            for place, listing in plan.lists.items():
                prefix = common_prefix(listing)
                has_prefix = stored_namespace(prefix) is not None
                plan.results[place] = listed(await rows.namespaces(prefix), listing) if has_prefix else []
        if until:
            async with self._memory.transactions.writing() as connection:
                await StoreRows(connection, tenant=self._memory.tenant, now=now).refresh(until)

    async def _ranked(self, op: SearchOp) -> list[tuple[UUID, float]]:
        """Return the items that answer the query of a search, with their scores, the best first."""
        if not op.query or self._paths is None or op.limit == 0 or stored_namespace(op.namespace_prefix) is None:
            return []
        # A filter may leave few of them: as many as there can be are asked for.
        limit = MAX_LIMIT if op.filter else min(MAX_LIMIT, op.offset + op.limit)
        request = Request(
            query=op.query, tiers=(Tier.STORE,), namespace=(ROOT, *op.namespace_prefix), limit=limit, floor=0.0
        )
        recalled = await self._memory.recall(request)
        return [(hit.item.id, hit.score) for hit in recalled.items]

    async def _search(
        self, rows: StoreRows, op: SearchOp, ranked: Sequence[tuple[UUID, float]]
    ) -> list[tuple[StoredValue, float | None]]:
        """Return a page of what a search finds: what answers the query, then the rest, the last changed first."""
        if op.limit == 0 or stored_namespace(op.namespace_prefix) is None:
            return []
        if not ranked and not op.filter:
            seqs = await rows.under(op.namespace_prefix, limit=op.limit, offset=op.offset)
            held = await rows.numbered(seqs)
            return [(held[seq], None) for seq in seqs if seq in held]
        places = await rows.seqs_of([each for each, _ in ranked]) if ranked else {}
        scores: dict[int, float | None] = {places[each]: score for each, score in ranked if each in places}
        found: list[tuple[StoredValue, float | None]] = []
        wanted = op.offset + op.limit
        order = [*scores]
        if len(order) < wanted or op.filter:
            order += [seq for seq in await rows.under(op.namespace_prefix, wanted=op.filter) if seq not in scores]
        for start in range(0, len(order), _PAGE):
            page = order[start : start + _PAGE]
            held = await rows.numbered(page, wanted=op.filter)
            found += [(held[seq], scores.get(seq)) for seq in page if seq in held]
            if len(found) >= wanted:
                break
        return found[op.offset : wanted]

    async def _put(self, ops: Mapping[Name, PutOp]) -> None:
        puts = await self._prepared(ops)
        indexed = [place for place, put in enumerate(puts) if put.text]
        vectors: dict[int, Any] = {}
        if indexed:
            texts = [puts[place].text for place in indexed]
            async with asyncio.TaskGroup() as group:  # the encoder works without the interpreter's lock
                counting = group.create_task(asyncio.to_thread(lambda: [*map(self._memory.count.count, texts)]))
                made = await self._memory.embedder.embed(texts)
            vectors = dict(zip(indexed, made, strict=True))
            for place, tokens in zip(indexed, counting.result(), strict=True):
                puts[place].tokens = tokens
        async with self._memory.transactions.writing() as connection:
            if self._fence is not None:
                await self._fence(connection)
            writing = self._writing(connection, self._memory.clock.now())
            await writing.write(puts, embedder=self._memory.embedder, vectors=vectors)

    async def _prepared(self, ops: Mapping[Name, PutOp]) -> list[Put]:
        sources = self._sources or sources_now(self._actor)
        run = sources[0].uri
        puts = []
        for number, (name, op) in enumerate(ops.items(), 1):
            if op.value is None:
                puts.append(Put(name=name, value=None, sources=sources))
            else:
                said = said_by(op.value, told=sources[0].provenance)
                put = prepared(
                    name,
                    op.value,
                    paths=self._indexed(op),
                    sources=sources if said is None else (Source(uri=run, provenance=said), *sources[1:]),
                    outside=Source(uri=f"{run}#outside"[:MAX_URI], provenance=Provenance.ATTACKER_WRITABLE),
                    ttl=lifetime(op.ttl),
                    redactor=self._redactor,
                    keep_secrets=self._keep_secrets,
                )
                puts.append(put)
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
        return puts

    def _indexed(self, op: PutOp) -> Paths:
        if self._paths is None or op.index is False:
            return ()
        return self._paths if op.index is None else tokenized(op.index)

    async def _sweep_if_due(self) -> None:
        minutes = (self.ttl_config or {}).get("sweep_interval_minutes")
        interval = lifetime(minutes)
        if interval is not None and self._memory.clock.now() - self._swept_at >= interval:
            await self.sweep_ttl()

    def _writing(self, connection: Any, now: datetime) -> StoreWriting:
        return StoreWriting(connection, tenant=self._memory.tenant, ids=self._ids, now=now, actor=self._actor)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise StoreBlocked("nobody runs this store: make it in an event loop, or with `AuroraStore.open_sync`")
        return self._loop


def _refresh(value: StoredValue, until: dict[int, datetime], *, now: datetime) -> None:
    if value.ttl is not None and value.expires_at is not None:
        later = now + value.ttl
        if later - value.expires_at > value.ttl / _CLOSE:
            until[value.seq] = later


def _item(value: StoredValue) -> Item:
    return Item(
        value=value.value,
        key=value.key,
        namespace=value.namespace,
        created_at=value.created_at,
        updated_at=value.updated_at,
    )


def _search_item(value: StoredValue, score: float | None) -> SearchItem:
    return SearchItem(value.namespace, value.key, value.value, value.created_at, value.updated_at, score)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
