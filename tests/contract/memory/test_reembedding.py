"""Another embedder: old vectors serve until all items have new ones, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import func, select

from aurora.kernel.errors import Conflict
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.connections import Database
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory
from memory.models import EmbedderModel, VectorModel
from memory.ports import Embedder
from memory.recall.sql import Statements
from memory.reembedding import Reembedded, Transition, drop_old_vectors, reembed
from memory.scanning import VectorScans

if TYPE_CHECKING:
    from memory.ports import Vectors

OLD = HashingEmbedder(dimensions=128)
NEW = HashingEmbedder(dimensions=256)


class Watched:
    """Embeds as `NEW` does, and calls back before each batch."""

    name = NEW.name
    dimensions = NEW.dimensions

    def __init__(self) -> None:
        self.batches: list[Sequence[str]] = []
        self.fails_at = -1
        self.meanwhile: Memory | None = None
        self.erase: UUID | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if len(self.batches) == self.fails_at:
            self.fails_at = -1
            raise InterruptedError
        self.batches.append(texts)
        if self.meanwhile is not None and self.erase is not None:
            erased, self.erase = self.erase, None
            await self.meanwhile.forget([erased], actor="user:ada", reason="asked for")
        return await NEW.embed(texts)


class House:
    """Opens memories on one database."""

    def __init__(self, transactions: Database, clock: ManualClock, ids: Uuid7Factory) -> None:
        self.transactions = transactions
        self._clock = clock
        self._ids = ids

    def memory(self, embedder: Embedder, *, tenant: str = "t1") -> Memory:
        return Memory(
            self.transactions, tenant=tenant, clock=self._clock, ids=self._ids, embedder=embedder, index=VectorScans()
        )

    async def filled(self, count: int = 10, *, tenant: str = "t1") -> list[UUID]:
        """Remember cases under the old embedder."""
        people = (Source(uri="user:ada", provenance=Provenance.HUMAN),)
        items = [
            NewItem(tier=Tier.EPISODIC, kind="case", text=f"{word} seen on host {number}", sources=people)
            for number, word in enumerate((["beacon", "spray", "shell", "macro", "worm"] * count)[:count])
        ]
        return [each.id for each in await self.memory(OLD, tenant=tenant).remember(items, actor="user:ada")]

    async def vectors(self) -> dict[tuple[str, str], int]:
        """Return how many vectors there are by tenant and embedder."""
        query = (
            select(VectorModel.tenant, EmbedderModel.name, func.count())
            .join(EmbedderModel, EmbedderModel.id == VectorModel.embedder)
            .group_by(VectorModel.tenant, EmbedderModel.name)
        )
        async with self.transactions.reading() as connection:
            return {(tenant, name): count for tenant, name, count in await connection.execute(query)}


@pytest.fixture
def house(transactions: Database, clock: ManualClock, ids: Uuid7Factory) -> House:
    return House(transactions, clock, ids)


async def serving(memory: Memory, transition: Transition) -> str:
    async with memory.transactions.reading() as connection:
        head = await Statements(connection, tenant="t1").head(NEW.name, own=NEW.name)
        return (await transition.settle(connection, events=head.events, is_mixed=head.is_mixed)).name


async def test_every_item_of_the_tenant_gets_a_vector_and_no_other_tenants(house: House) -> None:
    await house.filled(10)
    await house.filled(3, tenant="t2")
    told: list[Reembedded] = []

    done = await reembed(house.memory(NEW), batch=4, report=told.append)

    assert done == Reembedded(embedder=NEW.name, done=10, remaining=0)
    assert [(each.done, each.remaining) for each in told] == [(4, 6), (8, 2), (10, 0)]
    assert await house.vectors() == {("t1", OLD.name): 10, ("t1", NEW.name): 10, ("t2", OLD.name): 3}


async def test_done_twice_it_does_nothing_the_second_time(house: House) -> None:
    await house.filled()
    memory = house.memory(NEW)
    await reembed(memory)
    before = len(await memory.events())

    again = await reembed(memory)

    assert again == Reembedded(embedder=NEW.name, done=0, remaining=0)
    assert len(await memory.events()) == before
    assert (await memory.verify_chain()).ok


async def test_what_was_interrupted_goes_on_where_it_stood(house: House) -> None:
    await house.filled(10)
    embedder = Watched()
    embedder.fails_at = 2
    memory = house.memory(embedder)
    with pytest.raises(InterruptedError):
        await reembed(memory, batch=3)
    assert (await house.vectors())["t1", NEW.name] == 6

    done = await reembed(memory, batch=3)

    assert done == Reembedded(embedder=NEW.name, done=4, remaining=0)
    texts = [text for batch in embedder.batches for text in batch]
    assert len(texts) == len(set(texts)) == 10, "a text was embedded twice"


async def test_it_stops_after_so_many_batches(house: House) -> None:
    await house.filled(10)

    done = await reembed(house.memory(NEW), batch=3, batches=2)

    assert done == Reembedded(embedder=NEW.name, done=6, remaining=4)


async def test_two_at_once_do_it_once(house: House) -> None:
    await house.filled(10)

    await asyncio.gather(*(reembed(house.memory(NEW), batch=2) for _ in range(3)))

    assert (await house.vectors())["t1", NEW.name] == 10


async def test_no_vector_is_written_of_a_text_that_is_erased_meanwhile(house: House) -> None:
    first, *_ = await house.filled(5)
    embedder = Watched()
    memory = house.memory(embedder)
    embedder.meanwhile, embedder.erase = house.memory(OLD), first

    done = await reembed(memory)

    assert done.remaining == 0
    assert await house.vectors() == {("t1", OLD.name): 4, ("t1", NEW.name): 4}


async def test_old_vectors_serve_until_the_last_item_has_a_new_one(house: House) -> None:
    await house.filled(6)
    memory = house.memory(NEW)
    transition = Transition(tenant="t1", embedder=NEW)
    assert await serving(memory, transition) == OLD.name

    await reembed(memory, batch=2, batches=2)
    assert await serving(memory, transition) == OLD.name

    await reembed(memory)
    assert await serving(memory, transition) == NEW.name


async def test_where_the_old_embedder_is_not_to_be_had_the_new_one_serves(house: House) -> None:
    await house.filled(6)
    transition = Transition(tenant="t1", embedder=NEW, reopen=lambda _name: None)

    assert await serving(house.memory(NEW), transition) == NEW.name


async def test_an_index_that_was_loaded_half_way_has_all_in_the_end(house: House) -> None:
    await house.filled(6)
    other = house.memory(NEW)
    (query,) = await NEW.embed(["beacon"])

    async def found() -> int:
        async with other.transactions.reading() as connection:
            search = other.searches.of("t1", embedder=2, dimensions=NEW.dimensions)
            return len((await search.search(connection, query, k=10))[0])

    await reembed(house.memory(NEW), batch=2, batches=1)
    assert await found() == 2

    await reembed(house.memory(NEW))

    assert await found() == 6


async def test_old_vectors_are_dropped_only_when_nothing_needs_them(house: House) -> None:
    await house.filled(6)
    await house.filled(3, tenant="t2")
    memory = house.memory(NEW)
    await reembed(memory, batch=2, batches=2)
    with pytest.raises(Conflict, match="2 items have no vector"):
        await drop_old_vectors(memory)

    await reembed(memory)

    assert await drop_old_vectors(memory) == 6
    assert await drop_old_vectors(memory) == 0
    assert await house.vectors() == {("t1", NEW.name): 6, ("t2", OLD.name): 3}


async def test_a_fence_stops_it_before_it_writes(house: House) -> None:
    await house.filled(6)

    async def fence(_connection: object) -> None:
        raise Conflict("the lease was lost")

    with pytest.raises(Conflict, match="lease"):
        await reembed(house.memory(NEW), fence=fence)

    assert ("t1", NEW.name) not in await house.vectors()
