"""What worker and ledger tell each other: which tasks are wanted, how they ended, which are still held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from aurora.kernel.errors import AuroraError
from aurora.kernel.ids import AlertId, TaskId
from aurora.kernel.models.task import Lane, Task, TaskState
from aurora.kernel.untrusted import clean

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which tasks a worker takes."""

    lanes: Sequence[Lane] = tuple(Lane)
    graphs: Mapping[str, str] = field(default_factory=dict)
    """Graphs that it can run, with the version that a fresh run begins with."""
    alerts: Sequence[AlertId] = ()
    """Only the tasks of these alerts: those of a batch that is still being accepted included."""
    tasks: Sequence[TaskId] = ()
    """Only these."""

    @property
    def is_given(self) -> bool:
        """Whether it names tasks, instead of taking what is due."""
        return bool(self.alerts or self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What was wrong, in the words of the error."""

    code: str
    reason: str

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """Return what an error says, cleaned and cut."""
        code = error.code if isinstance(error, AuroraError) else type(error).__name__
        return cls(code=code[:100], reason=clean(" ".join(str(error).split()))[:_LONGEST_REASON])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one claim of a task ended, as its worker wants it written."""

    task: Task
    state: TaskState
    """Settled, `WAITING` (an interrupt is open), or `QUEUED`: tried again at `run_at`."""
    event: str | None = None
    """What the task's history says of it; `None` leaves no entry: `retried`, `failed`, `dead`, `parked`,
    `cancelled`, `handed_back`."""
    problem: Problem | None = None
    run_at: datetime | None = None
    """For `QUEUED`: when it may run again; `None`: at once."""
    is_free: bool = False
    """The attempt does not count: the worker was stopped, or the run made progress and waits."""
    outcome: str | None = None
    """One word, as the graph's spec tells it."""
    graph_version: str | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of settling and claiming in one transaction."""

    settled: frozenset[UUID]
    """Tasks whose ending was written. Of the others somebody else has taken the lease; nothing was written."""
    claimed: Sequence[Task]
    """The most urgent first."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat found."""

    kept: frozenset[UUID]
    """Tasks whose lease was renewed."""
    cancelled: frozenset[UUID]
    """Those among them that somebody wants to stop."""
