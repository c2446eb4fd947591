"""What every database must do for those who bring work, and for those who lend a hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar

import pytest

from aurora.kernel.errors import Conflict, NotFound, QuotaExceeded
from aurora.kernel.models.task import Lane, TaskState
from aurora.storage.models.task import HELD
from tests.contract.ledger.house import House, failed, parked, racing, succeeded


class PeopleContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 20

    async def test_twenty_that_submit_one_key_submit_one_task(self, house: House) -> None:
        tasks = [house.task(idempotency_key="same") for _ in range(20)]

        async def submit(task: object) -> object:
            async with house.storage.writing() as transaction:
                return await transaction.tasks.submit(task)  # type: ignore[arg-type]

        ids = await asyncio.gather(*(submit(task) for task in tasks))

        assert len(set(ids)) == 1
        assert await house.states() == {"queued": 1}
        winner = next(task for task in tasks if task.id == ids[0])
        assert (await house.run(winner)).task_id == winner.id

    async def test_a_key_belongs_to_its_tenant(self, house: House) -> None:
        await house.submit(idempotency_key="same")
        await house.submit(idempotency_key="same", tenant="other")

        assert sorted(task.tenant for task in await house.claim()) == ["default", "other"]

    async def test_a_task_comes_back_as_it_was_given(self, house: House) -> None:
        given = house.task(
            input={"a": [1, {"b": None}], "é": "☃"},
            correlation={"case_id": "c"},
            deadline=house.clock.now() + timedelta(days=1),
            run_at=house.clock.now() + timedelta(minutes=1),
            traceparent="00-ab",
            agent_type="host",
            priority=9,
            max_attempts=7,
        )
        async with house.storage.writing() as transaction:
            await transaction.tasks.submit(given)

        async with house.storage.reading() as transaction:
            assert await transaction.tasks.get(given.id) == given
            assert await transaction.tasks.find(given.id.hex[-12:]) == given
            with pytest.raises(NotFound):
                await transaction.tasks.find("xyz1")
            with pytest.raises(NotFound):
                await transaction.tasks.find("00000000")

    async def test_what_is_rolled_back_was_not_submitted(self, house: House) -> None:
        async def submit_and_fail() -> None:
            async with house.storage.writing() as transaction:
                await transaction.tasks.submit(house.task())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await submit_and_fail()

        assert await house.states() == {}

    async def test_announced_tasks_are_left_to_those_who_announce_them(self, house: House) -> None:
        one, two = house.task(), house.task()
        async with house.storage.writing() as transaction:
            await transaction.tasks.submit(one, announced=True)
            await transaction.tasks.submit(two)

        assert [(await house.row(task)).notified_at for task in (one, two)] == [house.clock.now(), None]

    async def test_a_quota_holds_under_race(self, house: House) -> None:
        async def submit(task: object) -> object:
            async with house.storage.writing() as transaction:
                return await transaction.tasks.submit(task, max_queued=7)  # type: ignore[arg-type]

        found = await racing(*(submit(house.task()) for _ in range(20)))

        refused = [each for each in found if isinstance(each, BaseException)]
        assert await house.states() == {"queued": 7}
        assert {type(each) for each in refused} == {QuotaExceeded}
        assert all(each.context["retry_after_s"] > 0 for each in refused if isinstance(each, QuotaExceeded))

    async def test_a_quota_is_of_queued_tasks_of_one_tenant_and_refuses_no_known_key(self, house: House) -> None:
        (known,) = await house.submit(idempotency_key="known")
        await house.submit(3, tenant="other")
        async with house.storage.writing() as transaction:
            again = await transaction.tasks.submit(house.task(idempotency_key="known"), max_queued=1)
            with pytest.raises(QuotaExceeded):
                await transaction.tasks.submit(house.task(), max_queued=1)
        await house.claim()
        async with house.storage.writing() as transaction:
            await transaction.tasks.submit(house.task(), max_queued=1)

        assert again == known.id

    async def test_what_is_queued_or_waits_is_cancelled_at_once(self, house: House) -> None:
        await house.submit()
        (waiting,) = await house.claim()
        await house.end(parked(waiting))
        (queued,) = await house.submit()
        (held,) = await house.submit(run_at=HELD)

        states = [await house.cancel(task) for task in (waiting, queued, held)]

        assert states == [TaskState.CANCELLED] * 3
        assert await house.claim() == []
        assert (await house.run(queued)).finished_at == house.clock.now()
        assert await house.history(queued) == ["cancelled"]

    async def test_what_has_ended_cannot_be_cancelled(self, house: House) -> None:
        await house.submit(2)
        one, two = await house.claim()
        await house.end(succeeded(one), failed(two))

        for task in (one, two):
            with pytest.raises(Conflict):
                await house.cancel(task)
        with pytest.raises(NotFound):
            await house.cancel(house.task())

    async def test_cancelling_races_claiming(self, house: House) -> None:
        """Each task is cancelled, or it runs and is asked to stop."""
        tasks = await house.submit(10)

        found = await racing(
            *(house.cancel(task) for task in tasks), *(house.claim(f"w{n}", limit=3) for n in range(4))
        )

        assert not [each for each in found if isinstance(each, BaseException)]
        rows = [await house.row(task) for task in tasks]
        assert all(row.state == "cancelled" or (row.state, row.cancel_requested) == ("running", True) for row in rows)

    async def test_of_many_that_cancel_one_does(self, house: House) -> None:
        (task,) = await house.submit()

        found = await racing(*(house.cancel(task) for _ in range(8)))

        assert sum(each is TaskState.CANCELLED for each in found) == 1
        assert sum(isinstance(each, Conflict) for each in found) == 7
        assert await house.history(task) == ["cancelled"]

    @pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.DEAD])
    async def test_a_person_has_it_tried_again(self, house: House, state: TaskState) -> None:
        await house.submit(deadline=house.clock.now() + timedelta(seconds=1))
        (task,) = await house.claim()
        await house.begin(task)
        await house.end(failed(task, state))
        house.clock.advance(timedelta(seconds=5))

        await house.retry(task)
        (second,) = await house.claim()

        row = await house.row(task)
        assert (second.run_id, second.attempt, second.epoch, second.deadline) == (task.run_id, 1, 2, None)
        assert second.graph_version == "2.0"
        assert (row.error, row.finished_at) == (None, None)
        assert (await house.run(task)).finished_at is None
        assert await house.history(task) == [state.value, "retried_by_hand"]

    async def test_what_is_cancelled_or_for_later_is_tried_now(self, house: House) -> None:
        (cancelled,) = await house.submit()
        await house.cancel(cancelled)
        (later,) = await house.submit(run_at=house.clock.now() + timedelta(hours=1))

        await house.retry(cancelled)
        await house.retry(later)

        assert {task.id for task in await house.claim()} == {cancelled.id, later.id}

    async def test_what_runs_waits_or_succeeded_is_not_tried_again(self, house: House) -> None:
        (held,) = await house.submit(run_at=HELD)
        await house.submit(3)
        one, two, three = await house.claim()
        await house.end(parked(one), succeeded(two))

        for task in (held, one, two, three):
            with pytest.raises(Conflict):
                await house.retry(task)
        with pytest.raises(NotFound):
            await house.retry(house.task())

    async def test_a_dead_letter_is_replayed_as_a_task_of_its_own(self, house: House) -> None:
        await house.submit(input={"n": 7}, correlation={"case_id": "c"}, priority=8, idempotency_key="k" * 195)
        (task,) = await house.claim()
        await house.end(failed(task, TaskState.DEAD))

        async with house.storage.writing() as transaction:
            first = await transaction.tasks.replay(task.id, house.clock.now(), house.ids)
            second = await transaction.tasks.replay(task.id, house.clock.now(), house.ids)
        claimed = await house.claim()

        assert [each.id for each in claimed] == [first.id, second.id]
        assert all((each.input, each.priority, each.attempt) == ({"n": 7}, 8, 1) for each in claimed)
        assert len({task.run_id, first.run_id, second.run_id}) == 3
        assert len({task.thread_id, first.thread_id, second.thread_id}) == 3
        assert first.idempotency_key.endswith("#replay:1")
        assert second.idempotency_key.endswith("#replay:2")
        assert (await house.row(task)).state == "dead"
        assert await house.history(task) == ["dead", "replayed", "replayed"]

    async def test_only_dead_letters_are_replayed(self, house: House) -> None:
        (task,) = await house.submit()

        async with house.storage.writing() as transaction:
            with pytest.raises(Conflict):
                await transaction.tasks.replay(task.id, house.clock.now(), house.ids)

    async def test_what_waits_past_its_deadline_fails(self, house: House) -> None:
        soon, later = house.clock.now() + timedelta(seconds=5), house.clock.now() + timedelta(hours=1)
        await house.submit(2, deadline=soon)
        waiting, running = await house.claim()
        await house.end(parked(waiting))
        (queued,) = await house.submit(deadline=soon)
        (fresh,) = await house.submit(deadline=later)
        house.clock.advance(timedelta(seconds=6))

        async def expire() -> list[object]:
            async with house.storage.writing() as transaction:
                return [each.id for each in await transaction.tasks.expire(house.clock.now(), 10)]

        expired = await asyncio.gather(expire(), expire())

        assert sorted([*expired[0], *expired[1]]) == sorted([waiting.id, queued.id])
        states = [(await house.row(task)).state for task in (waiting, queued, running, fresh)]
        assert states == ["failed", "failed", "running", "queued"]
        assert (await house.row(queued)).error == "aurora.runtime.deadline"
        assert await house.history(queued) == ["failed"]

    async def test_a_task_past_its_deadline_is_claimed_to_be_failed(self, house: House) -> None:
        await house.submit(deadline=house.clock.now() - timedelta(seconds=1))

        assert len(await house.claim()) == 1

    async def test_what_is_queued_is_counted_by_lane(self, house: House) -> None:
        now = house.clock.now()
        for priority, age in ((9, 3), (5, 2), (4, 7), (0, 1)):
            await house.submit(priority=priority, run_at=now - timedelta(minutes=age))
        await house.submit(2, priority=0, run_at=HELD)
        await house.submit(priority=8, run_at=now + timedelta(minutes=1))
        await house.submit(tenant="other")

        async with house.storage.reading() as transaction:
            counts = await transaction.tasks.queued_by_lane()
            oldest = await transaction.tasks.oldest_queued(now)

        assert counts == {Lane.CRITICAL: 1, Lane.HIGH: 1, Lane.NORMAL: 2, Lane.BULK: 1}
        assert {lane: (now - at) / timedelta(minutes=1) for lane, at in oldest.items()} == {
            Lane.CRITICAL: 3,
            Lane.NORMAL: 7,
            Lane.BULK: 1,
        }

    async def test_tasks_are_listed_the_newest_first_and_of_one_tenant(self, house: House) -> None:
        tasks = await house.submit(3)
        (hunt,) = await house.submit(graph="hunt")
        await house.submit(tenant="other")
        await house.cancel(tasks[0])

        async with house.storage.reading() as transaction:
            everything = await transaction.tasks.list(limit=3)
            queued = await transaction.tasks.list(state=TaskState.QUEUED, graph="triage")
        async with house.storage.of("other").writing() as transaction:
            with pytest.raises(NotFound):
                await transaction.tasks.get(hunt.id)
            with pytest.raises(NotFound):
                await transaction.tasks.cancel(hunt.id, house.clock.now())

        assert [task.id for task in everything] == [hunt.id, tasks[2].id, tasks[1].id]
        assert [task.id for task in queued] == [tasks[2].id, tasks[1].id]
