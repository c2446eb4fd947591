"""What was remembered is recalled by its meaning before, during and after the change to another embedder."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.connections import Database
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory
from memory.ports import Embedder
from memory.recall import Request
from memory.recall.fusion import HASHED, LEARNED
from memory.reembedding import drop_old_vectors, reembed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.ports import Transactions, Vectors

OLD = HashingEmbedder(dimensions=128)
SPRAY = "spraying passwords at concentrators"
QUESTION = "respraying mispasswords subconcentrators"
"""Spelled alike, and no word of it is a word of the text: only vectors of hashed letters find it."""

FILLING = (
    "a macro opened calc on the desk of a clerk",
    "the mail gateway ran cmd as a service",
    "beacons every minute to a young domain",
    "a worm crossed the file share at night",
    "an admin logged on from abroad twice",
)


class Meaning:
    """The new embedder: it knows that spraying is guessing, and nothing that the old one knows."""

    name = "meaning@1"
    dimensions = 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            place = 0 if re.search("spray|guess", text) else 1 + sum(text.encode()) % (self.dimensions - 1)
            vectors[row, place] = 1.0
        return vectors


class Counted:
    """Counts the transactions that read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writing = database.writing
        self.reads = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        self.reads += 1
        async with self._database.reading() as connection:
            yield connection


class House:
    """Opens memories on one database; each as a process of its own would."""

    def __init__(self, transactions: Database, clock: ManualClock, ids: Uuid7Factory) -> None:
        self.transactions = transactions
        self._clock = clock
        self._ids = ids

    def memory(self, embedder: Embedder, *, transactions: Transactions | None = None) -> Memory:
        return Memory(
            transactions or self.transactions, tenant="t1", clock=self._clock, ids=self._ids, embedder=embedder
        )

    async def keep(self, embedder: Embedder, *texts: str) -> None:
        people = (Source(uri="user:ada", provenance=Provenance.HUMAN),)
        items = [NewItem(tier=Tier.EPISODIC, kind="case", text=text, sources=people) for text in texts]
        await self.memory(embedder).remember(items, actor="user:ada")


@pytest.fixture
async def house(transactions: Database, clock: ManualClock, ids: Uuid7Factory) -> House:
    """A house whose memory was filled under the old embedder. The text that is asked for was written last."""
    house = House(transactions, clock, ids)
    await house.keep(OLD, *FILLING, SPRAY)
    return house


async def recalled(memory: Memory, query: str) -> list[str]:
    found = await memory.recall(Request(query=query, floor=0.0, limit=1))
    return [str.__str__(hit.item.text) for hit in found.items]


async def test_it_is_found_by_its_meaning_before_during_and_after(house: House) -> None:
    memory = house.memory(Meaning())
    assert await recalled(memory, QUESTION) == [SPRAY], "before"

    await reembed(house.memory(Meaning()), batch=2, batches=2)
    assert await recalled(memory, QUESTION) == [SPRAY], "during"
    assert await recalled(house.memory(Meaning()), QUESTION) == [SPRAY], "during, in a fresh process"

    await reembed(house.memory(Meaning()))
    assert await recalled(memory, "guesses") == [SPRAY], "after"
    assert await recalled(house.memory(Meaning()), "guesses") == [SPRAY], "after, in a fresh process"

    await drop_old_vectors(memory)
    assert await recalled(memory, "guesses") == [SPRAY], "when the old vectors are gone"


async def test_two_memories_of_one_process_change_over_together(house: House) -> None:
    new = Meaning()
    first, second = house.memory(new), house.memory(new)
    assert [await recalled(each, QUESTION) for each in (first, second)] == [[SPRAY], [SPRAY]]

    await reembed(first)

    assert [await recalled(each, "guesses") for each in (first, second)] == [[SPRAY], [SPRAY]]


async def test_what_is_written_meanwhile_ends_no_service_of_the_old_vectors(house: House) -> None:
    memory = house.memory(Meaning())
    assert await recalled(memory, QUESTION) == [SPRAY]

    await house.keep(Meaning(), "a scanner looked at every port")

    assert await recalled(memory, QUESTION) == [SPRAY]
    assert await recalled(memory, "scanner port") == ["a scanner looked at every port"], "by its words"


async def test_items_that_still_have_no_vector_at_all_do_not_bring_the_old_ones_back(house: House) -> None:
    await reembed(house.memory(Meaning()))
    later = NewItem(
        tier=Tier.EPISODIC,
        kind="outcome",
        text="judged benign",
        sources=(Source(uri="user:ada", provenance=Provenance.HUMAN),),
    )
    await house.memory(Meaning()).remember([later], actor="user:ada", embeds=False)

    assert await recalled(house.memory(Meaning()), "guesses") == [SPRAY]


async def test_the_share_of_vectors_is_that_of_the_embedder_that_serves(house: House) -> None:
    async def share() -> float:
        (hit,) = (await house.memory(Meaning()).recall(Request(query=QUESTION, floor=0.0, limit=1))).items
        assert (hit.parts["text"], hit.parts["vector"]) == (0.0, 1.0)
        return hit.score / prod(factor for name, factor in hit.parts.items() if name not in {"text", "vector"})

    assert await share() == pytest.approx(HASHED.alpha)

    await reembed(house.memory(Meaning()))

    assert await share() == pytest.approx(LEARNED.alpha)


async def test_without_other_vectors_a_recall_is_one_transaction_and_so_it_is_after_a_change(house: House) -> None:
    counted, old = Counted(house.transactions), Counted(house.transactions)
    memory = house.memory(Meaning(), transactions=counted)

    await recalled(house.memory(OLD, transactions=old), QUESTION)
    assert old.reads == 1

    await recalled(memory, QUESTION)
    assert counted.reads == 2, "the question is embedded anew, outside of the transaction"
    await recalled(memory, QUESTION)
    assert counted.reads == 3

    await reembed(house.memory(Meaning()))
    await recalled(memory, "guesses")
    counted.reads = 0
    await recalled(memory, "guesses")
    assert counted.reads == 1
