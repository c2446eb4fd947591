"""The in-process worker: claims tasks by lease and epoch, runs their graph, settles them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from aurora.dispatch.owner import is_dead, this_owner
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, LeaseLost, StorageUnavailable
from aurora.kernel.ids import AlertId, IdFactory, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.storage.unit_of_work import Storage

LEASE = timedelta(seconds=10)
"""How long a claim holds without a heartbeat."""

BEAT = LEASE / 3
"""Time between two renewals of the leases."""

ATTEMPTS = 5
"""Claims of one task at most: a record that kills its worker five times will do so a sixth time."""

SLICE = 64
"""Tasks claimed at once: half a second of work for one job, well below the lease."""

SETTLED_AT_ONCE = 16
"""Finished tasks settled in one transaction."""

BUDGET = timedelta(minutes=2)
"""Wall time of one run at most; one of nine nodes takes 0.1 s. What hangs must not hold the other alerts up."""

OVERRUNS = 2
"""Runs of one task that may exceed it: the first may have been a machine that was asleep."""

PAUSES = tuple(timedelta(milliseconds=250 * 2**n) for n in range(5))
"""Waits of 8 s in all while the database is away: a restart of PostgreSQL takes 1 to 5 s."""

PARTING = timedelta(seconds=5)
"""How long a worker that is stopped may take to hand its tasks back; their leases end by themselves if it fails."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its end; its task is still to be settled."""

    task: Task
    outcome: str
    """One word, as the graph's spec tells it."""
    graph_version: str
    started_at: datetime
    finished_at: datetime


class GraphRunner(Protocol):
    """Walks tasks through their graphs."""

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Fetch what the runs of these tasks will need, if that is cheaper than one by one."""

    async def run(self, task: Task) -> Finished:
        """Run, or resume, the task's graph to its end. All it did is durable, also when it raises.

        Raises:
            LeaseLost: another worker owns the task; nothing more was written.
            AuroraError: the run failed; the error says whether to retry.
        """

    async def give_up(self, task: Task, error: Exception) -> None:
        """Leave a visible conclusion for a task that cannot be done."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker did so far."""

    done: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What is worked on at once: the tasks of alerts, or tasks by their own ids."""

    alerts: Sequence[AlertId] = ()
    tasks: Sequence[TaskId] = ()


class Worker:
    """Runs given tasks, or those of given alerts, until all of them are settled, whoever settles them."""

    def __init__(
        self,
        *,
        storage: Storage,
        runner: GraphRunner,
        clock: Clock,
        ids: IdFactory,
        jobs: int,
        budget: timedelta = BUDGET,
    ) -> None:
        self._storage = storage
        self._runner = runner
        self._clock = clock
        self._jobs = jobs
        self._budget = budget
        self._owner = this_owner(ids)
        self._held: dict[Task, None] = {}
        self._finished: list[Finished] = []
        self._failed = 0
        self._done = 0

    async def work(self, alerts: Iterator[AlertId], *, on_done: Callable[[Progress], None] | None = None) -> Progress:
        """Settle the tasks of these alerts, a slice at a time, the most urgent of a slice first."""
        await self._release_the_dead()
        async with self._heartbeat():
            while part := _take(alerts, SLICE):
                await self._settle_all(_Part(alerts=part), on_done)
        return Progress(self._done, self._failed)

    async def carry_out(self, task_id: TaskId) -> Progress:
        """Settle one task."""
        await self._release_the_dead()
        async with self._heartbeat():
            await self._settle_all(_Part(tasks=[task_id]), None)
        return Progress(self._done, self._failed)

    async def _settle_all(self, part: _Part, on_done: Callable[[Progress], None] | None) -> None:
        while True:
            tasks = await self._patiently(lambda: self._claim(part))
            await self._run_all(tasks, on_done)
            if not await self._patiently(lambda: self._unsettled(part)):
                return
            if not tasks:  # another process holds them: wait until it is done, or its lease runs out
                await self._clock.sleep(timedelta(milliseconds=200))
                await self._release_the_dead()

    async def _claim(self, part: _Part) -> list[Task]:
        now = self._clock.now()
        async with self._storage.writing() as transaction:
            return await transaction.tasks.claim(
                owner=self._owner, now=now, lease_until=now + LEASE, limit=SLICE, alerts=part.alerts, tasks=part.tasks
            )

    async def _unsettled(self, part: _Part) -> int:
        async with self._storage.reading() as transaction:
            return await transaction.tasks.unsettled(alerts=part.alerts, tasks=part.tasks)

    async def _run_all(self, tasks: Sequence[Task], on_done: Callable[[Progress], None] | None) -> None:
        slots = asyncio.Semaphore(self._jobs)
        self._held.update(dict.fromkeys(tasks))

        async def one(task: Task) -> None:
            async with slots:
                await self._run(task)
            if len(self._finished) >= SETTLED_AT_ONCE:
                await self._settle_finished()
            if on_done is not None:
                on_done(Progress(self._done, self._failed))

        try:
            await self._prepare(tasks)
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(one(task), name=f"task:{task.id}")
            await self._settle_finished()
        except BaseException:
            await self._hand_back(tasks)
            raise
        finally:
            self._held.clear()

    async def _prepare(self, tasks: Sequence[Task]) -> None:
        """Read ahead if that works; if not, each run finds out by itself whether it is the one at fault."""
        try:
            await self._patiently(lambda: self._runner.prepare(tasks))
        except StorageUnavailable:
            raise
        except Exception as error:
            log.warning("tasks.not_read_ahead", exc_info=error, extra={"tasks": len(tasks)})

    async def _run(self, task: Task) -> None:
        try:
            if task.attempt > ATTEMPTS:
                await self._fail(task, AuroraError(f"given up after {ATTEMPTS} attempts", task_id=str(task.id)))
                return
            async with asyncio.timeout(self._budget.total_seconds()):
                finished = await self._runner.run(task)  # before the list is looked up: it changes meanwhile
            self._finished.append(finished)
            self._done += 1
        except LeaseLost:
            log.warning("task.lease_lost", extra={"task_id": str(task.id), "epoch": task.epoch})
        except Exception as error:  # noqa: BLE001 - whatever a node raises must end in a visible verdict
            await self._fail(task, error)

    async def _settle_finished(self) -> None:
        """Settle what is finished. A kill before this repeats nothing: the runs' last checkpoints are durable."""
        finished, self._finished = self._finished, []
        if finished:
            await self._patiently(lambda: self._write_finished(finished))

    async def _write_finished(self, finished: Sequence[Finished]) -> None:
        async with self._storage.writing() as transaction:
            ended = await transaction.tasks.succeeded([each.task for each in finished], now=self._clock.now())
            await transaction.runs.finished(
                [
                    {
                        "run": each.task.run_id,
                        "outcome": each.outcome,
                        "version": each.graph_version,
                        "started": each.started_at,
                        "finished": each.finished_at,
                    }
                    for each in finished
                    if each.task.id in ended  # whoever took over a task writes its run
                ]
            )

    async def _fail(self, task: Task, error: Exception) -> None:
        """Hand back what may be retried; conclude what may not."""
        log.warning("task.failed", exc_info=error, extra={"task_id": str(task.id), "attempt": task.attempt})
        allowed = ATTEMPTS if isinstance(error, AuroraError) and error.retryable else 1
        if isinstance(error, TimeoutError):
            allowed = OVERRUNS
        try:
            if task.attempt < allowed:
                await self._clock.sleep(timedelta(milliseconds=100 * 2**task.attempt))
                await self._settle(task, TaskState.QUEUED, error)
            else:
                await self._conclude(task, error)
                state = TaskState.DEAD if task.attempt >= ATTEMPTS else TaskState.FAILED
                await self._settle(task, state, error)
                self._failed += 1
        except LeaseLost:
            log.warning("task.lease_lost", extra={"task_id": str(task.id), "epoch": task.epoch})

    async def _conclude(self, task: Task, error: Exception) -> None:
        """Leave a verdict that asks for a person. Where even that fails the alert stays without one, and says so."""
        try:
            await self._patiently(lambda: self._runner.give_up(task, error))
        except (LeaseLost, StorageUnavailable):
            raise
        except Exception:  # a row that nobody can read must not stop every later command
            log.exception("task.without_verdict", extra={"task_id": str(task.id)})

    async def _settle(self, task: Task, state: TaskState, error: Exception) -> None:
        code = error.code if isinstance(error, AuroraError) else type(error).__name__

        async def write() -> None:
            async with self._storage.writing() as transaction:
                await transaction.tasks.settle(task, state, now=self._clock.now(), error=code)

        await self._patiently(write)

    async def _hand_back(self, tasks: Sequence[Task]) -> None:
        """Settle what is finished and let others take the rest at once, when this worker is stopped."""
        finished, self._finished = self._finished, []
        with suppress(StorageUnavailable, TimeoutError):
            async with asyncio.timeout(PARTING.total_seconds()):
                if finished:
                    await self._write_finished(finished)
                async with self._storage.writing() as transaction:
                    await transaction.tasks.hand_back(tasks)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what is safe to repeat, again while the database is away.

        Raises:
            StorageUnavailable: it did not come back.
        """
        for pause in PAUSES:
            try:
                return await work()
            except StorageUnavailable as error:
                log.warning("storage.away", extra={"error": error.code, "pause_s": pause.total_seconds()})
            await self._clock.sleep(pause)
        return await work()

    async def _release_the_dead(self) -> None:
        async with self._storage.reading() as transaction:
            dead = [owner for owner in await transaction.tasks.owners() if is_dead(owner)]
        for owner in dead:
            async with self._storage.writing() as transaction:
                count = await transaction.tasks.release(owner)
            log.info("tasks.taken_over", extra={"owner": owner, "tasks": count})

    @asynccontextmanager
    async def _heartbeat(self) -> AsyncIterator[None]:
        """Renew the leases of what is held. A lease that is lost is found out by the fence."""

        async def beat() -> None:
            while True:
                await self._clock.sleep(BEAT)
                if self._held:
                    with suppress(StorageUnavailable):  # while it is away nobody else can take a task either
                        await extend()

        async def extend() -> None:
            async with self._storage.writing() as transaction:
                await transaction.tasks.extend(list(self._held), lease_until=self._clock.now() + LEASE)

        async with _companion(beat):
            yield


@asynccontextmanager
async def _companion(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run `work` beside the body; it ends with the body, and its failure ends the body."""
    async with asyncio.TaskGroup() as group:
        companion = group.create_task(work())
        try:
            yield
        finally:
            companion.cancel()


def _take(items: Iterator[AlertId], size: int) -> list[AlertId]:
    return [item for _, item in zip(range(size), items, strict=False)]
