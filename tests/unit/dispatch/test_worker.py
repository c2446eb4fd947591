"""The worker on the real ledger, with a runner that does as the test says, on SQLite in a file."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.dispatch.circuit import CircuitOpen
from aurora.dispatch.heart import BEAT
from aurora.dispatch.ledger import LEASE, Ledger
from aurora.dispatch.owner import is_dead, this_owner
from aurora.dispatch.tally import Tally
from aurora.kernel.errors import DeadlinePassed, GraphVersionGone, LeaseLost, StorageUnavailable
from aurora.kernel.ids import AlertId, RunId, TaskId, Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending, Scope
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts, begin
from tests.services import engine_with_schema
from tests.unit.dispatch.working import SCOPE, ScriptedRunner, passing, pulse_of, settle, succeed, worker_of

ATTEMPTS = 5


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield Storage(engine)


Work = Callable[..., Awaitable[Tally]]


@pytest.fixture
def work(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> Work:
    """Settle alerts, or tasks, with a runner; time passes whenever the worker waits for it."""

    async def work(runner: ScriptedRunner, alerts: list[AlertId], *, jobs: int = 2, **options: Any) -> Tally:
        ledger = Ledger(storage, owner=this_owner(ids), clock=clock)
        worker = worker_of(ledger, runner, clock=clock, jobs=jobs, pulse=pulse_of(ledger), **options)
        await passing(settle(worker, storage, alerts=alerts), worker, clock)
        return worker.tally

    return work


async def _states(storage: Storage) -> dict[str, int]:
    async with storage.reading() as transaction:
        return await transaction.tasks.by_state()


async def _events(storage: Storage, task: Task) -> list[str]:
    async with storage.reading() as transaction:
        return [each["event"] for each in await transaction.tasks.events(task.id)]


async def test_every_task_is_run_once_and_settled(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=150)
    runner = ScriptedRunner(clock, succeed)

    tally = await work(runner, alerts, most=64, batch=16)

    assert sorted(str(task.alert_id) for task in runner.runs) == sorted(map(str, alerts))
    assert tally == Tally(succeeded=150)
    assert await _states(storage) == {"succeeded": 150}


async def test_no_more_than_the_given_number_of_jobs_run_at_once(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    running, most = 0, 0

    async def run(task: Task) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await work(ScriptedRunner(clock, run), await accepted_alerts(storage, ids, clock, count=20), jobs=3, most=64)

    assert most == 3


async def test_what_may_be_retried_is_retried_until_it_works(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    async def run(task: Task) -> None:
        if task.attempt < 3:
            raise StorageUnavailable("busy")

    runner = ScriptedRunner(clock, run)

    tally = await work(runner, await accepted_alerts(storage, ids, clock, count=1))

    assert [task.attempt for task in runner.runs] == [1, 2, 3]
    assert [task.epoch for task in runner.runs] == [1, 2, 3]
    assert tally == Tally(succeeded=1, retried=2)
    assert await _events(storage, runner.runs[0]) == ["retried", "retried"]


async def test_what_never_works_ends_dead_and_visible(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    async def run(task: Task) -> None:
        raise StorageUnavailable("busy")

    runner = ScriptedRunner(clock, run)

    tally = await work(runner, await accepted_alerts(storage, ids, clock, count=1))

    assert len(runner.runs) == ATTEMPTS
    assert len(runner.given_up) == 1
    assert tally.failed == 1
    assert await _states(storage) == {"dead": 1}


async def test_an_error_of_the_graph_is_not_retried_and_hurts_no_other_task(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
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
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    for attempt in range(ATTEMPTS):
        (task,) = await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa")
        if attempt == 0:
            await begin(storage, task)
        clock.advance(LEASE * 2)
    runner = ScriptedRunner(clock, succeed)

    await work(runner, alerts)

    assert runner.runs == []
    assert len(runner.given_up) == 1
    assert await _states(storage) == {"dead": 1}


async def test_tasks_of_a_dead_process_of_this_machine_are_taken_over_at_once(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=2)
    dead = f"{socket.gethostname()[:24]}:{os.getpid()}:1:abcdef"
    await _claimed_by(storage, clock, alerts, owner=dead)
    before = clock.now()

    await work(ScriptedRunner(clock, succeed), alerts)

    assert clock.now() == before, "nobody may wait for the lease of a process that is gone"


async def test_tasks_of_another_machine_are_taken_over_when_their_lease_ends(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa")
    before = clock.now()
    runner = ScriptedRunner(clock, succeed)

    await work(runner, alerts)

    assert LEASE <= clock.now() - before <= LEASE + timedelta(seconds=2)
    assert [task.epoch for task in runner.runs] == [2]


async def test_a_run_that_lost_its_lease_settles_nothing(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    """While the first run is under way another worker takes the task and finishes it."""
    alerts = await accepted_alerts(storage, ids, clock, count=1)

    async def run(task: Task) -> None:
        later = ManualClock(clock.now() + LEASE * 2)
        (other,) = await _claimed_by(storage, later, alerts, owner="elsewhere:1:2:aa")
        await _succeed(storage, later, other)
        raise LeaseLost("taken")

    runner = ScriptedRunner(clock, run)

    tally = await work(runner, alerts)

    assert tally == Tally(lost=1)
    assert runner.given_up == []
    assert await _states(storage) == {"succeeded": 1}


async def test_long_runs_keep_their_lease(storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    stolen = []

    async def run(task: Task) -> None:
        for _ in range(9):
            clock.advance(BEAT)
            while clock.sleepers < 2:  # noqa: ASYNC110 - until the heartbeat has written and sleeps again
                await asyncio.sleep(0)
            stolen.extend(await _claimed_by(storage, clock, alerts, owner="elsewhere:1:2:aa"))

    await work(ScriptedRunner(clock, run), alerts)

    assert stolen == []


async def test_a_dependency_that_rests_costs_no_attempt_and_is_left_alone_for_as_long_as_it_says(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    tried = []

    async def run(_: Task) -> None:
        tried.append(clock.monotonic())
        if len(tried) == 1:
            raise CircuitOpen("rests", retry_after_s=30.0)

    runner = ScriptedRunner(clock, run)

    await work(runner, await accepted_alerts(storage, ids, clock, count=1))

    assert [task.attempt for task in runner.runs] == [1, 1]
    assert tried[1] - tried[0] >= 30.0


async def test_a_task_past_its_deadline_is_not_run_and_says_why(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory, work: Work
) -> None:
    task = await _submitted(storage, clock, ids, deadline=clock.now() + timedelta(seconds=5))
    clock.advance(timedelta(seconds=6))
    runner = ScriptedRunner(clock, succeed)

    await _work_on(task, runner, storage, clock, ids)

    async with storage.reading() as transaction:
        found = await transaction.runs.get(task.run_id)
    assert runner.runs == []
    assert [type(error) for _, error in runner.given_up] == [DeadlinePassed]
    assert (found["task_state"], found["task_error"]) == ("failed", DeadlinePassed.code)


async def test_what_a_run_waited_for_in_vain_is_not_its_deadline(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    async def run(_: Task) -> None:
        if len(runner.runs) == 1:
            raise TimeoutError("the other side did not answer")

    task = await _submitted(storage, clock, ids, deadline=clock.now() + timedelta(seconds=60))
    runner = ScriptedRunner(clock, run)

    tally = await _work_on(task, runner, storage, clock, ids)

    assert tally == Tally(succeeded=1, retried=1)


async def test_a_run_that_waits_is_parked_and_its_worker_is_free(
    storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    async def run(_: Task) -> str:
        return "parked"

    task = await _submitted(storage, clock, ids)

    tally = await _work_on(task, ScriptedRunner(clock, run), storage, clock, ids)

    assert tally == Tally(parked=1)
    assert await _states(storage) == {"waiting": 1}
    assert await _events(storage, task) == ["parked"]


@pytest.mark.parametrize("is_elsewhere", [True, False])
async def test_a_version_that_is_missing_here_is_left_to_a_worker_that_has_it(
    *, is_elsewhere: bool, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    asked: list[str] = []

    async def run(_: Task) -> None:
        if len(asked) < 2:
            raise GraphVersionGone("install it", version="0.9")

    async def elsewhere(_: Task, version: str) -> bool:
        asked.append(version)
        return is_elsewhere

    task = await _submitted(storage, clock, ids)
    runner = ScriptedRunner(clock, run)

    tally = await _work_on(task, runner, storage, clock, ids, attempts={"elsewhere": elsewhere})

    assert set(asked) == {"0.9"}
    if is_elsewhere:
        assert tally == Tally(succeeded=1, handed_back=2)
        assert [each.attempt for each in runner.runs] == [1, 1, 1]
    else:
        assert tally == Tally(failed=1)
        assert [type(error) for _, error in runner.given_up] == [GraphVersionGone]


def test_this_process_is_not_dead_and_one_of_another_machine_may_live(ids: Uuid7Factory) -> None:
    mine = this_owner(ids)

    assert not is_dead(mine)
    assert not is_dead("some-other-machine:1:1:abcdef")
    assert not is_dead("somebody who is not named like us")
    host, pid, started, end = mine.rsplit(":", 3)
    assert is_dead(f"{host}:{pid}:{started}0:{end}"), "a process id that was used again is another process"


async def _submitted(storage: Storage, clock: ManualClock, ids: Uuid7Factory, **fields: Any) -> Task:
    run_id = RunId(ids())
    task = Task(
        id=TaskId(ids()),
        tenant="default",
        run_id=run_id,
        graph="triage",
        thread_id=f"triage:{run_id}",
        input={},
        created_at=clock.now(),
        idempotency_key=f"test:{run_id}",
        **fields,
    )
    async with storage.writing() as transaction:
        await transaction.tasks.submit(task)
    return task


async def _work_on(
    task: Task, runner: ScriptedRunner, storage: Storage, clock: ManualClock, ids: Uuid7Factory, **options: Any
) -> Tally:
    ledger = Ledger(storage, owner=this_owner(ids), clock=clock)
    worker = worker_of(ledger, runner, clock=clock, pulse=pulse_of(ledger), **options)
    await passing(settle(worker, storage, tasks=[task.id]), worker, clock)
    return worker.tally


async def _claimed_by(storage: Storage, clock: ManualClock, alerts: list[AlertId], *, owner: str) -> list[Task]:
    ledger = Ledger(storage, owner=owner, clock=clock)
    await ledger.reap()
    turn = await ledger.turn((), limit=64, scope=Scope(graphs=SCOPE.graphs, alerts=alerts))
    return list(turn.claimed)


async def _succeed(storage: Storage, clock: ManualClock, task: Task) -> None:
    ledger = Ledger(storage, owner="elsewhere:1:2:aa", clock=clock)
    await ledger.turn([Ending(task=task, state=TaskState.SUCCEEDED, outcome="benign")], limit=0, scope=SCOPE)
