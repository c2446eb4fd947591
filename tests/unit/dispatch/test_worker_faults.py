"""The worker when runs hang, rows cannot be read, the database goes away, or somebody stops it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.dispatch.attempt import OVERRUNS
from aurora.dispatch.heart import BEAT
from aurora.dispatch.ledger import LEASE, Ledger
from aurora.dispatch.owner import is_dead, this_owner
from aurora.dispatch.tally import Tally
from aurora.dispatch.worker import Worker
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending, Scope
from aurora.storage.unit_of_work import Storage, Transaction
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts
from tests.services import engine_with_schema
from tests.unit.dispatch.working import SCOPE, ScriptedRunner, passing, pulse_of, settle, worker_of


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
def worker(storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory) -> Make:
    def worker(runner: ScriptedRunner, **options: Any) -> Worker:
        ledger = Ledger(storage, owner=this_owner(ids), clock=clock)
        return worker_of(ledger, runner, clock=clock, pulse=pulse_of(ledger), **options)

    return worker


async def _settled(worker: Worker, storage: AbsentStorage, alerts: list[AlertId], clock: ManualClock) -> Tally:
    """Let time pass whenever the worker waits for it, or the database is away."""
    # The heart and the tick always sleep; a third sleeper waits for the database.
    await passing(settle(worker, storage, alerts=alerts), worker, clock, is_stuck=lambda: clock.sleepers > 2)
    return worker.tally


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

    runner = ScriptedRunner(clock, run)

    tally = await _settled(worker(runner, attempts={"budget": timedelta(milliseconds=10)}), storage, alerts, clock)

    assert tally == Tally(succeeded=2, failed=1, retried=1)
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

    runner = ScriptedRunner(clock, run)
    runner.unreadable = True

    tally = await _settled(worker(runner), storage, alerts, clock)

    assert tally == Tally(succeeded=2, failed=1)
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

    tally, _ = await asyncio.gather(
        _settled(worker(ScriptedRunner(clock, run)), storage, alerts, clock), restart(), return_exceptions=False
    )

    assert tally == Tally(succeeded=2)
    assert await _states(storage) == {"succeeded": 2}


async def test_a_database_that_stays_away_ends_a_command_with_that(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)

    async def run(_: Task) -> None:
        storage.away = True

    with pytest.raises(BaseExceptionGroup) as caught:
        await _settled(worker(ScriptedRunner(clock, run)), storage, alerts, clock)

    assert caught.group_contains(StorageUnavailable)


async def test_a_worker_that_is_stopped_hands_its_tasks_back_at_once(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=5)
    started = asyncio.Event()

    async def run(task: Task) -> None:
        if task.alert_id != alerts[0]:
            started.set()
            await asyncio.Event().wait()

    working = asyncio.ensure_future(settle(worker(ScriptedRunner(clock, run), most=64), storage, alerts=alerts))
    await started.wait()

    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert await _states(storage) == {"succeeded": 1, "queued": 4}
    again = await Ledger(storage, owner="next", clock=clock).turn(
        (), limit=64, scope=Scope(graphs=SCOPE.graphs, alerts=alerts)
    )
    assert [task.attempt for task in again.claimed] == [1, 1, 1, 1], "to be stopped is no failed attempt"


async def test_a_worker_that_slept_past_its_lease_leaves_the_run_of_its_successor_alone(
    storage: AbsentStorage, clock: ManualClock, ids: Uuid7Factory, worker: Make
) -> None:
    (alert,) = await accepted_alerts(storage, ids, clock, count=1)
    run_ids = []

    async def run(task: Task) -> None:
        run_ids.append(task.run_id)
        other = Ledger(storage, owner="elsewhere:1:2:aa", clock=ManualClock(clock.now() + LEASE * 2))
        await other.reap()
        turn = await other.turn((), limit=1, scope=Scope(graphs=SCOPE.graphs, alerts=[alert]))
        ending = Ending(
            task=turn.claimed[0],
            state=TaskState.SUCCEEDED,
            outcome="malicious",
            graph_version="2",
            started_at=clock.now(),
        )
        await other.turn([ending], limit=0, scope=SCOPE)

    await _settled(worker(ScriptedRunner(clock, run)), storage, [alert], clock)

    async with storage.reading() as transaction:
        found = await transaction.runs.get(run_ids[0])
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


def test_an_owner_whose_process_procfs_hides_may_live(tmp_path: Path, ids: Uuid7Factory) -> None:
    """Mounted with `hidepid`, procfs shows a process to its own user alone: two workers would rob one another."""
    (tmp_path / "self").mkdir()
    owner = this_owner(ids)
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    parts = owner.split(":")

    assert not is_dead(owner, proc=tmp_path)
    assert is_dead(":".join([parts[0], ended.stdout.decode().strip(), *parts[2:]]), proc=tmp_path)
