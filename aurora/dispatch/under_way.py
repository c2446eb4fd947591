"""The runs of a worker that have begun and not ended, and why they are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending


class Stop(Enum):
    """Why a run is stopped."""

    LOST = "lost"
    CANCELLED = "cancelled"
    HANDED_BACK = "handed_back"


@dataclass(slots=True, eq=False)
class Run:
    """A claimed task until its ending is known."""

    task: Task
    running: asyncio.Task[Ending | None]
    stop: Stop = Stop.HANDED_BACK
    """Why it is stopped, if it is: unless said otherwise, because its worker is."""

    def ending(self) -> Ending | None:
        """Return how it ended, also if it never began; `None`: nothing is to be written."""
        if self.stop is Stop.LOST:
            return None
        if not self.running.cancelled() and self.running.exception() is None:
            return self.running.result()
        if self.stop is Stop.CANCELLED:
            return Ending(task=self.task, state=TaskState.CANCELLED, event="cancelled")
        return handed_back(self.task)


class UnderWay:
    """The runs by their claims: one that was lost may still clean up while its task is run again.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[UUID, int], Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run) -> None:
        """Note a run that begins."""
        self._runs[run.task.id, run.task.epoch] = run

    def drop(self, run: Run) -> None:
        """Forget a run that has ended."""
        self._runs.pop((run.task.id, run.task.epoch), None)

    def of(self, tasks: Iterable[Task]) -> list[Run]:
        """Return the runs of these claims that are not stopped as lost already."""
        found = (self._runs.get((task.id, task.epoch)) for task in tasks)
        return [run for run in found if run is not None and run.stop is not Stop.LOST]

    def stop(self, runs: Iterable[Run], why: Stop) -> None:
        """Cancel runs; their endings say why."""
        for run in runs:
            run.stop = why
            run.running.cancel()

    def stop_all(self) -> None:
        """Cancel all, so that others may take them."""
        self.stop(self.of([run.task for run in self._runs.values()]), Stop.HANDED_BACK)

    def cancel_again(self) -> None:
        """Cancel those, too, that still clean up after they were cancelled."""
        for run in list(self._runs.values()):
            run.running.cancel()

    def clear(self) -> list[Task]:
        """Forget all; return the tasks of those that somebody else may take."""
        left = [run.task for run in self._runs.values() if run.stop is not Stop.LOST]
        self._runs.clear()
        return left


def handed_back(task: Task) -> Ending:
    """Return the ending of a task that others are to take, without a penalty."""
    return Ending(task=task, state=TaskState.QUEUED, event="handed_back", is_free=True)
