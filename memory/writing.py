"""The write path: new items in one transaction, with text index, vectors, sources, links and events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from memory.chain import Chain
from memory.checking import MemoryInvalid
from memory.deciding import Deciding, Met
from memory.guard.trust import memory_ids
from memory.hand import micros
from memory.items import Remembered
from memory.near import MOST, Near, known, near_among, near_held
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
        self, connection: AsyncConnection, items: Sequence[Prepared], *, vectors: Vectors | None, actor: str
    ) -> list[Remembered]:
        """Write the items in their order: each sees what those before it did.

        Args:
            connection: In a transaction that may write, and has not yet.
            items: As `prepare` makes them.
            vectors: Of their texts. `None`, or a row of zeros: none yet, and `reembed` finds the item.
            actor: Who remembers.

        Raises:
            MemoryInvalid: a link names no item of this memory; the caller's transaction must not commit.
            Conflict: a given id is that of an item of another memory.
        """
        rows = Rows(connection, tenant=self._tenant)
        chain = await Chain.lock(connection, tenant=self._tenant)
        embedder, seqs, met = await rows.at_once(
            rows.embedder(self._embedder.name, dimensions=self._embedder.dimensions),
            rows.next_seqs(len(items)),
            self._met(rows, items),
        )
        decided = Deciding(tenant=self._tenant, chain=chain, ids=self._ids, actor=actor, now=self._clock.now(), met=met)
        remembered: list[Remembered] = []
        for place, (item, seq) in enumerate(zip(items, seqs, strict=True), 1):
            remembered.append(decided.decide(item, seq=seq))
            if not place % _AT_ONCE:
                await asyncio.sleep(0)
        near, among = await self._compare(connection, decided, vectors, embedder=embedder)
        await self._flush(rows, decided, vectors, embedder=embedder)
        links = await self._near(rows, decided, await near, await among)
        beside = [
            (rows.id(decided.written[place][0].id), "near", rows.id(to), self._tenant, cosine)
            for place, found in links.items()
            for to, cosine in found
        ]
        await rows.at_once(rows.insert_links(beside), chain.flush())
        for place, found in links.items():
            remembered[place] = replace(remembered[place], near=tuple(to for to, _ in found))
        return remembered

    async def _met(self, rows: Rows, items: Sequence[Prepared]) -> Met:
        """Look up all that the items may meet, in a handful of statements for any number of items."""
        given = {item.id for item in items if item.id is not None}
        named = {each for item in items for each in memory_ids(item.sources)}
        linked = {to for item in items for _, to in item.links}
        items_known = await rows.known([*(given | named | linked)])
        for item in items:
            for _, to in item.links:
                if to not in given and (to not in items_known or items_known[to][0] != self._tenant):
                    raise MemoryInvalid(
                        f"item {item.number}: links names {to}, which is no item of this memory",
                        item=item.number,
                        field="links",
                    )
        same, facts, names = await rows.at_once(
            rows.by_hash([*{item.content_hash for item in items}]),
            rows.by_fact({fact for item in items if (fact := _fact(item))}),
            rows.by_name({(item.namespace, item.key) for item in items if item.key is not None}),
        )
        return Met(
            same=same,
            facts=facts,
            named=names,
            known=items_known,
            uris=await rows.sources_of([*{each.seq for each in same}]) if same else {},
        )

    async def _compare(
        self, connection: AsyncConnection, decided: Deciding, vectors: Vectors | None, *, embedder: int
    ) -> tuple[Awaitable[list[Near]], Awaitable[dict[int, Near]]]:
        """Begin to look for what is near new items: seqs of what was held before, places of those before them.

        Call it before the first write: the index must not see what may be rolled back.
        """
        if vectors is None:
            return known([]), known({})
        search = self._searches.of(self._tenant, embedder=embedder, dimensions=self._embedder.dimensions)
        return await near_held(connection, search, vectors), _among(vectors, decided.standing)

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

    async def _flush(self, rows: Rows, decided: Deciding, vectors: Vectors | None, *, embedder: int) -> None:
        # First what leaves its name, then what takes it.
        await rows.retire([*decided.retired.values()])
        await rows.touch([held for seq, held in decided.touched.items() if seq not in decided.retired])
        written = [*decided.written.values()]
        pieces = [written[start : start + _PIECE] for start in range(0, len(written), _PIECE)]
        for piece in pieces[:-1]:
            await rows.insert_items([self._row(held, item, rows) for held, item in piece])
        last = [self._row(held, item, rows) for held, item in pieces[-1]] if pieces else []
        sources = [(seq, each.uri, self._tenant, each.provenance.value, each.span) for seq, each in decided.sources]
        links = [(rows.id(held), relation, rows.id(to), self._tenant, None) for held, relation, to in decided.links()]
        halves = {} if vectors is None else _halves(vectors, decided.written)
        kept = [(embedder, decided.written[place][0].seq, self._tenant, half) for place, half in halves.items()]
        await rows.at_once(
            rows.insert_items(last), rows.insert_sources(sources), rows.insert_links(links), rows.insert_vectors(kept)
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


def _halves(vectors: Vectors, places: Iterable[int]) -> dict[int, bytes]:
    """Return the vectors of some places as they are stored, without those of zeros."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    halves, says_something = vectors.astype("<f2"), np.count_nonzero(vectors, axis=1).tolist()
    return {place: halves[place].tobytes() for place in places if says_something[place]}


def _among(vectors: Vectors, places: Sequence[int]) -> Awaitable[dict[int, Near]]:
    """Begin to compare some places of a batch, in a thread and beside the database; the result is what is near each."""
    if len(places) <= 1:
        return known({place: [] for place in places})
    return asyncio.get_running_loop().run_in_executor(None, _compared, vectors, places)


def _compared(vectors: Vectors, places: Sequence[int]) -> dict[int, Near]:
    found = near_among(vectors[list(places)])
    return {
        place: [(places[other], cosine) for other, cosine in near] for place, near in zip(places, found, strict=True)
    }
