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


class Task(BaseModel):
    """A run of a graph that somebody asked for, as a worker holds it after claiming."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TaskId
    tenant: str
    run_id: RunId
    graph: str
    thread_id: str
    alert_id: AlertId | None = None
    input: dict[str, Any] | None = None
    """State that the run begins with; `None`: the alert."""
    created_at: AwareDatetime
    """When it was asked for."""
    priority: int = Field(default=5, ge=0, le=9)
    """9 is the most urgent."""
    idempotency_key: str
    state: TaskState = TaskState.QUEUED
    epoch: int = Field(default=0, ge=0)
    """Fencing token: grows with every claim; a write with an older epoch is refused."""
    attempt: int = Field(default=0, ge=0)
    lease_until: AwareDatetime | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.epoch))  # not of all fields: the input is a dict
