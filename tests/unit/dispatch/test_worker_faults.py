"""The worker when runs hang, rows cannot be read, the database goes away, or somebody stops it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from aurora.dispatch.owner import is_dead, this_owner
from aurora.dispatch.worker import BEAT, LEASE, OVERRUNS, Finished, Progress, Worker
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task
from aurora.storage.unit_of_work import Storage, Transaction
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts
from tests.services import engine_with_schema


class Runner:
    """Implements `GraphRunner` with what the test hands in."""

    def __init__(self, clock: ManualClock, run: Callable[[Task], Awaitable[None]]) -> None:
        self._clock = clock
        self._run = run
        self.given_up: list[tuple[Task, Exception]] = []
        self.unreadable = False

    async def prepare(self, tasks: Sequence[Task]) -> None:
        if self.unreadable:
            raise ValueError("one of the rows does not hold what it should")

    async def run(self, task: Task) -> Finished:
        await self._run(task)
        return Finished(task, "benign", "1", self._clock.now(), self._clock.now())

    async def give_up(self, task: Task, error: Exception) -> None:
        self.given_up.append((task, error))
        if self.unreadable:
            raise ValueError("the row does not hold what it should")


class AbsentStorage(Storage):
    """A storage that is away while the test says so."""

    away = False
    refused = 0

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        if self.away:
            self.refused += 1
            raise StorageUnavailable("the server restarts")
        async with super().writing() as transaction:
            yield transaction


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[AbsentStorage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield AbsentStorage(engine)


Make = Callable[..., Worker]


@pytest.fixture
def worker(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> Make:
    def worker(runner: Runner, **options: timedelta) -> Worker:
        return Worker(storage=storage, runner=runner, clock=clock, ids=ids, jobs=2, **options)

    return worker


async def _settled(work: Awaitable[Progress], clock: ManualClock) -> Progress:
    """Let time pass whenever somebody beside the heartbeat waits for it."""
    working = asyncio.ensure_future(work)
    while not working.done():
        await asyncio.wait([working], timeout=0.02)
        if clock.sleepers > 1:
            clock.advance(timedelta(seconds=1))
    return await working


async def _states(storage: Storage) -> dict[str, int]:
    async with storage.reading() as transaction:
        return await transaction.tasks.by_state()


async def test_a_run_that_hangs_ends_visibly_and_holds_nobody_up(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)
    hung = 0

    async def run(task: Task) -> None:
        nonlocal hung
        if task.alert_id == alerts[1]:
            hung += 1
            await asyncio.Event().wait()

    runner = Runner(clock, run)

    progress = await _settled(worker(runner, budget=timedelta(milliseconds=10)).work(iter(alerts)), clock)

    assert progress == Progress(done=2, failed=1)
    assert [(task.alert_id, type(error)) for task, error in runner.given_up] == [(alerts[1], TimeoutError)]
    assert hung == OVERRUNS
    assert await _states(storage) == {"failed": 1, "succeeded": 2}


async def test_a_row_that_nobody_can_read_stops_no_other_alert_and_no_later_command(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)

    async def run(task: Task) -> None:
        if task.alert_id == alerts[1]:
            raise ValueError("the row does not hold what it should")

    runner = Runner(clock, run)
    runner.unreadable = True

    progress = await _settled(worker(runner).work(iter(alerts)), clock)

    assert progress == Progress(done=2, failed=1)
    assert await _states(storage) == {"failed": 1, "succeeded": 2}


async def test_a_database_that_comes_back_within_seconds_is_waited_for(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    """It goes away while runs are under way: claims, settlements and the heartbeat all meet it."""
    alerts = await accepted_alerts(storage, ids, clock, count=2)

    async def run(task: Task) -> None:
        storage.away = True
        clock.advance(BEAT)

    async def restart() -> None:
        while storage.refused < 3:  # noqa: ASYNC110 - counts what the storage refused, there is no event
            await asyncio.sleep(0)
        storage.away = False

    progress, _ = await asyncio.gather(
        _settled(worker(Runner(clock, run)).work(iter(alerts)), clock), restart(), return_exceptions=False
    )

    assert progress == Progress(done=2, failed=0)
    assert await _states(storage) == {"succeeded": 2}


async def test_a_worker_that_is_stopped_hands_its_tasks_back_at_once(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=5)
    started = asyncio.Event()

    async def run(task: Task) -> None:
        if task.alert_id != alerts[0]:
            started.set()
            await asyncio.Event().wait()

    working = asyncio.ensure_future(worker(Runner(clock, run)).work(iter(alerts)))
    await started.wait()

    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert await _states(storage) == {"succeeded": 1, "queued": 4}
    async with storage.writing() as transaction:
        again = await transaction.tasks.claim(
            owner="next", now=clock.now(), lease_until=clock.now() + LEASE, alerts=alerts, limit=64
        )
    assert [task.attempt for task in again] == [1, 1, 1, 1], "to be stopped is no failed attempt"


async def test_a_worker_that_slept_past_its_lease_leaves_the_run_of_its_successor_alone(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    (alert,) = await accepted_alerts(storage, ids, clock, count=1)
    run_id = None

    async def run(task: Task) -> None:
        nonlocal run_id
        run_id = task.run_id
        clock.advance(LEASE * 2)
        async with storage.writing() as transaction:
            (other,) = await transaction.tasks.claim(
                owner="elsewhere:1:2:aa", now=clock.now(), lease_until=clock.now() + LEASE, alerts=[alert], limit=1
            )
            await transaction.tasks.succeeded([other], now=clock.now())
            moments = {"started": clock.now(), "finished": clock.now()}
            await transaction.runs.finished([{"run": run_id, "outcome": "malicious", "version": "2", **moments}])

    await _settled(worker(Runner(clock, run)).work(iter([alert])), clock)

    async with storage.reading() as transaction:
        found = await transaction.runs.get(run_id)
    assert (found["outcome"], found["graph_version"]) == ("malicious", "2")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs procfs")
def test_a_killed_process_whose_parent_has_not_noticed_yet_is_dead(ids: Uuid7Factory) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    owner = this_owner(ids).rsplit(":", 3)
    name = f"{owner[0]}:{process.pid}:{stat[19]}:{owner[3]}"
    alive = is_dead(name)

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not alive
    assert is_dead(name)
    process.communicate()
