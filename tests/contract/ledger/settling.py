"""What every database must do when tasks end, wait, or are tried again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar

from aurora.kernel.models.task import TaskState
from aurora.kernel.models.work import Ending, Scope
from tests.contract.ledger.house import ALL, BOOM, House, again, failed, parked, racing, succeeded


class SettlingContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 18

    async def test_a_success_is_written_with_its_run(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim()
        started = house.clock.now()
        house.clock.advance(timedelta(seconds=2))

        ending = Ending(task=task, state=TaskState.SUCCEEDED, outcome="benign", graph_version="2.1", started_at=started)
        turn = await house.end(ending)

        row, run = await house.row(task), await house.run(task)
        assert turn.settled == {task.id}
        assert (row.state, row.owner, row.lease_until, row.finished_at) == ("succeeded", None, None, house.clock.now())
        assert (row.error, row.result_due, row.graph_version) == (None, False, "2.1")
        assert (run.outcome, run.graph_version, run.started_at, run.finished_at) == (
            "benign",
            "2.1",
            started,
            house.clock.now(),
        )
        assert await house.history(task) == []

    async def test_a_failure_says_what_was_wrong(self, house: House) -> None:
        await house.submit(2)
        one, two = await house.claim()

        turn = await house.end(failed(one), failed(two, TaskState.DEAD))

        rows = [await house.row(one), await house.row(two)]
        assert turn.settled == {one.id, two.id}
        assert [(row.state, row.error, row.reason) for row in rows] == [
            ("failed", BOOM.code, BOOM.reason),
            ("dead", BOOM.code, BOOM.reason),
        ]
        assert all(row.finished_at == house.clock.now() for row in rows)
        async with house.storage.reading() as transaction:
            (event,) = await transaction.tasks.events(two.id)
        told = {key: event[key] for key in ("event", "attempt", "epoch", "owner", "code", "reason")}
        assert told == {
            "event": "dead",
            "attempt": 1,
            "epoch": 1,
            "owner": "worker",
            "code": BOOM.code,
            "reason": BOOM.reason,
        }

    async def test_results_are_due_where_somebody_is_told(self, house: House) -> None:
        await house.submit(4)
        tasks = await house.claim()
        endings = [succeeded(tasks[0]), failed(tasks[1]), parked(tasks[2]), again(tasks[3])]

        await house.worker(publishes=True).turn(endings, limit=0, scope=ALL)

        assert [(await house.row(task)).result_due for task in tasks] == [True, True, False, False]

    async def test_two_that_settle_one_claim_settle_it_once(self, house: House) -> None:
        await house.submit(5)
        tasks = await house.claim()
        house.clock.advance(timedelta(seconds=1))

        async def end(number: int) -> int:
            house.clock.advance(timedelta(microseconds=1))
            endings = [(failed if number % 2 else succeeded)(task) for task in tasks]
            return len((await house.end(*endings)).settled)

        settled = await asyncio.gather(*(end(number) for number in range(8)))

        states = await house.states()
        assert sum(settled) == 5
        assert sum(states.values()) == 5
        assert set(states) <= {"succeeded", "failed"}

    async def test_a_lost_claim_settles_nothing(self, house: House) -> None:
        """Old and new owner settle at the same time; the words of the old one count for nothing."""
        await house.submit(6)
        old = await house.claim("old")
        await house.lapse()
        new = await house.claim("new")

        async def told_by_old(make: object, index: int) -> None:
            turn = await house.end(make(old[index]), owner="old")  # type: ignore[operator]
            assert turn.settled == frozenset()

        await asyncio.gather(*(told_by_old(make, n) for n, make in enumerate((succeeded, failed, parked, again))))
        turn = await house.end(*map(succeeded, new), owner="new")

        assert turn.settled == {task.id for task in new}
        assert await house.states() == {"succeeded": 6}
        assert await house.history(old[1]) == ["lapsed"]

    async def test_settling_tells_which_claims_still_stood(self, house: House) -> None:
        await house.submit(3)
        old = await house.claim("old")
        await house.end(succeeded(old[1]))
        house.clock.advance(timedelta(seconds=1))

        turn = await house.end(*map(succeeded, old))

        assert turn.settled == {old[0].id, old[2].id}

    async def test_a_task_is_tried_again_when_it_was_said(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim()
        at = house.clock.now() + timedelta(seconds=20)

        await house.end(again(task, run_at=at))
        early = await house.claim()
        house.clock.advance(timedelta(seconds=20))
        (second,) = await house.claim()

        row = await house.row(task)
        assert early == []
        assert (second.attempt, second.epoch, row.error, row.notified_at) == (2, 2, BOOM.code, None)
        assert await house.history(task) == ["retried"]

    async def test_a_free_attempt_is_given_back(self, house: House) -> None:
        """To be stopped is no failed attempt."""
        await house.submit()
        for _ in range(3):
            (task,) = await house.claim()
            await house.end(Ending(task=task, state=TaskState.QUEUED, event="handed_back", is_free=True))

        (task,) = await house.claim()

        assert (task.attempt, task.epoch) == (1, 4)
        assert await house.history(task) == ["handed_back"] * 3

    async def test_what_is_parked_waits_and_is_not_claimed(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim()

        await house.end(parked(task))

        row = await house.row(task)
        assert (row.state, row.attempt, row.owner, row.finished_at) == ("waiting", 0, None, None)
        assert await house.claim() == []
        assert await house.lapse() == 0

    async def test_waking_what_waits_queues_it_once(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim()
        await house.end(parked(task))

        await asyncio.gather(*(house.wake(task) for _ in range(5)))
        (second,) = await house.claim()

        assert (second.attempt, second.epoch) == (1, 2)
        assert await house.history(task) == ["parked", "woken"]

    async def test_what_is_woken_before_it_waits_does_not_wait(self, house: House) -> None:
        """The decision comes while the worker is about to park."""
        await house.submit()
        (task,) = await house.claim()

        await house.wake(task)
        await house.wake(task)
        await house.end(parked(task))
        (second,) = await house.claim()
        await house.end(parked(second))

        assert second.attempt == 1
        assert (await house.row(task)).state == "waiting", "a wake-up counts for one parking"
        assert await house.history(task) == ["woken", "parked", "parked"]

    async def test_waking_races_parking(self, house: House) -> None:
        await house.submit(10)
        tasks = await house.claim()

        calls = [call for task in tasks for call in (house.end(parked(task)), house.wake(task))]
        found = await racing(*calls)

        assert not [each for each in found if isinstance(each, BaseException)]
        assert await house.states() == {"queued": 10}

    async def test_waking_what_is_neither_running_nor_waiting_does_nothing(self, house: House) -> None:
        (task,) = await house.submit()
        await house.wake(task)
        (claimed,) = await house.claim()
        await house.end(succeeded(claimed))

        await house.wake(task)

        assert await house.states() == {"succeeded": 1}
        assert await house.history(task) == []

    async def test_what_is_unwanted_is_not_tried_again(self, house: House) -> None:
        await house.submit(2)
        one, two = await house.claim()
        await house.cancel(one)
        await house.cancel(two)

        turn = await house.end(again(one), parked(two))

        assert turn.settled == {one.id, two.id}
        assert await house.states() == {"cancelled": 2}
        assert (await house.row(one)).finished_at == house.clock.now()
        assert await house.history(one) == ["cancel_requested", "cancelled"]

    async def test_cancelling_races_settling(self, house: House) -> None:
        """The run ends as it is to be stopped: it succeeded, or it is asked to stop; never neither, never both."""
        await house.submit(10)
        tasks = await house.claim()

        calls = [call for task in tasks for call in (house.cancel(task), house.end(succeeded(task)))]
        found = await racing(*calls)

        assert await house.states() == {"succeeded": 10}
        assert {type(each).__name__ for each in found} <= {"TaskState", "Turn", "Conflict"}

    async def test_open_tasks_are_counted_in_whatever_state(self, house: House) -> None:
        tasks = await house.submit(5)
        claimed = await house.claim(limit=4)
        await house.end(parked(claimed[0]), succeeded(claimed[1]), failed(claimed[2]))

        left = await house.worker().unsettled(Scope(tasks=[task.id for task in tasks]))

        assert left == 3
        assert await house.worker().unsettled(Scope(tasks=[claimed[1].id])) == 0

    async def test_an_empty_turn_writes_nothing(self, house: House) -> None:
        turn = await house.worker().turn((), limit=5, scope=ALL)

        assert (turn.settled, list(turn.claimed)) == (frozenset(), [])

    async def test_many_endings_of_all_kinds_at_once(self, house: House) -> None:
        await house.submit(70)
        tasks = await house.claim(limit=70)
        makers = (succeeded, failed, parked, again)

        turn = await house.end(*(makers[n % 4](task) for n, task in enumerate(tasks)))

        assert len(turn.settled) == 70
        assert await house.states() == {"succeeded": 18, "failed": 18, "waiting": 17, "queued": 17}
