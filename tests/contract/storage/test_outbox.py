"""What is still to be told to a broker, and what people decided about breakers; on both databases. Clauses race."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models.task import TaskState
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.circuits import Decided
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON

UNTOLD = timedelta(seconds=5)


async def add_tasks(storage: Storage, ids: Uuid7Factory, *, count: int = 1, **changes: Any) -> list[Any]:
    """Write tasks as they would stand there, with their runs, and return their ids in order."""
    made = [ids() for _ in range(count)]
    rows = [
        {
            "id": each,
            "tenant": "default",
            "run_id": ids(),
            "graph": "triage",
            "thread_id": f"triage:{each}",
            "idempotency_key": str(each),
            "run_at": NOON,
            "created_at": NOON,
            **changes,
        }
        for each in made
    ]
    runs = [
        {
            "id": row["run_id"],
            "tenant": row["tenant"],
            "task_id": row["id"],
            "graph": row["graph"],
            "thread_id": row["thread_id"],
            "outcome": "benign",
            "details": {},
        }
        for row in rows
    ]
    async with storage.writing() as transaction:
        await transaction.connection.execute(insert(TaskModel), rows)
        await transaction.connection.execute(insert(RunModel), runs)
    return made


async def marks(storage: Storage, *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of all tasks, in the order of their ids."""
    chosen = [getattr(TaskModel, name) for name in columns]
    async with storage.reading() as transaction:
        rows = await transaction.connection.execute(select(*chosen).order_by(TaskModel.id))
        return [tuple(row) for row in rows]


class OutboxContract:
    """Run by one class per database, which provides the `storage` fixture."""

    clauses: ClassVar[int] = 10

    async def test_what_is_queued_and_due_and_was_not_told_lately_is_taken(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        clock.advance(timedelta(minutes=1))
        now = clock.now()
        never = await add_tasks(storage, ids, priority=0)
        await add_tasks(storage, ids, notified_at=now - timedelta(seconds=4))
        long_ago = await add_tasks(storage, ids, notified_at=now - timedelta(seconds=6), priority=9, tenant="acme")
        await add_tasks(storage, ids, run_at=now + timedelta(seconds=1))
        await add_tasks(storage, ids, run_at=HELD)
        for state in TaskState:
            if state is not TaskState.QUEUED:
                await add_tasks(storage, ids, state=state.value)
        last = await add_tasks(storage, ids, input={"url": "https://a.example"}, correlation={"case_id": "7"})

        async with storage.writing() as transaction:
            has_due = await transaction.outbox.has_due(now, untold_since=now - UNTOLD)
            taken = await transaction.outbox.take_due(now, untold_since=now - UNTOLD, limit=10)

        assert has_due
        assert [task.id for task in taken] == [*never, *last, *long_ago]
        assert [task.tenant for task in taken] == ["default", "default", "acme"]
        assert (taken[1].input, taken[1].correlation) == ({"url": "https://a.example"}, {"case_id": "7"})

    async def test_what_was_taken_is_left_alone_for_a_while_and_comes_again(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await add_tasks(storage, ids, count=3)
        first = await _take(storage, clock, limit=2)
        second = await _take(storage, clock)
        nothing = await _take(storage, clock)
        clock.advance(UNTOLD)

        again = await _take(storage, clock)

        assert [len(each) for each in (first, second, nothing, again)] == [2, 1, 0, 3]

    async def test_what_no_broker_took_is_due_again_at_once_unless_told_since(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        one, other = await add_tasks(storage, ids, count=2)
        taken_at = clock.now()
        taken = await _take(storage, clock)
        clock.advance(timedelta(seconds=1))
        async with storage.writing() as transaction:
            changed = update(TaskModel).where(TaskModel.id == other).values(notified_at=clock.now())
            await transaction.connection.execute(changed)
            await transaction.outbox.untake(taken, taken_at=taken_at)

        again = await _take(storage, clock)

        assert [task.id for task in again] == [one]

    async def test_relays_that_race_tell_of_each_task_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        made = await add_tasks(storage, ids, count=60)

        taken = await asyncio.gather(*(_take(storage, clock, limit=10) for _ in range(8)))

        assert Counter(task.id for each in taken for task in each) == Counter(made)

    async def test_results_are_told_with_what_listeners_need(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        ended = {"result_due": True, "finished_at": NOON, "epoch": 3}
        (done,) = await add_tasks(storage, ids, state="succeeded", **ended)
        (dead,) = await add_tasks(storage, ids, state="dead", error="aurora.x", tenant="acme", **ended)
        await add_tasks(storage, ids, state="succeeded", finished_at=NOON)
        await add_tasks(storage, ids, state="queued", result_due=True)

        results = await _results(storage, clock)

        assert [each.task_id for each in results] == [done, dead]
        assert (results[0].state, results[0].outcome, results[0].epoch) == (TaskState.SUCCEEDED, "benign", 3)
        assert (results[1].tenant, results[1].error, results[1].finished_at) == ("acme", "aurora.x", NOON)

    async def test_a_result_is_not_held_up_by_the_announcement_of_its_task(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        clock.advance(timedelta(seconds=1))
        await add_tasks(
            storage, ids, state="succeeded", result_due=True, notified_at=NOON, finished_at=NOON + timedelta(seconds=1)
        )

        assert len(await _results(storage, clock)) == 1

    async def test_results_are_shared_by_relays_and_gone_when_published(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        made = await add_tasks(storage, ids, count=20, state="failed", result_due=True, finished_at=NOON)
        clock.advance(timedelta(seconds=1))

        taken = await asyncio.gather(*(_results(storage, clock, limit=5) for _ in range(6)))
        told = [each for part in taken for each in part]
        async with storage.writing() as transaction:
            await transaction.outbox.published(told[:15])
        clock.advance(UNTOLD)
        left = await _results(storage, clock)

        assert Counter(each.task_id for each in told) == Counter(made)
        assert [each.task_id for each in left] == sorted(each.task_id for each in told[15:])

    async def test_a_task_that_ended_again_while_it_was_told_is_told_again(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await add_tasks(storage, ids, state="failed", result_due=True, finished_at=NOON, epoch=1)
        told = await _results(storage, clock)
        async with storage.writing() as transaction:
            await transaction.connection.execute(update(TaskModel).values(epoch=2, state="succeeded"))
            await transaction.outbox.published(told)

        assert await marks(storage, "result_due") == [(True,)]

    async def test_decisions_about_breakers_are_read_in_order_and_only_the_last_stands(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        async with storage.writing() as transaction:
            for key, state in (("a:1", "forced_open"), ("b:2", "disabled"), ("a:1", "reset")):
                await transaction.circuits.decide(key, Decided(state), reason="why", by="ana", now=clock.now())
        async with storage.reading() as transaction:
            stand = await transaction.circuits.decisions()
            new = await transaction.circuits.decisions(2)

        assert [(each.key, each.state.value, each.serial) for each in stand] == [
            ("b:2", "disabled", 2),
            ("a:1", "reset", 3),
        ]
        assert [each.serial for each in new] == [3]
        assert (new[0].reason, new[0].decided_by, new[0].decided_at) == ("why", "ana", NOON)

    async def test_people_who_decide_at_once_get_serials_of_their_own(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        """A serial that comes in behind a larger one would never be read."""
        seen: list[int] = []

        async def decide(number: int) -> None:
            async with storage.writing() as transaction:
                made = await transaction.circuits.decide(
                    f"model:{number}", Decided.FORCED_OPEN, reason="", by="ana", now=clock.now()
                )
                await asyncio.sleep(0)
                seen.append(made.serial)

        await asyncio.gather(*(decide(number) for number in range(8)))

        assert sorted(seen) == list(range(1, 9))
        async with storage.reading() as transaction:
            assert len(await transaction.circuits.decisions()) == 8


class TestOutboxOnSqlite(OutboxContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOutboxOnPostgres(OutboxContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)


def test_no_clause_went_missing() -> None:
    assert sum(name.startswith("test_") for name in dir(OutboxContract)) == OutboxContract.clauses


async def _take(storage: Storage, clock: ManualClock, *, limit: int = 100) -> list[Any]:
    now = clock.now()
    async with storage.writing() as transaction:
        return await transaction.outbox.take_due(now, untold_since=now - UNTOLD, limit=limit)


async def _results(storage: Storage, clock: ManualClock, *, limit: int = 100) -> list[Any]:
    now = clock.now()
    async with storage.writing() as transaction:
        return await transaction.outbox.take_results(now, untold_since=now - UNTOLD, limit=limit)
