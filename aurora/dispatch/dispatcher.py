"""Has given tasks done: by the workers that are there, else by a worker of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import Protocol

from aurora.dispatch.patience import Patience
from aurora.dispatch.tally import Progress
from aurora.dispatch.worker import LOOK, Worker
from aurora.kernel.clock import Clock
from aurora.kernel.ids import AlertId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Scope
from aurora.storage.repositories.standings import Standing
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage

MOST = 64
"""Tasks that are seen to at once: half a second of work for one job, well below the lease."""

RECHECK = timedelta(seconds=2)
"""Time between two looks whether the workers that are waited for still live."""

log = logging.getLogger(__name__)

OnDone = Callable[[Progress], None]


class Announcer(Protocol):
    """What of the route a dispatcher needs."""

    async def announce(self, tasks: Sequence[Task]) -> str | None:
        """Tell workers that these tasks are queued."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """How a slice stands."""

    standings: Sequence[Standing]

    @property
    def is_open(self) -> bool:
        return any(each.is_under_way for each in self.standings)

    @property
    def is_held(self) -> bool:
        return any(each.is_held and each.state is TaskState.QUEUED for each in self.standings)

    def served_by(self, workers: Sequence[Presence]) -> bool:
        """Tell whether there is somebody for each of them."""
        wanted = {(each.graph, each.lane) for each in self.standings if each.is_under_way}
        return all(any(worker.serves(graph, lane) for worker in workers) for graph, lane in wanted)

    def progress(self) -> Progress:
        count = {state: sum(each.count for each in self.standings if each.state is state) for state in TaskState}
        failed = count[TaskState.FAILED] + count[TaskState.DEAD]
        return Progress(count[TaskState.SUCCEEDED], failed, count[TaskState.WAITING])


class Dispatcher:
    """Completes tasks of one tenant for a command.

    While a live `aurora worker` serves their lanes and graphs it waits for that one; else, or once that one is
    gone, it works itself, on these tasks alone.

    Args:
        storage: Where the tasks are.
        graphs: Graphs that the command knows, with the version for fresh runs.
        worker: Opens the worker of its own, when it is needed.
        announcer: Wakes the workers that are waited for.
        clock: Paces the looks at what they do.
        patience: With the database.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        graphs: Mapping[str, str],
        worker: Callable[[], Awaitable[Worker]],
        clock: Clock,
        patience: Patience,
        announcer: Callable[[], Awaitable[Announcer]] | None = None,
    ) -> None:
        self._storage = storage
        self._graphs = graphs
        self._worker = worker
        self._announcer = announcer
        self._clock = clock
        self._patience = patience
        self._own: Worker | None = None
        self._announcing: Announcer | None = None

    async def prepare(self, graph: str) -> None:
        """Open the worker of our own now, unless somebody serves this graph: its faults are told before work begins.

        Raises:
            ConfigError: the model cannot be built.
        """
        fresh = _Counts([Standing(TaskState.QUEUED, graph, lane, is_held=False, count=1) for lane in Lane])
        if not fresh.served_by(await self._workers()):
            await self._own_worker()

    async def announce(self, tasks: Sequence[Task]) -> None:
        """Wake workers for tasks that were just submitted. Where no broker is, they look by themselves."""
        if self._announcer is None:
            return
        if self._announcing is None:
            self._announcing = await self._announcer()
        await self._announcing.announce(tasks)

    async def complete(
        self,
        alerts: Iterator[AlertId] | None = None,
        *,
        task_id: TaskId | None = None,
        on_done: OnDone | None = None,
    ) -> Progress:
        """Return when all tasks of these alerts, or that one task, are settled or wait for a decision.

        Args:
            alerts: Taken a slice at a time, the most urgent of a slice first.
            task_id: Instead of alerts.
            on_done: Told now and then how far it is.

        Raises:
            StorageUnavailable: the database stayed away; perhaps within a group.
        """
        scopes = self._scopes(alerts, task_id)
        finished = Progress(0, 0)
        for scope in scopes:
            told = finished

            def on_progress(progress: Progress, told: Progress = told) -> None:
                if on_done is not None:
                    on_done(_sum(told, progress))

            if not await self._wait(scope, on_progress):
                return await self._work(chain([scope], scopes), finished, on_done)
            finished = _sum(finished, (await self._counts(scope)).progress())
        return finished

    def _scopes(self, alerts: Iterator[AlertId] | None, task_id: TaskId | None) -> Iterator[Scope]:
        everything = Scope(graphs=self._graphs)
        if task_id is not None:
            yield replace(everything, tasks=[task_id])
        while part := _take(alerts or iter(()), MOST):
            yield replace(everything, alerts=part)

    async def _wait(self, scope: Scope, on_progress: OnDone) -> bool:
        """Wait until somebody has done these; return false when nobody is there who would."""
        looked_at = announced = None
        while True:
            counts = await self._counts(scope)
            on_progress(counts.progress())
            if not counts.is_open:
                return True
            if counts.is_held:
                return False
            now = self._clock.monotonic()
            if looked_at is None or now - looked_at >= RECHECK.total_seconds():
                looked_at = now
                if not counts.served_by(await self._workers()):
                    return False
                if announced is None:
                    announced = await self._announce(scope)
            await self._clock.sleep(LOOK)

    async def _announce(self, scope: Scope) -> bool:
        async with self._storage.reading() as transaction:
            tasks = await transaction.standings.queued(
                alerts=scope.alerts, tasks=scope.tasks, graphs=self._graphs, limit=MOST
            )
        await self.announce(tasks)
        return True

    async def _work(self, scopes: Iterator[Scope], finished: Progress, on_done: OnDone | None) -> Progress:
        """Do them with a worker of our own."""
        worker = await self._own_worker()
        before = replace(worker.tally)
        log.info("dispatch.works_itself")

        def progress() -> Progress:
            now = worker.tally
            return Progress(
                finished.done + now.succeeded - before.succeeded,
                finished.failed + now.failed - before.failed,
                finished.waiting + now.parked - before.parked,
            )

        async def is_open(scope: Scope) -> bool:
            return (await self._counts(scope)).is_open

        await worker.settle(scopes, is_open, on_done=None if on_done is None else lambda: on_done(progress()))
        return progress()

    async def _own_worker(self) -> Worker:
        if self._own is None:
            self._own = await self._worker()
        return self._own

    async def _counts(self, scope: Scope) -> _Counts:
        async def read() -> _Counts:
            async with self._storage.reading() as transaction:
                return _Counts(
                    await transaction.standings.of(alerts=scope.alerts, tasks=scope.tasks, graphs=self._graphs)
                )

        return await self._patience.with_(read)

    async def _workers(self) -> list[Presence]:
        async with self._storage.reading() as transaction:
            return await transaction.workers.live(self._clock.now(), kind="worker")


def _sum(one: Progress, other: Progress) -> Progress:
    return Progress(one.done + other.done, one.failed + other.failed, one.waiting + other.waiting)


def _take(items: Iterator[AlertId], size: int) -> list[AlertId]:
    return [item for _, item in zip(range(size), items, strict=False)]
