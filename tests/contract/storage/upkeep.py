"""What every database must do for retention, and for batches whose command is gone."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update

from aurora.dispatch.recorded import NotReplayable, recorded
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.services.abandoned import SILENCE, accept_abandoned
from aurora.services.retention import PORTION, prune
from aurora.services.runs import run_details
from aurora.settings.model import RetentionSettings
from aurora.storage.checkpoints.tables import CheckpointBlobModel, CheckpointModel, CheckpointWriteModel
from aurora.storage.models import (
    AlertModel,
    BatchModel,
    JournalModel,
    RunModel,
    ScheduleSlotModel,
    TaskEventModel,
    TaskModel,
    VerdictModel,
)
from aurora.storage.models.task import HELD
from aurora.storage.repositories.retention import Spent
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts, acceptor, alert, source

DAY = timedelta(days=1)
SETTINGS = RetentionSettings(steps=30 * DAY, tasks=365 * DAY)
STEPS = (CheckpointModel, CheckpointBlobModel, CheckpointWriteModel, JournalModel)


class Killed(Exception):
    """Ends a process, as it were."""


class RetentionContract:
    """Subclass it in one class per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 8

    async def test_settled_runs_lose_their_steps_after_a_while_and_tasks_go_later(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        tasks = {
            age: await settled(storage, ids, clock.now() - timedelta(days=age), TaskState.SUCCEEDED)
            for age in (1, 29, 31, 364, 366)
        }

        gone = await prune(storage, SETTINGS, clock=clock)

        with_steps = {age for age, task in tasks.items() if await steps_of(storage, task) == 4}
        without = {age for age, task in tasks.items() if await steps_of(storage, task) == 0}
        assert (with_steps, without) == ({1, 29}, {31, 364, 366})
        assert await ids_of(storage, TaskModel) == {tasks[age].id for age in (1, 29, 31, 364)}
        assert await ids_of(storage, RunModel) == {tasks[age].run_id for age in (1, 29, 31, 364)}
        assert [gone[name] for name in ("runs_stripped", "checkpoints", "blobs", "writes", "journal")] == [
            2,
            3,
            3,
            3,
            3,
        ]
        assert [gone[name] for name in ("tasks", "events", "runs", "slots")] == [1, 1, 1, 1]

    async def test_what_is_open_stays_however_old_it_is(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        tasks = [await settled(storage, ids, clock.now() - 900 * DAY, state) for state in TaskState if state.is_open]

        gone = await prune(storage, SETTINGS, clock=clock)

        assert [await steps_of(storage, task) for task in tasks] == [4, 4, 4]
        assert sum(value for value in gone.values() if type(value) is int) == 0

    async def test_a_task_that_is_retried_meanwhile_is_left_alone(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """It was found dead; then a person let it run again; then it was to be removed."""
        before = clock.now()
        task = await settled(storage, ids, before - 400 * DAY, TaskState.DEAD)
        found = [Spent(task.id, task.run_id, task.thread_id)]
        await change(storage, task, state=TaskState.QUEUED, finished_at=None)

        async with storage.writing() as transaction:
            stripped = await transaction.retention.remove_steps(found, before=before)
            gone = await transaction.retention.remove(found, before=before)

        assert (sum(stripped.values()), sum(gone.values())) == (0, 0)
        assert await steps_of(storage, task) == 4

    async def test_a_thread_that_an_open_task_goes_on_with_stays(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        old = await settled(storage, ids, clock.now() - 400 * DAY, TaskState.SUCCEEDED)
        await settled(storage, ids, clock.now(), TaskState.WAITING, thread_id=old.thread_id, with_steps=False)

        await prune(storage, SETTINGS, clock=clock)

        assert await steps_of(storage, old) == 4

    async def test_the_run_that_a_verdict_names_stays(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        (alert_id,) = await accepted_alerts(storage, ids, clock, count=1)
        task = await settled(storage, ids, clock.now() - 400 * DAY, TaskState.SUCCEEDED)
        async with storage.writing() as transaction:
            named = {"alert_id": alert_id, "run_id": task.run_id, "label": "benign", "confidence": 0.9}
            await transaction.connection.execute(insert(VerdictModel).values(decided_by="rules", **named))

        gone = await prune(storage, SETTINGS, clock=clock)

        assert (gone["tasks"], gone["runs"]) == (1, 0)
        assert task.run_id in await ids_of(storage, RunModel)
        assert task.id not in await ids_of(storage, TaskModel)
        shown = await run_details(storage, str(task.run_id))
        assert (shown["task_id"], shown["alert_id"]) == (str(task.id), str(alert_id))
        assert (shown["graph"], shown["state"], shown["verdict"]["verdict"]) == ("hunt", None, "benign")
        with pytest.raises(NotReplayable, match="not kept any more"):
            await recorded(storage, str(task.run_id))

    async def test_a_dry_run_counts_what_goes_and_removes_nothing(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        for tenant in ("default", "acme"):
            for age in (10, 40, 50, 400, 500, 600):
                at = clock.now() - timedelta(days=age)
                await settled(storage.of(tenant), ids, at, TaskState.FAILED)

        would = await prune(storage, SETTINGS, clock=clock, is_dry=True)
        kept = await count(storage, TaskModel)
        gone = await prune(storage, SETTINGS, clock=clock)

        assert kept == 12
        assert {**would, "dry_run": False} == gone
        assert (gone["tasks"], gone["runs_stripped"], gone["slots"]) == (6, 4, 6)
        assert await count(storage, TaskModel) == 6

    async def test_killed_between_two_portions_the_next_call_goes_on(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        for _ in range(PORTION + 3):
            await settled(storage, ids, clock.now() - 40 * DAY, TaskState.SUCCEEDED)

        class KilledAtTheFirst(ManualClock):
            async def sleep(self, duration: timedelta) -> None:
                raise Killed

        with pytest.raises(Killed):
            await prune(storage, SETTINGS, clock=KilledAtTheFirst(clock.now()), breath=timedelta(milliseconds=1))
        half = await count(storage, CheckpointModel)
        gone = await prune(storage, SETTINGS, clock=clock)

        assert (half, gone["runs_stripped"]) == (3, 3)
        assert await count(storage, CheckpointModel) == 0

    async def test_two_at_once_remove_everything_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        for age in (40, 400):
            for _ in range(20):
                await settled(storage, ids, clock.now() - timedelta(days=age), TaskState.SUCCEEDED)

        both = await asyncio.gather(*(prune(storage, SETTINGS, clock=clock) for _ in range(3)))

        assert sum(each["tasks"] for each in both) == 20
        assert sum(each["checkpoints"] for each in both) == 40
        assert (await count(storage, TaskModel), await count(storage, CheckpointModel)) == (20, 0)


class AbandonedContract:
    """Subclass it in one class per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 5

    async def test_a_batch_whose_command_is_gone_is_accepted_and_its_tasks_may_run(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await begun(storage, ids, clock, 3)
        clock.advance(SILENCE + timedelta(seconds=1))

        accepted = await accept_abandoned(storage, clock=clock)

        async with storage.reading() as transaction:
            tasks = list(await transaction.connection.execute(select(TaskModel.run_at, TaskModel.batch_id)))
            states = list((await transaction.connection.execute(select(BatchModel.state))).scalars())
        assert (accepted, states) == (1, ["accepted"])
        assert tasks == [(clock.now(), None)] * 3

    async def test_one_that_got_a_record_lately_is_left_alone(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await begun(storage, ids, clock, 1)
        clock.advance(SILENCE - timedelta(seconds=1))
        await begun(storage, ids, clock, 2)  # the same command goes on
        clock.advance(timedelta(minutes=10))

        assert await accept_abandoned(storage, clock=clock) == 0
        assert await held(storage) == 2

    async def test_its_alerts_are_correlated(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        await begun(storage, ids, clock, 2, host="same")
        clock.advance(SILENCE * 2)

        await accept_abandoned(storage, clock=clock)

        async with storage.reading() as transaction:
            groups = set((await transaction.connection.execute(select(AlertModel.group_id))).scalars())
        assert len(groups) == 1

    async def test_a_command_that_comes_back_goes_on_with_a_batch_of_its_own(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """It was stopped, not killed: what it reads now is accepted as ever, and nothing stays held."""
        command = acceptor(storage, ids, clock)
        documents = [alert(number, at=clock.now()) for number in range(1100)]

        async def look() -> None:
            clock.advance(SILENCE * 2)
            await accept_abandoned(storage, clock=clock)

        stopped = _Stopped(command, look)
        accepted = await stopped.accept([source(documents)])

        async with storage.reading() as transaction:
            states = list((await transaction.connection.execute(select(BatchModel.state))).scalars())
        assert (accepted.alerts, states) == (1100, ["accepted", "accepted"])
        assert await held(storage) == 0

    async def test_several_schedulers_accept_it_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await begun(storage, ids, clock, 2)
        clock.advance(SILENCE * 2)

        accepted = await asyncio.gather(*(accept_abandoned(storage, clock=clock) for _ in range(4)))

        assert sorted(accepted) == [0, 0, 0, 1]


class _Stopped:
    """A command that is stopped after its first chunk, for long."""

    def __init__(self, command: Any, meanwhile: Any) -> None:
        self._command = command
        self._write = command._accept_chunk
        self._meanwhile = meanwhile
        command._accept_chunk = self._chunk

    async def accept(self, sources: Any) -> Any:
        return await self._command.accept(sources)

    async def _chunk(self, accepted: Any, chunk: Any) -> None:
        await self._write(accepted, chunk)
        if accepted.read <= 1000:
            await self._meanwhile()


async def begun(storage: Storage, ids: Uuid7Factory, clock: ManualClock, count: int, **more: Any) -> None:
    """Accept alerts as a command does that is killed before its input ends."""
    command = acceptor(storage, ids, clock)

    async def killed(batch: object) -> None:
        raise Killed

    command._close_batch = killed  # type: ignore[method-assign]
    documents = [alert(number, at=clock.now(), rule=f"r-{number}", **more) for number in range(count)]
    with pytest.raises(Killed):
        await command.accept([source(documents, name="same.jsonl")])


async def held(storage: Storage) -> int:
    async with storage.reading() as transaction:
        query = select(func.count()).select_from(TaskModel).where(TaskModel.run_at == HELD)
        return (await transaction.connection.execute(query)).scalar_one()


async def settled(
    storage: Storage,
    ids: Uuid7Factory,
    at: datetime,
    state: TaskState,
    *,
    thread_id: str | None = None,
    with_steps: bool = True,
) -> Task:
    """Write a task that was submitted and settled at a moment, with an event, a slot and, if wanted, steps."""
    run_id = RunId(ids())
    task = Task(
        id=TaskId(ids()),
        tenant=storage.tenant,
        run_id=run_id,
        graph="hunt",
        thread_id=thread_id or f"hunt:{run_id}",
        input={},
        created_at=at,
        idempotency_key=str(run_id),
    )
    finished = None if state.is_open else at
    async with storage.writing() as transaction:
        await transaction.tasks.submit(task)
        run = transaction.connection.execute
        event = {"tenant": storage.tenant, "task_id": task.id, "at": at, "event": "failed", "attempt": 1, "epoch": 1}
        await run(insert(TaskEventModel).values(**event))
        slot = {"schedule_id": str(run_id), "slot": at, "task_id": task.id, "fired_at": at}
        await run(insert(ScheduleSlotModel).values(tenant=storage.tenant, **slot))
        if with_steps:
            place = {"thread_id": task.thread_id, "checkpoint_ns": ""}
            value = {"channel": "c", "type": "msgpack", "value": b"v"}
            await run(insert(CheckpointModel).values(**place, checkpoint_id="1", data=b"", details={}))
            await run(insert(CheckpointBlobModel).values(**place, version="1", **value))
            written = {"checkpoint_id": "1", "task_id": "t", "idx": 0, "task_path": ""}
            await run(insert(CheckpointWriteModel).values(**place, **written, **value))
            asked = {"request": b"", "request_sha256": b"", "answer": b"", "answer_sha256": b""}
            entry = {"run_id": run_id, "scope": "1", "number": 1, "kind": "model", "name": "m", "created_at": at}
            await run(insert(JournalModel).values(tenant=storage.tenant, **entry, **asked))
    await change(storage, task, state=state, finished_at=finished)
    return task


async def change(storage: Storage, task: Task, **values: Any) -> None:
    async with storage.writing() as transaction:
        await transaction.connection.execute(update(TaskModel).where(TaskModel.id == task.id).values(**values))


async def steps_of(storage: Storage, task: Task) -> int:
    """Return how many rows there are of what a run did."""
    async with storage.reading() as transaction:
        found = 0
        for model in STEPS:
            mine = (
                model.run_id == task.run_id if model is JournalModel else model.thread_id == task.thread_id  # type: ignore[attr-defined]
            )
            query = select(func.count()).select_from(model).where(mine)
            found += (await transaction.connection.execute(query)).scalar_one()
    return found


async def ids_of(storage: Storage, model: Any) -> set[UUID]:
    async with storage.reading() as transaction:
        return set((await transaction.connection.execute(select(model.id))).scalars())


async def count(storage: Storage, model: Any) -> int:
    async with storage.reading() as transaction:
        return (await transaction.connection.execute(select(func.count()).select_from(model))).scalar_one()
