"""A ledger in memory, a runner and a heart that do as a test says, and a worker made of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from aurora.dispatch.attempt import Attempts, Finished, Parked
from aurora.dispatch.dispatcher import MOST
from aurora.dispatch.heart import Obey, Pulse, beside
from aurora.dispatch.ledger import LEASE
from aurora.dispatch.patience import Patience
from aurora.dispatch.worker import Worker
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import AlertId, RunId, TaskId, Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Beat, Ending, Scope, Turn
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock

SCOPE = Scope(graphs={"triage": "1"})


class MemoryLedger:
    """What a worker needs of the ledger, for one worker: claims in order, checks epochs, keeps leases."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.tasks: dict[UUID, Task] = {}
        self.endings: list[Ending] = []
        self.limits: list[int] = []
        self.cancelled: set[UUID] = set()
        self.away = False
        self.refused = 0
        self.parted = False

    def add(self, ids: Uuid7Factory, *, count: int = 1, **fields: Any) -> list[Task]:
        """Queue tasks."""
        tasks = []
        for _ in range(count):
            task_id = TaskId(ids())
            run_id = RunId(ids())
            task = Task(
                id=task_id,
                tenant="default",
                run_id=run_id,
                graph="triage",
                thread_id=f"triage:{run_id}",
                created_at=self.clock.now(),
                idempotency_key=str(task_id),
                **fields,
            )
            self.tasks[task.id] = task
            tasks.append(task)
        return tasks

    def steal(self, task: Task) -> None:
        """Have another worker claim a task."""
        held = self.tasks[task.id]
        self.tasks[task.id] = held.model_copy(update={"epoch": held.epoch + 1, "state": TaskState.RUNNING})

    def states(self) -> dict[str, int]:
        """Return how many tasks are in each state."""
        found: dict[str, int] = {}
        for task in self.tasks.values():
            found[task.state.value] = found.get(task.state.value, 0) + 1
        return found

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        await self._answer()
        self.limits.append(limit)
        settled = set()
        for ending in endings:
            held = self.tasks[ending.task.id]
            if held.epoch == ending.task.epoch and held.state is TaskState.RUNNING:
                settled.add(held.id)
                self.endings.append(ending)
                attempt = held.attempt - 1 if ending.is_free else held.attempt
                update = {"state": ending.state, "run_at": ending.run_at, "attempt": attempt}
                self.tasks[held.id] = held.model_copy(update=update)
        now, claimed = self.clock.now(), []
        for task in list(self.tasks.values()):
            if len(claimed) < limit and task.state is TaskState.QUEUED and (task.run_at or now) <= now:
                update = {
                    "state": TaskState.RUNNING,
                    "epoch": task.epoch + 1,
                    "attempt": task.attempt + 1,
                    "lease_until": now + LEASE,
                }
                self.tasks[task.id] = task.model_copy(update=update)
                claimed.append(self.tasks[task.id])
        return Turn(frozenset(settled), claimed)

    async def beat(self, held: Sequence[Task]) -> tuple[Beat, Sequence[Obey]]:
        await self._answer()
        kept = frozenset(
            task.id
            for task in held
            if self.tasks[task.id].epoch == task.epoch and self.tasks[task.id].state is TaskState.RUNNING
        )
        return Beat(kept, frozenset(self.cancelled & kept)), ()

    async def part(self) -> None:
        self.parted = True

    async def reap(self) -> int:
        await self._answer()
        return 0

    async def is_open(self, scope: Scope) -> bool:
        """Answer what `Worker.settle` asks."""
        return any(
            task.state in {TaskState.QUEUED, TaskState.RUNNING}
            for task in self.tasks.values()
            if task.id in scope.tasks
        )

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.refused += 1
            raise StorageUnavailable("the server restarts")


class ScriptedRunner:
    """Implements `GraphRunner`: runs what the test hands in, and notes every call."""

    def __init__(self, clock: ManualClock, run: Callable[[Task], Awaitable[Any]]) -> None:
        self._clock = clock
        self._run = run
        self.runs: list[Task] = []
        self.given_up: list[tuple[Task, Exception]] = []
        self.unreadable = False

    async def prepare(self, tasks: Sequence[Task]) -> None:
        if self.unreadable:
            raise ValueError("one of the rows does not hold what it should")

    async def run(self, task: Task) -> Finished | Parked:
        self.runs.append(task)
        if await self._run(task) == "parked":
            return Parked(task, "1", self._clock.now())
        return Finished(task, "benign", "1", self._clock.now(), self._clock.now())

    async def give_up(self, task: Task, error: Exception) -> None:
        self.given_up.append((task, error))
        if self.unreadable:
            raise ValueError("the row does not hold what it should")


async def succeed(_: Task) -> None:
    """Run a task that has nothing to do."""


async def forever(_: Task) -> None:
    """Run a task that never ends by itself."""
    await asyncio.Event().wait()


def worker_of(
    ledger: Any,
    runner: Any,
    *,
    clock: Any,
    pulse: Any = None,
    jobs: int = 2,
    scope: Scope = SCOPE,
    owner: str = "w",
    is_endless: bool = False,
    attempts: dict[str, Any] | None = None,
    **options: Any,
) -> Worker:
    """Return a worker whose heart beats in its own loop."""

    @asynccontextmanager
    async def open_pulse() -> AsyncIterator[Pulse]:
        yield pulse or ledger

    patience = Patience(clock=clock, is_endless=is_endless)
    return Worker(
        owner=owner,
        ledger=ledger,
        attempts=Attempts(
            runner=runner, clock=clock, patience=patience, generator=random.Random(7), **(attempts or {})
        ),
        open_pulse=open_pulse,
        clock=clock,
        patience=patience,
        scope=scope,
        jobs=jobs,
        **{"beating": beside(clock), "poll": timedelta(seconds=1), **options},
    )


def pulse_of(ledger: Any) -> Pulse:
    """Return a pulse that renews leases in a real ledger, and nothing more."""

    class Leases:
        async def beat(self, tasks: Sequence[Task]) -> tuple[Beat, Sequence[Obey]]:
            return await ledger.beat(tasks), ()

        async def part(self) -> None:
            pass

    return Leases()


async def settle(
    worker: Worker,
    storage: Storage,
    *,
    alerts: Sequence[AlertId] = (),
    tasks: Sequence[TaskId] = (),
    on_done: Callable[[], None] | None = None,
) -> None:
    """Settle tasks of a real ledger, those of alerts a slice at a time."""

    async def is_open(scope: Scope) -> bool:
        async with storage.reading() as transaction:
            found = await transaction.standings.of(alerts=scope.alerts, tasks=scope.tasks, graphs=SCOPE.graphs)
        return any(each.is_under_way for each in found)

    scopes = [Scope(graphs=SCOPE.graphs, alerts=alerts[start : start + MOST]) for start in range(0, len(alerts), MOST)]
    if tasks:
        scopes = [Scope(graphs=SCOPE.graphs, tasks=tasks)]
    await worker.settle(scopes, is_open, on_done=on_done)


async def passing(
    work: Awaitable[Any], worker: Worker, clock: ManualClock, *, is_stuck: Callable[[], bool] | None = None
) -> Any:
    """Let time pass whenever the worker waits for it, or the test says so."""
    working = asyncio.ensure_future(work)
    while not working.done():
        await asyncio.wait([working], timeout=0.005)
        if worker.is_idle or (is_stuck is not None and is_stuck()):
            clock.advance(timedelta(milliseconds=500))
    return await working


async def until(condition: Callable[[], bool]) -> None:
    """Let everybody else run until something is the case."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - anything may be the case, there is no event for it
            await asyncio.sleep(0)
