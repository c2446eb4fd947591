"""The loop of the worker: places, wake-ups, leases, draining. The ledger is one in memory, time is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from aurora.dispatch.heart import BEAT, FENCE
from aurora.dispatch.worker import Drained
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.kernel.ports.broker import Delivery, Stream
from aurora.testing import ManualClock
from tests.unit.dispatch.working import MemoryLedger, ScriptedRunner, forever, passing, succeed, until, worker_of


class Wakes:
    """Implements `WakeUps`: hands out what the test put in, and notes what was asked and confirmed."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.limits: list[int] = []
        self.confirmed: list[Delivery] = []
        self.waiting: asyncio.Queue[Delivery] = asyncio.Queue()

    def wake(self) -> Delivery:
        delivery = Delivery(Stream.AGENT_TASKS, b"", self.waiting.qsize())
        self.waiting.put_nowait(delivery)
        return delivery

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        self.limits.append(limit)
        return [await self.waiting.get()]

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        self.confirmed += deliveries


@pytest.fixture
def ledger(clock: ManualClock) -> MemoryLedger:
    return MemoryLedger(clock)


async def test_exactly_the_free_places_are_claimed_and_fetched(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=5)
    wakes, stop = Wakes(clock), asyncio.Event()
    runner = ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock, jobs=3, wake_ups=wakes, drain_timeout=timedelta())
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 3)
    clock.advance(timedelta(seconds=1))
    await until(lambda: worker.running == 3)

    stop.set()
    await passing(serving, worker, clock, is_stuck=lambda: True)

    assert len(runner.runs) == 3
    assert ledger.limits[0] == 3
    assert set(ledger.limits[1:]) == {0}, "nothing is claimed while all places are taken"
    assert set(wakes.limits) <= {3}, "nothing is fetched while all places are taken"


async def test_a_wake_up_is_answered_at_once_and_confirmed_after_the_claim(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    wakes, stop, before = Wakes(clock), asyncio.Event(), clock.now()
    runner = ScriptedRunner(clock, succeed)
    worker = worker_of(ledger, runner, clock=clock, wake_ups=wakes)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.is_idle and bool(wakes.limits))
    confirmed_at_claim = []
    turn = ledger.turn

    async def noted(endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        confirmed_at_claim.append(len(wakes.confirmed))
        return await turn(endings, limit=limit, scope=scope)

    ledger.turn = noted  # type: ignore[method-assign]
    ledger.add(ids)

    delivery = wakes.wake()
    await until(lambda: wakes.confirmed == [delivery] and ledger.states() == {"succeeded": 1})
    stop.set()
    await passing(serving, worker, clock)

    assert confirmed_at_claim[0] == 0
    assert clock.now() == before, "nobody waited for the next look"


async def test_without_any_wake_up_work_is_found_by_looking(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    stop = asyncio.Event()
    worker = worker_of(ledger, ScriptedRunner(clock, succeed), clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.is_idle and clock.sleepers >= 3)
    ledger.add(ids)

    clock.advance(timedelta(seconds=1))

    await until(lambda: ledger.states() == {"succeeded": 1})
    stop.set()
    await passing(serving, worker, clock)


async def test_endings_that_come_together_are_settled_together(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=64 * 4)
    stop = asyncio.Event()
    worker = worker_of(ledger, ScriptedRunner(clock, succeed), clock=clock, jobs=64)
    serving = asyncio.ensure_future(worker.serve(stop))

    await until(lambda: ledger.states() == {"succeeded": 256})
    turns = len(ledger.limits)
    stop.set()
    await passing(serving, worker, clock)

    assert turns <= 6


async def test_a_task_that_somebody_cancels_is_stopped_and_settled_as_cancelled(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    (task,) = ledger.add(ids)
    stop, runner = asyncio.Event(), ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: bool(runner.runs) and clock.sleepers >= 3)
    ledger.cancelled.add(task.id)

    clock.advance(BEAT)

    await until(lambda: ledger.states() == {"cancelled": 1})
    stop.set()
    await passing(serving, worker, clock)
    assert [ending.event for ending in ledger.endings] == ["cancelled"]
    assert runner.given_up == []


async def test_a_task_that_was_lost_is_stopped_and_nothing_is_written(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    (task,) = ledger.add(ids)
    stop, runner = asyncio.Event(), ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: bool(runner.runs) and clock.sleepers >= 3)
    ledger.steal(task)

    clock.advance(BEAT)

    await until(lambda: worker.running == 0)
    stop.set()
    await passing(serving, worker, clock)
    assert ledger.endings == []
    assert worker.tally.lost == 1


async def test_a_lost_run_that_still_cleans_up_is_not_taken_for_the_next_one_of_its_task(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    (task,) = ledger.add(ids)
    stop, go, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(running: Task) -> None:
        if running.epoch > 1:
            await go.wait()
            return
        try:
            await asyncio.Event().wait()
        finally:
            await cleaned.wait()

    runner = ScriptedRunner(clock, run)
    worker = worker_of(ledger, runner, clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: bool(runner.runs) and clock.sleepers >= 3)
    ledger.steal(task)
    ledger.tasks[task.id] = ledger.tasks[task.id].model_copy(update={"state": TaskState.QUEUED})
    clock.advance(BEAT)
    await until(lambda: len(runner.runs) == 2)

    cleaned.set()
    await until(lambda: worker.running == 1)
    go.set()
    await until(lambda: ledger.states() == {"succeeded": 1})

    stop.set()
    await passing(serving, worker, clock)
    assert [each.state for each in ledger.endings] == [TaskState.SUCCEEDED]


async def test_runs_are_stopped_before_their_leases_end_when_nobody_renews_them(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.add(ids)
    stop, runner = asyncio.Event(), ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock, is_endless=True)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: bool(runner.runs) and clock.sleepers >= 3)
    began, ledger.away = clock.now(), True

    while worker.running:
        assert clock.now() - began <= FENCE + timedelta(seconds=1)
        clock.advance(timedelta(seconds=0.5))
        await asyncio.sleep(0)

    ledger.away = False
    stop.set()
    await passing(serving, worker, clock, is_stuck=lambda: True)
    assert clock.now() - began >= FENCE - timedelta(seconds=1)
    assert ledger.endings == [], "nothing is written about a run that was fenced"
    assert "worker.fenced" in caplog.messages


async def test_a_process_that_slept_past_its_leases_stops_its_runs_before_it_claims_anything(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    (task,) = ledger.add(ids)
    stop, order = asyncio.Event(), []

    async def run(running: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            order.append("stopped")

    worker = worker_of(ledger, ScriptedRunner(clock, run), clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 1 and clock.sleepers >= 3)
    turn = ledger.turn

    async def noted(endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        order.append("turn")
        return await turn(endings, limit=limit, scope=scope)

    ledger.turn = noted  # type: ignore[method-assign]
    ledger.steal(task)

    clock.advance(timedelta(minutes=5))

    await until(lambda: worker.running == 0)
    stop.set()
    await passing(serving, worker, clock)
    assert order[0] == "stopped"
    assert ledger.endings == []


async def test_what_was_claimed_by_a_call_that_came_back_too_late_is_not_begun(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.add(ids)
    stop, runner, turn = asyncio.Event(), ScriptedRunner(clock, succeed), ledger.turn

    async def asleep(endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        found = await turn(endings, limit=limit, scope=scope)
        clock.advance(timedelta(seconds=30))
        return found

    ledger.turn = asleep  # type: ignore[method-assign]
    worker = worker_of(ledger, runner, clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))

    await until(lambda: "tasks.claimed_too_late" in caplog.messages)
    ledger.turn = turn  # type: ignore[method-assign]
    stop.set()
    await passing(serving, worker, clock)

    assert runner.runs == []


async def test_a_worker_that_is_told_to_stop_takes_nothing_more_and_lets_runs_finish(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=5)
    stop, go = asyncio.Event(), asyncio.Event()

    async def run(_: Task) -> None:
        await go.wait()

    worker = worker_of(ledger, ScriptedRunner(clock, run), clock=clock, jobs=2)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 2)

    stop.set()
    await until(lambda: worker.is_draining)
    go.set()
    drained = await serving

    assert drained == Drained(finished=2, handed_back=0)
    assert ledger.states() == {"succeeded": 2, "queued": 3}


async def test_what_does_not_finish_in_time_is_handed_back_without_penalty(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=2)
    stop, runner = asyncio.Event(), ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock, jobs=2, drain_timeout=timedelta(seconds=30))
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 2)
    told = clock.now()

    stop.set()
    drained = await passing(serving, worker, clock, is_stuck=lambda: True)

    assert drained == Drained(finished=0, handed_back=2)
    assert timedelta(seconds=30) <= clock.now() - told <= timedelta(seconds=33)
    assert [(each.state, each.event, each.is_free) for each in ledger.endings] == [
        (TaskState.QUEUED, "handed_back", True)
    ] * 2
    assert ledger.parted, "it says goodbye"


async def test_a_worker_that_is_cancelled_hands_everything_back_at_once(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=2)
    stop = asyncio.Event()
    worker = worker_of(ledger, ScriptedRunner(clock, forever), clock=clock)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 2)
    stop.set()
    await until(lambda: worker.is_draining)
    before = clock.now()

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert clock.now() == before
    assert [each.event for each in ledger.endings] == ["handed_back"] * 2


async def test_a_stop_ends_although_the_database_is_away(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=1)
    stop = asyncio.Event()
    worker = worker_of(
        ledger, ScriptedRunner(clock, forever), clock=clock, is_endless=True, drain_timeout=timedelta(seconds=10)
    )
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.running == 1)
    ledger.away, told = True, clock.now()

    stop.set()
    await passing(serving, worker, clock, is_stuck=lambda: True)

    assert clock.now() - told <= timedelta(seconds=15)


async def test_a_run_that_cleans_up_for_ever_does_not_keep_its_worker(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=1)
    cancelled = 0

    async def run(_: Task) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        finally:
            cancelled += 1
            await asyncio.Event().wait()

    worker = worker_of(ledger, ScriptedRunner(clock, run), clock=clock)
    serving = asyncio.ensure_future(worker.serve(asyncio.Event()))
    await until(lambda: worker.running == 1)

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(serving, 10)

    assert cancelled == 1
    assert [each.event for each in ledger.endings] == ["handed_back"]


async def test_a_service_waits_for_its_database_as_long_as_it_takes(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    ledger.add(ids, count=1)
    stop, ledger.away = asyncio.Event(), True
    worker = worker_of(ledger, ScriptedRunner(clock, succeed), clock=clock, is_endless=True)
    serving = asyncio.ensure_future(worker.serve(stop))
    for _ in range(200):
        clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0)

    ledger.away = False
    for _ in range(20):
        clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0)

    await until(lambda: ledger.states() == {"succeeded": 1})
    stop.set()
    await passing(serving, worker, clock)


@pytest.mark.parametrize("part", ["turn", "beat", "reap", "fetch"])
async def test_a_part_that_fails_ends_the_worker_with_its_error(
    part: str, ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """A worker that lost a loop of its own would look alive and do nothing."""
    ledger.add(ids)
    wakes = Wakes(clock)
    runner = ScriptedRunner(clock, forever)
    worker = worker_of(ledger, runner, clock=clock, wake_ups=wakes)

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(part)

    serving = asyncio.ensure_future(worker.serve(asyncio.Event()))
    await until(lambda: worker.running == 1)
    setattr(wakes if part == "fetch" else ledger, part, broken)
    if part == "fetch":
        wakes.wake()

    async def stuck() -> None:
        while not serving.done():
            clock.advance(timedelta(seconds=0.5))
            await asyncio.sleep(0)

    await asyncio.wait_for(stuck(), 10)

    with pytest.raises(BaseExceptionGroup) as caught:
        await serving
    assert caught.group_contains(ZeroDivisionError, match=part)


async def test_no_run_begins_in_a_lane_or_graph_that_the_worker_does_not_serve(
    ledger: MemoryLedger, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """What is served is the ledger's to know: the worker hands its scope on as it is."""
    scope, seen = Scope(lanes=(Lane.CRITICAL,), graphs={"hunt": "2"}), []
    turn, stop = ledger.turn, asyncio.Event()

    async def noted(endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        seen.append(scope)
        return await turn(endings, limit=limit, scope=scope)

    ledger.turn = noted  # type: ignore[method-assign]
    worker = worker_of(ledger, ScriptedRunner(clock, succeed), clock=clock, scope=scope)
    serving = asyncio.ensure_future(worker.serve(stop))
    await until(lambda: worker.is_idle)

    stop.set()
    await passing(serving, worker, clock)

    assert seen[0] is scope
