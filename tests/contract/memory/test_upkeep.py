"""Upkeep: what a scheduler does for the memories of all tenants."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import select

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.consolidation import IDLE, PAGE, THREAD, Consolidation
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, State, Tier
from memory.jobs import KEPT, Jobs
from memory.memory import Memory
from memory.models import JobModel
from memory.ports import Transactions
from memory.recall import Request
from memory.tiers.thread import ThreadMemory
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


async def say(memory: Memory, *texts: str, thread: str = "run-1") -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    await ThreadMemory(memory.transactions, tenant=memory.tenant, thread=thread, clock=memory.clock).add(messages)


async def episodes(memory: Memory, thread: str = "run-1") -> list[tuple[int, int]]:
    found = await memory.history(f"thread:{thread}")
    return sorted((item.value["from"], item.value["to"]) for item in found)


def tending(memory: Memory, ids: Uuid7Factory) -> Upkeep:
    return Upkeep(memory.transactions, lambda _: memory, ids=ids, owner="test")


async def test_a_thread_becomes_an_episode_by_itself_once_nobody_has_spoken_for_a_while(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    upkeep = tending(memory, ids)
    await say(memory, "The gateway saw 203.0.113.7.", "It was blocked on the firewall.")

    await upkeep.round()
    early = await episodes(memory)
    clock.advance(IDLE)
    await upkeep.round()
    idle = await episodes(memory)
    clock.advance(IDLE)
    await upkeep.round()
    again = await episodes(memory)

    assert (early, idle, again) == ([], [(0, 2)], [(0, 2)])


async def test_what_is_said_later_becomes_an_episode_of_its_own_whoever_tends(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    await say(memory, "The gateway saw 203.0.113.7.")
    clock.advance(IDLE)
    await tending(memory, ids).round()
    await say(memory, "It came back.")
    clock.advance(IDLE)

    await asyncio.gather(*(tending(memory, ids).round() for _ in range(3)))

    assert await episodes(memory) == [(0, 1), (1, 2)]


async def test_a_thread_that_was_erased_and_begins_anew_becomes_episodes_again(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    await say(memory, "The gateway saw 203.0.113.7.", "It was blocked.")
    clock.advance(IDLE)
    await tending(memory, ids).round()
    await ThreadMemory(transactions, tenant="t1", thread="run-1", clock=clock).erase()
    clock.advance(IDLE)
    await say(memory, "The printer scans ports.")
    clock.advance(IDLE)

    await tending(memory, ids).round()

    assert await episodes(memory) == [(0, 1), (0, 2)]


async def test_all_idle_threads_are_asked_for_however_many_and_no_other_tenants(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    other = open_memory(transactions, clock=clock, ids=ids, tenant="t2")
    for number in range(PAGE + 1):
        await say(memory, f"Host {number} was seen.", thread=f"run-{number}")
    await say(other, "The printer scans ports.")
    clock.advance(IDLE)
    consolidation = Consolidation(memory, Jobs(transactions, "t1", clock, ids))

    asked = [await consolidation.enqueue_idle(), await consolidation.enqueue_idle()]

    assert asked == [PAGE + 1, 0]
    assert await Jobs(transactions, "t2", clock, ids).waiting() == 0


async def test_a_thread_that_is_erased_before_its_turn_is_no_failure(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory, jobs = open_memory(transactions, clock=clock, ids=ids), Jobs(transactions, "t1", clock, ids)
    await say(memory, "The gateway saw 203.0.113.7.")
    clock.advance(IDLE)
    await Consolidation(memory, jobs).enqueue_idle()
    await ThreadMemory(transactions, tenant="t1", thread="run-1", clock=clock).erase()

    await tending(memory, ids).round()

    assert (await jobs.dead(), await jobs.waiting()) == ([], 0)


async def test_what_was_done_long_ago_is_off_the_list_and_no_thread_is_told_twice_for_it(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory, jobs = open_memory(transactions, clock=clock, ids=ids), Jobs(transactions, "t1", clock, ids)
    upkeep = tending(memory, ids)
    for text in ("The gateway saw 203.0.113.7.", "It came back."):
        await say(memory, text)
        await say(memory, text, thread="gone")
        clock.advance(IDLE)
        await upkeep.round()
    await ThreadMemory(transactions, tenant="t1", thread="gone", clock=clock).erase()

    clock.advance(KEPT + timedelta(days=1))
    await upkeep.round()
    clock.advance(timedelta(days=1))
    await upkeep.round()

    async with transactions.reading() as connection:
        old = select(JobModel.kind, JobModel.payload).where(JobModel.finished_at < clock.now() - KEPT)
        left = [(row.kind, row.payload.get("thread")) for row in await connection.execute(old)]
    assert left == [(THREAD, "run-1")], "where the thread stands is known by its last job"
    assert await episodes(memory) == [(0, 1), (1, 2)]
    assert await jobs.waiting() == 0
