"""Who does a command's work: the workers that are there, or the command itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aurora.dispatch.dispatcher import MOST, RECHECK, Dispatcher
from aurora.dispatch.patience import Patience
from aurora.dispatch.tally import Progress
from aurora.dispatch.worker import Worker
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import Task
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.storage.repositories.workers import LEASE, Presence
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts
from tests.services import engine_with_schema
from tests.unit.dispatch.working import MemoryLedger, ScriptedRunner, succeed, until, worker_of


class SettlingLedger(MemoryLedger):
    """Settles whatever is asked for, on the spot: the worker of the command's own, as far as these tests go."""

    def __init__(self, clock: ManualClock, storage: Storage) -> None:
        super().__init__(clock)
        self.storage = storage
        self.scopes: list[Scope] = []
        self.reaped = 0

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        self.scopes.append(scope)
        await end(self.storage, "succeeded")
        return Turn(frozenset(), ())

    async def reap(self) -> int:
        self.reaped += 1
        return 0


class Announced:
    """Implements `Announcer`."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    async def announce(self, tasks: Sequence[Task]) -> None:
        self.tasks += tasks


class Desk:
    """A dispatcher, and what the test sees of its doings."""

    def __init__(self, storage: Storage, clock: ManualClock) -> None:
        self.storage, self.clock = storage, clock
        self.ledger, self.announced = SettlingLedger(clock, storage), Announced()
        self.opened = 0
        self.told: list[Progress] = []
        self.dispatcher = Dispatcher(
            storage=storage,
            graphs={"triage": "1"},
            worker=self._open,
            announcer=self._announcer,
            clock=clock,
            patience=Patience(clock=clock),
        )

    async def _open(self) -> Worker:
        self.opened += 1
        return worker_of(self.ledger, ScriptedRunner(self.clock, succeed), clock=self.clock)

    async def _announcer(self) -> Announced:
        return self.announced

    async def complete(self, alerts: Sequence[AlertId], **options: Any) -> Progress:
        return await self.dispatcher.complete(iter(alerts), on_done=self.told.append, **options)

    async def waits(self) -> None:
        """Return when it waits for somebody else."""
        await until(lambda: self.clock.sleepers > 0)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield Storage(engine)


@pytest.fixture
def desk(storage: Storage, clock: ManualClock) -> Desk:
    return Desk(storage, clock)


async def end(storage: Storage, state: str) -> None:
    """Let all tasks end in a state."""
    async with storage.writing() as transaction:
        await transaction.connection.execute(text("UPDATE tasks SET state = :state"), {"state": state})


async def show(storage: Storage, clock: ManualClock, **fields: Any) -> None:
    """Let a worker be seen that serves everything, unless said otherwise."""
    worker = {
        "id": "other",
        "kind": "worker",
        "host": "h",
        "pid": 1,
        "version": "1",
        "lanes": [lane.value for lane in Lane],
        "graphs": {"triage": ["1"]},
        "started_at": clock.now(),
        "seen_at": clock.now(),
    }
    async with storage.writing() as transaction:
        await transaction.workers.seen(Presence(**{**worker, **fields}))


async def test_without_a_worker_the_command_works_itself_on_its_tasks_alone(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=MOST + 1)

    await desk.complete(alerts)

    assert desk.opened == 1
    assert [list(scope.alerts) for scope in desk.ledger.scopes] == [alerts[:MOST], alerts[MOST:]]
    assert desk.ledger.reaped, "what dead processes of this machine held is released first"


async def test_what_is_done_already_opens_nothing(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)
    await end(storage, "succeeded")

    progress = await desk.complete(alerts)

    assert desk.opened == 0
    assert progress == Progress(3, 0)


async def test_a_live_worker_is_woken_and_waited_for(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)
    await show(storage, clock)
    completing = asyncio.ensure_future(desk.complete(alerts))
    await desk.waits()
    await end(storage, "succeeded")

    clock.advance(timedelta(milliseconds=200))
    progress = await completing

    assert sorted(str(task.alert_id) for task in desk.announced.tasks) == sorted(map(str, alerts))
    assert desk.opened == 0
    assert progress == Progress(3, 0)
    assert desk.told[0] == Progress(0, 0)
    assert desk.told[-1] == Progress(3, 0)


async def test_when_the_worker_vanishes_the_command_takes_over(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=3)
    await show(storage, clock)
    completing = asyncio.ensure_future(desk.complete(alerts))
    await desk.waits()

    while not completing.done():
        clock.advance(RECHECK)
        await asyncio.wait([completing], timeout=0.02)

    assert desk.opened == 1
    assert clock.monotonic() <= (LEASE + RECHECK * 3).total_seconds()


@pytest.mark.parametrize(
    "fields",
    [
        {"graphs": {"hunt": ["1"]}},
        {"lanes": ["critical"]},
        {"state": "draining"},
        {"kind": "embedded"},
        {"kind": "scheduler"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_process_that_does_not_serve_these_tasks_is_not_waited_for(
    fields: dict[str, Any], desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    await show(storage, clock, **fields)

    await desk.complete(alerts)

    assert desk.opened == 1


async def test_what_waits_for_a_decision_is_told_and_not_waited_for(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    alerts = await accepted_alerts(storage, ids, clock, count=2)
    await show(storage, clock)
    await end(storage, "waiting")

    progress = await desk.complete(alerts)

    assert progress == Progress(0, 0, waiting=2)


async def test_tasks_of_a_batch_that_somebody_never_finished_are_done_here(
    desk: Desk, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """No worker takes them: whoever accepted them was killed, and an alert of theirs came again."""
    alerts = await accepted_alerts(storage, ids, clock, count=1)
    async with storage.writing() as transaction:
        await transaction.connection.execute(text("UPDATE tasks SET run_at = '9999-01-01 00:00:00.000000'"))
    await show(storage, clock)

    await desk.complete(alerts)

    assert desk.opened == 1


async def test_a_worker_of_its_own_is_prepared_only_where_nobody_serves_the_graph(
    desk: Desk, storage: Storage, clock: ManualClock
) -> None:
    await show(storage, clock)
    await desk.dispatcher.prepare("triage")
    with_worker = desk.opened

    await desk.dispatcher.prepare("hunt")

    assert with_worker == 0
    assert desk.opened == 1
