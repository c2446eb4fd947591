"""New vectors for old items, when the embedder was changed. The old ones serve until all have new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Integer, Select, String, Table, bindparam, delete, exists, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from aurora.kernel.errors import Conflict
from memory import pgvector
from memory.chain import Chain
from memory.embed import reopen_embedder
from memory.items import State
from memory.models import EmbedderModel, ItemModel, VectorModel
from memory.rows import Rows

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.memory import Memory
    from memory.ports import Embedder, Fence

_ITEMS, _VECTORS = cast("Table", ItemModel.__table__), cast("Table", VectorModel.__table__)
_EMBEDDERS = cast("Table", EmbedderModel.__table__)
_PLENTY = 10_000
"""Vectors that are deleted in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reembedded:
    """How far it got."""

    embedder: str
    done: int
    """Items that got a vector by this call."""
    remaining: int
    """Items that still have none under this embedder."""


async def reembed(
    memory: Memory,
    *,
    batch: int = 256,
    batches: int | None = None,
    actor: str = "aurora",
    fence: Fence | None = None,
    report: Callable[[Reembedded], None] | None = None,
    build: bool = False,
) -> Reembedded:
    """Give each item that has no vector under the memory's embedder one, and return how far it got.

    A batch is a transaction: whatever ends it, calling it again goes on from there, and once nothing is left to do it
    does nothing. Texts are embedded outside of transactions. Each batch is an event of the chain and the latest version
    of its items, by which the indexes of other processes take in its vectors. Where PostgreSQL has pgvector, its index
    of the embedder is made first.

    Args:
        memory: Whose items, and under which embedder.
        batch: Items of one transaction.
        batches: So many at most; `None`: until none is left.
        actor: For the chain of events.
        fence: Called first in each transaction; it raises where the writer may write no more.
        report: Called after each batch.
        build: Let pgvector index any number of vectors that there are already; see `memory.pgvector.prepare`.

    Raises:
        AuroraError: the fence, the embedder or the database refused; what was done stays.
    """
    name, dimensions, done, after = memory.embedder.name, memory.embedder.dimensions, 0, 0
    async with memory.transactions.writing() as connection:
        number = await Rows(connection, tenant=memory.tenant).embedder(name, dimensions=dimensions)
        await pgvector.prepare(connection, embedder=number, dimensions=dimensions, build=build)
        total = await _count_without(connection, memory.tenant, number)
    while done < total and batches != 0:
        async with memory.transactions.reading() as connection:
            query = _without(memory.tenant, number).where(_ITEMS.c.seq > after).limit(batch)
            rows = (await connection.execute(query)).all()
        vectors = await memory.embedder.embed([row.text for row in rows])
        async with memory.transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            # Whoever erases locks the chain too: no vector is written of a text that is being erased.
            chain = await Chain.lock(connection, tenant=memory.tenant)
            halves = [vector.tobytes() for vector in vectors.astype("<f2")]
            seqs = [row.seq for row in rows]
            await _insert(connection, memory.tenant, number, seqs, halves)
            if seqs:
                told = {"embedder": name, "items": len(seqs)}
                version = chain.add("reembedded", None, actor=actor, at=memory.clock.now(), details=told)
                await Rows(connection, tenant=memory.tenant).renew(seqs, version=version)
                await chain.flush()
            is_last = done + len(rows) >= total or len(rows) < batch
            if is_last:
                total = done + len(rows) + await _count_without(connection, memory.tenant, number)
        done += len(rows)
        after = 0 if is_last else rows[-1].seq
        batches = None if batches is None else batches - 1
        if report is not None:
            report(Reembedded(embedder=name, done=done, remaining=total - done))
    return Reembedded(embedder=name, done=done, remaining=total - done)


async def drop_old_vectors(memory: Memory, *, fence: Fence | None = None) -> int:
    """Delete a tenant's vectors of every embedder but the memory's, and return how many.

    Raises:
        Conflict: an item has no vector under the memory's embedder yet.
    """
    dropped = 0
    while True:
        async with memory.transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            number = await _id_of(connection, memory.embedder.name)
            left = await _count_without(connection, memory.tenant, number)
            if left:
                raise Conflict(
                    f"{left} items have no vector under {memory.embedder.name} yet: the old ones serve; re-embed first",
                    field="embedder",
                    remaining=left,
                )
            others = select(_VECTORS.c.embedder, _VECTORS.c.seq).where(
                _VECTORS.c.tenant == memory.tenant, _VECTORS.c.embedder != number
            )
            rows = (await connection.execute(others.limit(_PLENTY))).all()
            for other in {row.embedder for row in rows}:
                await connection.execute(
                    delete(_VECTORS).where(
                        _VECTORS.c.tenant == memory.tenant,
                        _VECTORS.c.embedder == other,
                        _VECTORS.c.seq == bindparam("s"),
                    ),
                    [{"s": row.seq} for row in rows if row.embedder == other],
                )
        dropped += len(rows)
        if len(rows) < _PLENTY:
            return dropped


class Transition:
    """Tells under which embedder a tenant is to be searched while the vectors of a new one are made.

    That is the one with the most vectors, until the new one has all that the others have; then it stays.

    Args:
        tenant: Whose memory; from whoever opened it, never from data.
        embedder: The memory's, under which new items are written.
        reopen: Opens an embedder by the name that stands beside its vectors.
    """

    def __init__(
        self, *, tenant: str, embedder: Embedder, reopen: Callable[[str], Embedder | None] = reopen_embedder
    ) -> None:
        self._tenant = tenant
        self._embedder = embedder
        self._reopen = reopen
        self._reopened: dict[str, Embedder | None] = {}
        self._is_over = False
        self._seen = -1
        self.serving = embedder
        """As of the last `settle`: to make the vector of a question before a transaction is begun."""

    async def settle(self, connection: AsyncConnection, *, events: int, is_mixed: bool) -> Embedder:
        """Return the embedder to search under, in this transaction.

        Args:
            connection: In a transaction; it is asked only where the memory has changed since the last time.
            events: Number of the tenant's last event.
            is_mixed: Whether the tenant has vectors of another embedder than the memory's.
        """
        if self._is_over or not is_mixed:
            self.serving = self._embedder
        elif events != self._seen:
            self.serving = await self._most(connection)
            self._seen = events
        return self.serving

    async def _most(self, connection: AsyncConnection) -> Embedder:
        own = await _id_of(connection, self._embedder.name)
        others = select(_EMBEDDERS.c.id, _EMBEDDERS.c.name).where(_EMBEDDERS.c.id != own).order_by(_EMBEDDERS.c.id)
        ahead: dict[int, Embedder] = {}
        for number, name in await connection.execute(others):
            if await _has_more(connection, self._tenant, number, own) and (old := self._again(name)) is not None:
                ahead[number] = old
        self._is_over = not ahead
        serving, most = self._embedder, await self._count(connection, own) if ahead else 0
        for number, old in ahead.items():
            count = await self._count(connection, number)
            if count >= most:
                serving, most = old, count
        return serving

    def _again(self, name: str) -> Embedder | None:
        """Return the embedder of that name; each is opened once, for a model takes a second to load."""
        if name not in self._reopened:
            self._reopened[name] = self._reopen(name)
        return self._reopened[name]

    async def _count(self, connection: AsyncConnection, embedder: int) -> int:
        mine = (_VECTORS.c.tenant == self._tenant) & (_VECTORS.c.embedder == embedder)
        return (await connection.execute(select(func.count()).select_from(_VECTORS).where(mine))).scalar_one()


async def _has_more(connection: AsyncConnection, tenant: str, embedder: int, own: int) -> bool:
    """Tell whether an item has a vector under one embedder, and could have one under another and has not."""
    held = _VECTORS.alias()
    # Vectors are made from the first item to the last: what has none yet is at the end.
    query = (
        _without(tenant, own)
        .join(held, (held.c.seq == _ITEMS.c.seq) & (held.c.tenant == tenant) & (held.c.embedder == embedder))
        .with_only_columns(held.c.seq)
        .order_by(None)
        .order_by(held.c.seq.desc())
    )
    return (await connection.execute(query.limit(1))).first() is not None


def _without(tenant: str, embedder: int) -> Select[Any]:
    """Select what may have a vector and has none under an embedder."""
    has = exists().where(_VECTORS.c.embedder == embedder, _VECTORS.c.seq == _ITEMS.c.seq)
    return (
        select(_ITEMS.c.seq, _ITEMS.c.text)
        .where(_ITEMS.c.tenant == tenant, _ITEMS.c.state != State.ERASED.value, _ITEMS.c.text != "", ~has)
        .order_by(_ITEMS.c.seq)
    )


async def _count_without(connection: AsyncConnection, tenant: str, embedder: int) -> int:
    inner = _without(tenant, embedder).with_only_columns(_ITEMS.c.seq).order_by(None).subquery()
    return (await connection.execute(select(func.count()).select_from(inner))).scalar_one()


async def _id_of(connection: AsyncConnection, name: str) -> int:
    """Return the id of an embedder; -1: it has no vectors here."""
    found = (await connection.execute(select(_EMBEDDERS.c.id).where(_EMBEDDERS.c.name == name))).scalar()
    return -1 if found is None else found


async def _insert(
    connection: AsyncConnection, tenant: str, embedder: int, seqs: Sequence[int], halves: Sequence[bytes]
) -> None:
    if not seqs:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    half = bindparam("half", type_=_VECTORS.c.vector.type)
    kept = select(literal(embedder, Integer), _ITEMS.c.seq, literal(tenant, String), half).where(
        _ITEMS.c.seq == bindparam("of"), _ITEMS.c.tenant == tenant, _ITEMS.c.state != State.ERASED.value
    )
    columns = ["embedder", "seq", "tenant", "vector"]
    statement = dialect.insert(VectorModel).from_select(columns, kept).on_conflict_do_nothing()
    await connection.execute(statement, [{"of": seq, "half": half} for seq, half in zip(seqs, halves, strict=True)])
