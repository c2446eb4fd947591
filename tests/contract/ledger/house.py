"""What the ledger's clauses work with: tasks, workers, and a look at what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from aurora.dispatch.fairness import Shares
from aurora.dispatch.ledger import LEASE, Ledger
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models.task import Task, TaskState
from aurora.kernel.models.work import Ending, Problem, Scope, Turn
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock

ALL = Scope(graphs={"triage": "2.0"})
BOOM = Problem(code="aurora.boom", reason="it went wrong")


class House:
    """A database with a ledger in it."""

    def __init__(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        self.storage = storage
        self.clock = clock
        self.ids = ids

    def task(self, **changes: Any) -> Task:
        """Return a task that nobody has submitted yet."""
        id_, run_id = TaskId(self.ids()), RunId(self.ids())
        values = {
            "id": id_,
            "tenant": self.storage.tenant,
            "run_id": run_id,
            "graph": "triage",
            "thread_id": f"triage:{run_id}",
            "input": {"n": 1},
            "created_at": self.clock.now(),
            "idempotency_key": str(id_),
            **changes,
        }
        return Task.model_validate(values)

    async def submit(self, count: int = 1, **changes: Any) -> list[Task]:
        """Submit tasks that are alike."""
        tasks = [self.task(**changes) for _ in range(count)]
        for task in tasks:
            async with self.storage.of(task.tenant).writing() as transaction:
                await transaction.tasks.submit(task)
        return tasks

    def worker(self, owner: str = "worker", **options: Any) -> Ledger:
        """Return the ledger as a worker sees it."""
        return Ledger(self.storage, owner=owner, clock=self.clock, **options)

    async def claim(self, owner: str = "worker", *, limit: int = 64, scope: Scope = ALL) -> list[Task]:
        """Claim what is due, as a worker that has just begun."""
        return list((await self.worker(owner).turn((), limit=limit, scope=scope)).claimed)

    async def end(self, *endings: Ending, owner: str = "worker") -> Turn:
        """Settle."""
        return await self.worker(owner).turn(endings, limit=0, scope=ALL)

    async def lapse(self) -> int:
        """Let all leases run out, and reap."""
        self.clock.advance(LEASE + timedelta(seconds=1))
        return await self.worker("reaper").reap()

    async def begin(self, task: Task) -> None:
        """Write the first checkpoint of a task's run."""
        row = {"thread_id": task.thread_id, "checkpoint_ns": "", "checkpoint_id": "1", "data": b"", "details": {}}
        async with self.storage.writing() as transaction:
            await transaction.connection.execute(insert(CheckpointModel).values(**row))

    async def row(self, task: Task) -> Any:
        """Return a task's row, with all columns."""
        async with self.storage.reading() as transaction:
            return (await transaction.connection.execute(select(TaskModel.__table__).filter_by(id=task.id))).one()

    async def run(self, task: Task) -> Any:
        """Return the row of a task's run."""
        async with self.storage.reading() as transaction:
            return (await transaction.connection.execute(select(RunModel.__table__).filter_by(id=task.run_id))).one()

    async def states(self) -> dict[str, int]:
        async with self.storage.reading() as transaction:
            return await transaction.tasks.by_state()

    async def history(self, task: Task) -> list[str]:
        """Return the names of a task's events."""
        async with self.storage.of(task.tenant).reading() as transaction:
            return [each["event"] for each in await transaction.tasks.events(task.id)]

    async def cancel(self, task: Task) -> TaskState:
        async with self.storage.writing() as transaction:
            return await transaction.tasks.cancel(task.id, self.clock.now())

    async def wake(self, task: Task) -> None:
        async with self.storage.writing() as transaction:
            await transaction.tasks.wake(task.id, self.clock.now())

    async def retry(self, task: Task) -> None:
        async with self.storage.writing() as transaction:
            await transaction.tasks.retry(task.id, self.clock.now())


def succeeded(task: Task) -> Ending:
    return Ending(task=task, state=TaskState.SUCCEEDED, outcome="benign", graph_version="2.0")


def failed(task: Task, state: TaskState = TaskState.FAILED) -> Ending:
    return Ending(task=task, state=state, event=state.value, problem=BOOM)


def parked(task: Task) -> Ending:
    return Ending(task=task, state=TaskState.WAITING, event="parked", is_free=True, graph_version="2.0")


def again(task: Task, **changes: Any) -> Ending:
    return Ending(task=task, state=TaskState.QUEUED, event="retried", problem=BOOM, **changes)


async def racing(*calls: Any) -> Sequence[Any]:
    """Run calls at the same time; errors are among the results."""
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
def house(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> House:
    return House(storage, clock, ids)


__all__ = ["ALL", "BOOM", "LEASE", "House", "Shares", "again", "failed", "house", "parked", "racing", "succeeded"]
