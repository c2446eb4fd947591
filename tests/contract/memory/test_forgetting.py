"""Decay, expiry and retention, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from aurora.kernel.errors import LeaseLost
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from aurora.testing import ManualClock
from memory.forgetting import ACTOR, PAGE, Forgetting, Forgotten, RetentionPolicy
from memory.items import NewItem, Source, State, Tier
from memory.jobs import Jobs
from memory.memory import Memory
from memory.models import JobModel
from memory.ports import Transactions
from memory.tiers.episodic import EpisodicMemoryStore
from memory.tiers.semantic import SemanticMemory
from memory.worker import work
from tests.contract.memory.made import MAIL, SENSOR, SPRAY, closed, open_memory

DAY = timedelta(days=1)


@pytest.fixture
def memory(transactions: Transactions, clock: ManualClock, ids: Uuid7Factory) -> Memory:
    return open_memory(transactions, clock=clock, ids=ids)


@pytest.fixture
def forgetting(memory: Memory) -> Forgetting:
    return Forgetting(memory)


async def test_what_has_decayed_is_archived_and_stays_as_evidence(
    forgetting: Forgetting, memory: Memory, clock: ManualClock
) -> None:
    episodes = EpisodicMemoryStore(memory)
    benign = await episodes.store_case(closed("c1"))
    malicious = await episodes.store_case(
        closed("c2", outcome=VerdictLabel.MALICIOUS, summary=UntrustedText(SPRAY + " that worked"))
    )

    clock.advance(400 * DAY)
    done = await forgetting.run()

    states = {each.id: (await memory.get(each.id)).state for each in (benign, malicious)}
    assert done == Forgotten(archived=1)
    assert states == {benign.id: State.ARCHIVED, malicious.id: State.ACTIVE}
    assert (await memory.get(benign.id)).text.startswith(SPRAY)
    assert [each.case.case_id for each in await episodes.recall_cases(SPRAY)] == ["c2"]


async def test_a_second_run_lets_go_of_nothing_more_and_the_chain_tells_of_the_first(
    forgetting: Forgetting, memory: Memory, clock: ManualClock
) -> None:
    await EpisodicMemoryStore(memory).store_case(closed())
    clock.advance(400 * DAY)

    runs = [await forgetting.run(), await forgetting.run()]

    events = await memory.events()
    assert runs == [Forgotten(archived=1), Forgotten()]
    assert [(event.operation, event.actor) for event in events if event.operation == "archived"] == [
        ("archived", ACTOR)
    ]
    assert (await memory.verify_chain()).ok


async def test_what_people_corrected_and_noted_does_not_decay(
    forgetting: Forgetting, memory: Memory, clock: ManualClock
) -> None:
    episodes = EpisodicMemoryStore(memory)
    await episodes.store_case(closed())
    decision = await episodes.correct("c1", VerdictLabel.MALICIOUS, actor="j.doe", reason="seen on the host")
    note = await SemanticMemory(memory).note("Isolating", "Call the plant.", actor="j.doe")

    clock.advance(10_000 * DAY)
    await forgetting.run()

    assert [(await memory.get(each.id)).state for each in (decision, note)] == [State.ACTIVE, State.ACTIVE]


async def test_an_indicator_that_was_seen_lately_has_not_decayed(
    forgetting: Forgetting, memory: Memory, clock: ManualClock
) -> None:
    known = SemanticMemory(memory)
    stale = await known.sight("indicator", "198.51.100.9", source=SENSOR, at=clock.now())
    fresh = await known.sight("indicator", "203.0.113.7", source=SENSOR, at=clock.now())
    clock.advance(400 * DAY)
    again = Source(uri="alert:late", provenance=Provenance.SENSOR)
    await known.sight("indicator", "203.0.113.7", source=again, at=clock.now() - DAY)

    await forgetting.run()

    assert [(await memory.get(each.id)).state for each in (stale, fresh)] == [State.ARCHIVED, State.ACTIVE]


async def test_what_has_expired_is_archived_and_values_of_graphs_are_erased(
    forgetting: Forgetting, memory: Memory, clock: ManualClock
) -> None:
    soon = clock.now() + DAY
    kept = await memory.remember(
        [
            NewItem(tier=Tier.SEMANTIC, kind="fact", text="On leave until Monday", sources=(SENSOR,), expires_at=soon),
            NewItem(tier=Tier.STORE, kind="value", text="a session", sources=(SENSOR,), expires_at=soon, key="k"),
        ],
        actor="test",
    )

    early = await forgetting.run()
    clock.advance(DAY)
    late = await forgetting.run()

    assert (early, late) == (Forgotten(), Forgotten(archived=1, erased=1))
    fact, value = [await memory.get(each.id) for each in kept]
    assert fact.state is State.ARCHIVED
    assert value.state is State.ERASED
    assert "a session" not in value.text


async def test_what_was_kept_as_long_as_the_policy_says_is_erased_archived_or_not(
    memory: Memory, transactions: Transactions, clock: ManualClock
) -> None:
    policy = RetentionPolicy(keep={(Tier.EPISODIC, None): 500 * DAY})
    forgetting = Forgetting(memory, policy)
    kept = await EpisodicMemoryStore(memory).store_case(closed())

    clock.advance(400 * DAY)
    first = await forgetting.run()
    clock.advance(101 * DAY)
    second = await forgetting.run()

    item = await memory.get(kept.id)
    assert (first, second) == (Forgotten(archived=1), Forgotten(erased=1))
    assert SPRAY not in item.text
    assert (await memory.verify_chain()).ok


async def test_nothing_on_legal_hold_is_let_go_of(
    memory: Memory, transactions: Transactions, clock: ManualClock
) -> None:
    policy = RetentionPolicy(keep={(Tier.EPISODIC, None): 10 * DAY}, holds=frozenset({SENSOR.uri}))
    episodes = EpisodicMemoryStore(memory)
    held = await episodes.store_case(closed("c1", sources=(SENSOR,)))
    await episodes.store_case(closed("c2", sources=(MAIL,), summary=UntrustedText("A mail")))

    clock.advance(11 * DAY)
    done = await Forgetting(memory, policy).run()

    item = await memory.get(held.id)
    assert done == Forgotten(erased=1)
    assert item is not None
    assert item.state is State.ACTIVE


async def test_more_than_a_page_is_let_go_of(forgetting: Forgetting, memory: Memory, clock: ManualClock) -> None:
    count = PAGE + 7
    await memory.remember(
        [
            NewItem(tier=Tier.EPISODIC, kind="run", text=f"Run {n}", sources=(SENSOR,), importance=0.1)
            for n in range(count)
        ],
        actor="test",
    )

    clock.advance(200 * DAY)

    assert await forgetting.run() == Forgotten(archived=count)


async def test_another_tenants_items_stay(
    forgetting: Forgetting, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    theirs = EpisodicMemoryStore(open_memory(transactions, clock=clock, ids=ids, tenant="t2"))
    kept = await theirs.store_case(closed())
    clock.advance(400 * DAY)

    done = await forgetting.run()

    assert done == Forgotten()
    assert (await theirs.memory.get(kept.id)).state is State.ACTIVE


async def test_a_day_has_one_run_and_a_worker_that_lost_it_stops(
    forgetting: Forgetting, memory: Memory, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await EpisodicMemoryStore(memory).store_case(closed())
    clock.advance(400 * DAY)
    jobs = Jobs(transactions, "t1", clock, ids)
    asked = [await forgetting.enqueue(jobs), await forgetting.enqueue(jobs)]
    slow = await jobs.claim("slow")
    assert slow is not None
    clock.advance(jobs.patience.lease)
    successor = await jobs.claim("w2")

    with pytest.raises(LeaseLost):
        await forgetting.handler(jobs)(slow)
    before = (await memory.list(tier=Tier.EPISODIC))[0].state
    assert successor is not None
    await forgetting.handler(jobs)(successor)

    assert (asked, before) == ([True, False], State.ACTIVE)
    assert (await memory.list(tier=Tier.EPISODIC, state=State.ARCHIVED)) != []
    assert await work(jobs, {"forget": forgetting.handler(jobs)}, owner="w3") is None


async def test_a_worker_that_loses_its_job_between_looking_and_erasing_erases_nothing(
    memory: Memory, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    policy = RetentionPolicy(keep={(Tier.EPISODIC, None): 10 * DAY})
    kept = await EpisodicMemoryStore(memory).store_case(closed())
    clock.advance(11 * DAY)
    jobs = Jobs(transactions, "t1", clock, ids)
    await Forgetting(memory, policy).enqueue(jobs)
    slow = await jobs.claim("slow")
    assert slow is not None
    guarded: list[bool] = []

    async def fence(connection: AsyncConnection) -> None:
        # Another takes the job over in the moment before the transaction that erases.
        expired = update(JobModel).where(JobModel.tenant == "t1", JobModel.id == slow.id)
        await connection.execute(expired.values(epoch=slow.epoch + 1))
        guarded.append(True)
        await jobs.fence(slow)(connection)

    with pytest.raises(LeaseLost):
        await Forgetting(memory, policy).run(fence=fence)

    item = await memory.get(kept.id)
    assert item is not None
    assert (guarded, item.state) == ([True], State.ACTIVE)
