"""The write path: new items in one transaction, with text index, vectors, sources, links and events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from memory.chain import Chain
from memory.checking import MemoryInvalid
from memory.deciding import Deciding, Met
from memory.guard.trust import memory_ids
from memory.hand import micros
from memory.items import Remembered
from memory.near import MOST, Near, near_among, near_held
from memory.ports import Embedder
from memory.preparing import Prepared
from memory.rows import Held, Rows
from memory.schema import scope_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.ports import Vectors
    from memory.vectors import VectorSearch

_AT_ONCE = 128
"""Items after which other work gets its turn: some 3 ms."""
_PIECE = 1000
"""Rows that are handed to the driver at a time."""


class Searches(Protocol):
    """Hands out the search of a tenant under an embedder."""

    def of(self, tenant: str, *, embedder: int, dimensions: int) -> VectorSearch:
        """Return the search; ask again for each transaction."""


class Writing:
    """Writes prepared items of one tenant. The caller owns the transaction.

    Args:
        tenant: Whose memory it is; from whoever opened it, never from data.
        clock: For `recorded_at`.
        ids: For items that bring none.
        embedder: It made the vectors.
        searches: Where items that say nearly the same are found.
    """

    def __init__(self, *, tenant: str, clock: Clock, ids: IdFactory, embedder: Embedder, searches: Searches) -> None:
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self._embedder = embedder
        self._searches = searches
        self._scope = scope_of(tenant)

    async def write(
        self, connection: AsyncConnection, items: Sequence[Prepared], *, vectors: Vectors, actor: str
    ) -> list[Remembered]:
        """Write the items in their order: each sees what those before it did.

        Args:
            connection: In a transaction that may write, and has not yet.
            items: As `prepare` makes them.
            vectors: Of their texts. A row of zeros is none: `reembed` finds the item.
            actor: Who remembers.

        Raises:
            MemoryInvalid: a link names no item of this memory; the caller's transaction must not commit.
            Conflict: a given id is that of an item of another memory.
        """
        rows = Rows(connection, tenant=self._tenant)
        chain = await Chain.lock(connection, tenant=self._tenant)
        dimensions = self._embedder.dimensions
        embedder = await rows.embedder(self._embedder.name, dimensions=dimensions)
        met = await self._met(rows, items)
        decided = Deciding(tenant=self._tenant, chain=chain, ids=self._ids, actor=actor, now=self._clock.now(), met=met)
        remembered: list[Remembered] = []
        for place, (item, seq) in enumerate(zip(items, await rows.next_seqs(len(items)), strict=True), 1):
            remembered.append(decided.decide(item, seq=seq))
            if not place % _AT_ONCE:
                await asyncio.sleep(0)
        # The index must not see what this transaction writes: it may be rolled back.
        search = self._searches.of(self._tenant, embedder=embedder, dimensions=dimensions)
        near = await near_held(connection, search, vectors)
        among = _among(vectors, decided.standing)
        await self._flush(rows, decided)
        await self._put_vectors(rows, decided, vectors, embedder=embedder)
        links = await self._near(rows, decided, await near, await among)
        await rows.insert_links(
            [
                (rows.id(decided.written[place][0].id), "near", rows.id(to), self._tenant, cosine)
                for place, found in links.items()
                for to, cosine in found
            ]
        )
        await chain.flush()
        for place, found in links.items():
            remembered[place] = replace(remembered[place], near=tuple(to for to, _ in found))
        return remembered

    async def _met(self, rows: Rows, items: Sequence[Prepared]) -> Met:
        """Look up all that the items may meet, in a handful of statements for any number of items."""
        given = {item.id for item in items if item.id is not None}
        named = {each for item in items for each in memory_ids(item.sources)}
        linked = {to for item in items for _, to in item.links}
        known = await rows.known([*(given | named | linked)])
        for item in items:
            for _, to in item.links:
                if to not in given and (to not in known or known[to][0] != self._tenant):
                    raise MemoryInvalid(
                        f"item {item.number}: links names {to}, which is no item of this memory",
                        item=item.number,
                        field="links",
                    )
        same = await rows.by_hash([*{item.content_hash for item in items}])
        return Met(
            same=same,
            facts=await rows.by_fact({fact for item in items if (fact := _fact(item))}),
            named=await rows.by_name({(item.namespace, item.key) for item in items if item.key is not None}),
            known=known,
            uris=await rows.sources_of([*{each.seq for each in same}]) if same else {},
        )

    async def _near(
        self, rows: Rows, decided: Deciding, near: Sequence[Near], among: Mapping[int, Near]
    ) -> dict[int, list[tuple[UUID, float]]]:
        """Return what each new item that stands is linked to, by its place: items held before, and earlier new ones."""
        ids = await rows.standing({seq for place in among for seq, _ in near[place]})
        links: dict[int, list[tuple[UUID, float]]] = {}
        for place, beside in among.items():
            found = [(ids[seq], cosine) for seq, cosine in near[place] if seq in ids]
            found += [(decided.written[other][0].id, cosine) for other, cosine in beside]
            if found:
                links[place] = sorted(found, key=lambda each: -each[1])[:MOST]
        return links

    async def _put_vectors(self, rows: Rows, decided: Deciding, vectors: Vectors, *, embedder: int) -> None:
        halves = vectors.astype("<f2")
        says_something: Any = vectors.any(axis=1)
        await rows.insert_vectors(
            [
                (embedder, held.seq, self._tenant, halves[place].tobytes())
                for place, (held, _) in decided.written.items()
                if says_something[place]
            ]
        )

    async def _flush(self, rows: Rows, decided: Deciding) -> None:
        # First what leaves its name, then what takes it.
        await rows.retire([*decided.retired.values()])
        await rows.touch([held for seq, held in decided.touched.items() if seq not in decided.retired])
        written = [*decided.written.values()]
        for start in range(0, len(written), _PIECE):
            await rows.insert_items([self._row(held, item, rows) for held, item in written[start : start + _PIECE]])
        await rows.insert_sources(
            [(seq, each.uri, self._tenant, each.provenance.value, each.span) for seq, each in decided.sources]
        )
        await rows.insert_links(
            [(rows.id(held), relation, rows.id(to), self._tenant, None) for held, relation, to in decided.links()]
        )

    def _row(self, held: Held, item: Prepared, rows: Rows) -> tuple[object, ...]:
        return (
            held.seq,
            rows.id(held.id),
            self._tenant,
            self._scope,
            item.tier,
            item.kind,
            held.namespace,
            item.key,
            item.subject,
            item.predicate,
            item.object,
            item.text,
            item.terms,
            item.value,
            int(held.trust),
            held.state.value,
            item.importance,
            micros(held.valid_from),
            micros(held.valid_to),
            micros(held.recorded_at),
            micros(held.retired_at),
            rows.id(held.superseded_by),
            micros(held.expires_at),
            item.content_hash,
            item.tokens,
            held.version,
        )


def _fact(item: Prepared) -> tuple[str, str] | None:
    return None if item.subject is None or item.predicate is None else (item.subject, item.predicate)


def _among(vectors: Vectors, places: Sequence[int]) -> Awaitable[dict[int, Near]]:
    """Begin to compare some places of a batch, in a thread and beside the database; the result is what is near each."""
    loop = asyncio.get_running_loop()
    if len(places) <= 1:
        done: asyncio.Future[dict[int, Near]] = loop.create_future()
        done.set_result({place: [] for place in places})
        return done
    return loop.run_in_executor(None, _compared, vectors, places)


def _compared(vectors: Vectors, places: Sequence[int]) -> dict[int, Near]:
    found = near_among(vectors[list(places)])
    return {
        place: [(places[other], cosine) for other, cosine in near] for place, near in zip(places, found, strict=True)
    }
