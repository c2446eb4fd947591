"""Upkeep: what a scheduler does for the memories of all tenants."""

from __future__ import annotations

from datetime import timedelta

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, State, Tier
from memory.memory import Memory
from memory.ports import Transactions
from memory.recall import Request
from memory.upkeep import Upkeep
from tests.contract.memory.made import open_memory


class Wide(HashingEmbedder):
    """Another embedder, as after a change of the settings."""

    @property
    def name(self) -> str:
        return "wide-1"


async def test_a_round_puts_away_what_has_decayed_and_makes_the_vectors_that_are_missing(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    old = open_memory(transactions, clock=clock, ids=ids, tenant="t1")
    (kept,) = await old.remember(
        [
            NewItem(
                tier=Tier.EPISODIC,
                kind="run",
                text="a port scan from the printer",
                importance=0.1,
                sources=(Source(uri="run:1", provenance=Provenance.AGENT_DERIVED),),
            )
        ],
        actor="aurora",
    )
    clock.advance(timedelta(days=2000))

    def memory(tenant: str) -> Memory:
        return Memory(transactions, tenant=tenant, clock=clock, ids=ids, embedder=Wide())

    upkeep = Upkeep(transactions, memory, ids=ids, owner="test")
    first, second = await upkeep.round(), await upkeep.round()

    found = await old.get(kept.id)
    assert found is not None
    assert found.state is State.ARCHIVED
    assert (first.tenants, first.vectors) == (1, 1)
    assert first.jobs >= 1
    assert (second.jobs, second.vectors) == (0, 0)


async def test_without_memories_there_is_nothing_to_do(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    upkeep = Upkeep(transactions, lambda _: open_memory(transactions, clock=clock, ids=ids), ids=ids, owner="test")

    done = await upkeep.round()

    assert (done.tenants, done.jobs, done.vectors) == (0, 0, 0)


async def test_what_was_kept_without_a_vector_is_found_by_its_words_and_gets_one_later(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    item = NewItem(
        tier=Tier.EPISODIC,
        kind="run",
        text="a port scan from the printer",
        sources=(Source(uri="run:1", provenance=Provenance.AGENT_DERIVED),),
    )
    (kept,) = await memory.remember([item], actor="aurora", embeds=False)
    before = (await memory.stats()).vectors

    found = await memory.recall(Request(query="printer port scan"))
    done = await Upkeep(transactions, lambda _: memory, ids=ids, owner="test").round()

    assert [hit.item.id for hit in found.items] == [kept.id]
    assert before == {}
    assert done.vectors == 1
    assert (await memory.stats()).vectors == {memory.embedder.name: 1}
