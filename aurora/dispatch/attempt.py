"""One attempt at a task: from a claim to the ending that the ledger is told."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from aurora.dispatch.circuit import CircuitOpen
from aurora.dispatch.patience import Patience
from aurora.dispatch.retry import RetryPolicy
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, DeadlinePassed, GraphVersionGone, LeaseLost, StorageUnavailable
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending, Problem

BUDGET = timedelta(minutes=2)
"""Wall time of one run at most; one of nine nodes takes 0.1 s. What hangs must not hold the other alerts up."""

OVERRUNS = 2
"""Runs of one task that may exceed it: the first may have been a machine that was asleep."""

ELSEWHERE = timedelta(seconds=2)
"""How long a task is left to another worker, which has the version of the graph that it needs."""

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


@dataclass(frozen=True, slots=True)
class Parked:
    """A run that waits: an interrupt is open. Its task is still to be parked."""

    task: Task
    graph_version: str
    started_at: datetime


class GraphRunner(Protocol):
    """Walks tasks through their graphs."""

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Fetch what the runs of these tasks will need, if that is cheaper than one by one."""

    async def run(self, task: Task) -> Finished | Parked:
        """Run, or resume, the task's graph to its end or to an interrupt. All it did is durable, also when it raises.

        Raises:
            LeaseLost: another worker owns the task; nothing more was written.
            GraphVersionGone: this process has not the version that the run began with; nothing was run.
            AuroraError: the run failed; the error says whether to retry.
        """

    async def give_up(self, task: Task, error: Exception) -> None:
        """Leave a visible conclusion for a task that cannot be done."""


Elsewhere = Callable[[Task, str], Awaitable[bool]]
"""Tells whether another worker, alive, has this version of the graph of a task."""


class Attempts:
    """Runs tasks and tells how each attempt ended.

    Args:
        runner: Walks a task through its graph.
        clock: Time; deadlines are held against it.
        patience: With the database, while the conclusion of a task that failed is written.
        generator: Spreads retries.
        budget: Wall time of one run.
        retry: How long to wait before the next attempt; how many there are says the task.
        elsewhere: Asked where the version of a graph is missing; `None`: there is no other worker.
    """

    def __init__(
        self,
        *,
        runner: GraphRunner,
        clock: Clock,
        patience: Patience,
        generator: random.Random,
        budget: timedelta = BUDGET,
        retry: RetryPolicy | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._patience = patience
        self._random = generator
        self._budget = budget
        self._retry = retry or RetryPolicy()
        self._elsewhere = elsewhere

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Read ahead if that works; if not, each run finds out by itself whether it is the one at fault."""
        try:
            await self._patience.with_(lambda: self._runner.prepare(tasks))
        except StorageUnavailable:
            raise
        except Exception as error:
            log.warning("tasks.not_read_ahead", exc_info=error, extra={"tasks": len(tasks)})

    async def ending(self, task: Task) -> Ending | None:
        """Run a task and return how that ended; `None`: another worker owns it, and nothing is to be written.

        Raises:
            StorageUnavailable: the database stayed away while a conclusion was to be written.
        """
        try:
            if task.attempt > task.max_attempts:
                worn_out = AuroraError(f"given up after {task.max_attempts} attempts", task_id=str(task.id))
                return await self._given_up(task, worn_out, TaskState.DEAD)
            return await self._run(task)
        except LeaseLost:
            log.warning("task.lease_lost", extra={"task_id": str(task.id), "epoch": task.epoch})
            return None

    async def _run(self, task: Task) -> Ending:
        left = self._time_left(task)
        if left <= timedelta():
            return await self._failed(task, _late(task))
        limit = asyncio.timeout(left.total_seconds())
        try:
            async with limit:
                came = await self._runner.run(task)
        except LeaseLost:
            raise
        except TimeoutError as error:
            is_late = limit.expired() and left < self._budget  # else it is something that the run waited for
            return await self._failed(task, _late(task) if is_late else error)
        except Exception as error:  # noqa: BLE001 - whatever a node raises must end in a visible verdict
            return await self._failed(task, error)
        if isinstance(came, Parked):
            return Ending(
                task=task,
                state=TaskState.WAITING,
                event="parked",
                is_free=True,
                graph_version=came.graph_version,
                started_at=came.started_at,
            )
        return Ending(
            task=task,
            state=TaskState.SUCCEEDED,
            outcome=came.outcome,
            graph_version=came.graph_version,
            started_at=came.started_at,
        )

    def _time_left(self, task: Task) -> timedelta:
        """Return how long a run may take; less than its budget if its deadline says so."""
        if task.deadline is None:
            return self._budget
        return min(self._budget, task.deadline - self._clock.now())

    async def _failed(self, task: Task, error: Exception) -> Ending:
        """Hand back what may be retried; conclude what may not."""
        log.warning("task.failed", exc_info=error, extra={"task_id": str(task.id), "attempt": task.attempt})
        if isinstance(error, GraphVersionGone) and await self._is_elsewhere(task, error):
            return self._again(task, "handed_back", error, after=ELSEWHERE, is_free=True)
        if (rest := _rest(error, longest=self._retry.cap)) is not None:
            return self._again(task, "retried", error, after=rest + self._pause(1), is_free=True)
        if _is_retryable(task, error):
            if task.attempt < task.max_attempts:
                return self._again(task, "retried", error, after=self._pause(task.attempt))
            return await self._given_up(task, error, TaskState.DEAD)
        return await self._given_up(task, error, TaskState.FAILED)

    async def _is_elsewhere(self, task: Task, error: GraphVersionGone) -> bool:
        version = error.context.get("version") or task.graph_version
        if self._elsewhere is None or not isinstance(version, str):
            return False
        return await self._patience.with_(partial(self._elsewhere, task, version))

    def _pause(self, attempt: int) -> timedelta:
        """Return how long to wait after an attempt, whatever number the policy would stop at: the task has its own."""
        within = min(attempt, max(1, self._retry.max_attempts - 1))
        return self._retry.delay(within, draw=self._random.random()) or timedelta()

    def _again(self, task: Task, event: str, error: Exception, *, after: timedelta, is_free: bool = False) -> Ending:
        return Ending(
            task=task,
            state=TaskState.QUEUED,
            event=event,
            problem=Problem.of(error),
            run_at=self._clock.now() + after,
            is_free=is_free,
        )

    async def _given_up(self, task: Task, error: Exception, state: TaskState) -> Ending:
        """Leave a verdict that asks for a person. Where even that fails the alert stays without one, and says so."""
        try:
            await self._patience.with_(lambda: self._runner.give_up(task, error))
        except (LeaseLost, StorageUnavailable):
            raise
        except Exception:  # a row that nobody can read must not stop every later command
            log.exception("task.without_verdict", extra={"task_id": str(task.id)})
        return Ending(task=task, state=state, event=state.value, problem=Problem.of(error))


def _late(task: Task) -> DeadlinePassed:
    return DeadlinePassed(f"the task was wanted by {task.deadline:%Y-%m-%d %H:%M:%S} UTC", task_id=str(task.id))


def _is_retryable(task: Task, error: Exception) -> bool:
    if isinstance(error, AuroraError):
        return error.retryable
    return isinstance(error, TimeoutError) and task.attempt < OVERRUNS


def _rest(error: Exception, *, longest: timedelta) -> timedelta | None:
    """Return how long an error asks to wait before another try, if it says so: then that try is free."""
    if not isinstance(error, AuroraError) or not error.retryable:
        return None
    if "retry_after_s" not in error.context and not isinstance(error, CircuitOpen):
        return None
    seconds = error.context.get("retry_after_s")
    if not isinstance(seconds, int | float) or not 0 <= seconds < longest.total_seconds():
        return longest  # such as: when a person says so
    return timedelta(seconds=seconds)
