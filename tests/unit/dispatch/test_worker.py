"""The worker, with a runner that does as the test says, on SQLite in a file."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from aurora.dispatch.owner import is_dead, this_owner
from aurora.dispatch.worker import ATTEMPTS, BEAT, LEASE, Finished, Progress, Worker
from aurora.kernel.errors import LeaseLost, StorageUnavailable
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import Task
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts
from tests.contract.storage.test_claims import begin
from tests.services import engine_with_schema


class ScriptedRunner:
    """Implements `GraphRunner`: runs what the test hands in, and notes every call."""

    def __init__(self, clock: ManualClock, run: Callable[[Task], Awaitable[None]]) -> None:
        self._clock = clock
        self._run = run
        self.runs: list[Task] = []
        self.given_up: list[tuple[Task, Exception]] = []

    async def prepare(self, tasks: Sequence[Task]) -> None:
        pass

    async def run(self, task: Task) -> Finished:
        self.runs.append(task)
        await self._run(task)
        return Finished(task, "benign", "1", self._clock.now(), self._clock.now())

    async def give_up(self, task: Task, error: Exception) -> None:
        self.given_up.append((task, error))


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield Storage(engine)


@pytest.fixture
def work(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> Callable[..., Awaitable[Progress]]:
    """Settle alerts with a runner; time passes whenever everybody waits for it."""

    async def work(runner: ScriptedRunner, alerts: list[AlertId], *, jobs: int = 2) -> Progress:
        worker = Worker(storage=storage, runner=runner, clock=clock, ids=ids, jobs=jobs)
        working = asyncio.ensure_future(worker.work(iter(alerts)))
        while not working.done():
            await asyncio.wait([working], timeout=0.02)
            if clock.sleepers > 1:  # the heartbeat always sleeps; a second sleeper waits for a retry
                clock.advance(timedelta(seconds=1))
        return await working

    return work


async def _states(storage: Storage) -> dict[str, int]:
    async with storage.reading() as transaction:
        return await transaction.tasks.by_state()


async def _succeed(task: Task) -> None:
    pass


async def test_every_task_is_run_once_and_settled(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=150)
    runner = ScriptedRunner(clock, _succeed)

    progress = await work(runner, alerts)

    assert sorted(task.alert_id for task in runner.runs) == sorted(alerts)
    assert progress == Progress(done=150, failed=0)
    assert await _states(storage) == {"succeeded": 150}


async def test_no_more_than_the_given_number_of_jobs_run_at_once(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    running, most = 0, 0

    async def run(task: Task) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await work(ScriptedRunner(clock, run), await accepted_alerts(storage, ids, clock, count=20), jobs=3)

    assert most == 3


async def test_what_may_be_retried_is_retried_until_it_works(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    async def run(task: Task) -> None:
        if task.attempt < 3:
            raise StorageUnavailable("busy")

    runner = ScriptedRunner(clock, run)

    progress = await work(runner, await accepted_alerts(storage, ids, clock, count=1))

    assert [task.attempt for task in runner.runs] == [1, 2, 3]
    assert [task.epoch for task in runner.runs] == [1, 2, 3]
    assert progress == Progress(done=1, failed=0)


async def test_what_never_works_ends_dead_and_visible(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    async def run(task: Task) -> None:
        raise StorageUnavailable("busy")

    runner = ScriptedRunner(clock, run)

    progress = await work(runner, await accepted_alerts(storage, ids, clock, count=1))

    assert len(runner.runs) == ATTEMPTS
    assert len(runner.given_up) == 1
    assert progress.failed == 1
    assert await _states(storage) == {"dead": 1}


async def test_an_error_of_the_graph_is_not_retried_and_hurts_no_other_task(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)

    async def run(task: Task) -> None:
        if task.alert_id == alerts[1]:
            raise ZeroDivisionError

    runner = ScriptedRunner(clock, run)

    await work(runner, alerts)

    assert len(runner.runs) == 3
    assert [task.alert_id for task, _ in runner.given_up] == [alerts[1]]
    assert await _states(storage) == {"failed": 1, "succeeded": 2}


async def test_a_task_that_kills_its_workers_is_given_up_without_another_try(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    for attempt in range(ATTEMPTS):
        (task,) = await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa")
        if attempt == 0:
            await begin(storage, task)
        clock.advance(LEASE * 2)
    runner = ScriptedRunner(clock, _succeed)

    await work(runner, alerts)

    assert runner.runs == []
    assert len(runner.given_up) == 1
    assert await _states(storage) == {"dead": 1}


async def test_tasks_of_a_dead_process_of_this_machine_are_taken_over_at_once(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=2)
    dead = f"{socket.gethostname()[:24]}:{os.getpid()}:1:abcdef"
    await _claimed_by(storage, clock, alerts, owner=dead)
    before = clock.now()

    await work(ScriptedRunner(clock, _succeed), alerts)

    assert clock.now() == before, "nobody may wait for the lease of a process that is gone"


async def test_tasks_of_another_machine_are_taken_over_when_their_lease_ends(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa")
    before = clock.now()
    runner = ScriptedRunner(clock, _succeed)

    await work(runner, alerts)

    assert clock.now() - before >= LEASE
    assert [task.epoch for task in runner.runs] == [2]


async def test_a_run_that_lost_its_lease_settles_nothing(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Callable[..., Awaitable[Progress]]
) -> None:
    """While the first run is under way another worker takes the task and finishes it."""
    alerts = await accepted_alerts(storage, ids, clock, count=1)

    async def run(task: Task) -> None:
        clock.advance(LEASE * 2)
        (other,) = await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa")
        async with storage.writing() as transaction:
            await transaction.tasks.succeeded([other], now=clock.now())
        raise LeaseLost("taken")

    runner = ScriptedRunner(clock, run)

    progress = await work(runner, alerts)

    assert progress == Progress(done=0, failed=0)
    assert runner.given_up == []
    assert await _states(storage) == {"succeeded": 1}


async def test_long_runs_keep_their_lease(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    stolen = []

    async def run(task: Task) -> None:
        for _ in range(9):
            clock.advance(BEAT)
            while not clock.sleepers:  # noqa: ASYNC110 - until the heartbeat has written and sleeps again
                await asyncio.sleep(0)
            stolen.extend(await _claimed_by(storage, clock, alerts, owner="thief"))

    worker = Worker(storage=storage, runner=ScriptedRunner(clock, run), clock=clock, ids=ids, jobs=1)

    await worker.work(iter(alerts))

    assert stolen == []


def test_this_process_is_not_dead_and_one_of_another_machine_may_live(ids: Uuid7Factory) -> None:
    mine = this_owner(ids)

    assert not is_dead(mine)
    assert not is_dead("some-other-machine:1:1:abcdef")
    host, pid, started, end = mine.rsplit(":", 3)
    assert is_dead(f"{host}:{pid}:{started}0:{end}"), "a process id that was used again is another process"


async def _claimed_by(storage: Storage, clock: ManualClock, alerts: list[AlertId], *, owner: str) -> list[Task]:
    async with storage.writing() as transaction:
        return await transaction.tasks.claim(
            owner=owner, now=clock.now(), lease_until=clock.now() + LEASE, alerts=alerts, limit=64
        )
