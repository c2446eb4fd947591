"""A task: one piece of work in the ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from aurora.kernel.ids import AlertId, RunId, TaskId


class TaskState(StrEnum):
    """Where a task is. `failed` is an error that no retry mends; `dead` has used up its attempts."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether work on it may still happen."""
        return self in {TaskState.QUEUED, TaskState.RUNNING, TaskState.WAITING}


class Lane(StrEnum):
    """How urgent tasks are, in four steps, the most urgent first. A worker serves some or all of them."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"

    @classmethod
    def of(cls, priority: int) -> Lane:
        """Return the lane of a priority from 0 to 9."""
        return next(lane for lane in cls if priority >= lane.lowest)

    @property
    def lowest(self) -> int:
        """Lowest priority of the lane."""
        return _PRIORITIES[self][0]

    @property
    def highest(self) -> int:
        """Highest priority of the lane."""
        return _PRIORITIES[self][1]


_PRIORITIES = {Lane.CRITICAL: (9, 9), Lane.HIGH: (7, 8), Lane.NORMAL: (3, 6), Lane.BULK: (0, 2)}


class Task(BaseModel):
    """A run of a graph that somebody asked for, as a worker holds it after claiming."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TaskId
    tenant: str
    run_id: RunId
    graph: str
    graph_version: str | None = None
    """Version that the run began with; `None`: it has not begun."""
    agent_type: str | None = None
    """Specialist that is meant to do it, where the graph serves several."""
    thread_id: str
    alert_id: AlertId | None = None
    input: dict[str, Any] | None = None
    """State that the run begins with; `None`: the alert."""
    correlation: dict[str, str] = Field(default_factory=dict)
    """What else it belongs to, such as `case_id`: for people and traces, never for routing."""
    traceparent: str | None = None
    """W3C trace context of whoever asked."""
    created_at: AwareDatetime
    """When it was asked for."""
    run_at: AwareDatetime | None = None
    """When it may run at the earliest; `None`: at once."""
    deadline: AwareDatetime | None = None
    """When its result is of no use any more."""
    priority: int = Field(default=5, ge=0, le=9)
    """9 is the most urgent."""
    idempotency_key: str
    state: TaskState = TaskState.QUEUED
    epoch: int = Field(default=0, ge=0)
    """Fencing token: grows with every claim; a write with an older epoch is refused."""
    attempt: int = Field(default=0, ge=0)
    """Tries so far, the present one included; waiting for a decision ends a row of them."""
    max_attempts: int = Field(default=5, ge=1, le=100)
    lease_until: AwareDatetime | None = None

    @property
    def lane(self) -> Lane:
        """How urgent it is."""
        return Lane.of(self.priority)

    def __hash__(self) -> int:
        return hash((self.id, self.epoch))  # not of all fields: the input is a dict
