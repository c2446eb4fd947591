"""The ledger of tasks, what happened to them, and the runs that carry them out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import (
    DEFAULT_TENANT,
    Base,
    BigInt,
    Id,
    Json,
    Tenant,
    UtcDateTime,
    current_moment,
    generated_id,
)

HELD = datetime(9999, 1, 1, tzinfo=UTC)
"""`run_at` of a task whose batch is still being accepted: alerts are correlated before the first is triaged."""


def _only(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that are looked for; settled tasks, which are most, are not in it."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class TaskModel(Base):
    """One piece of work. Written in the transaction that accepts the work: the row is the outbox."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("tenant", "idempotency_key"),
        Index("ix_tasks_state", "tenant", "state", "id"),
        _only("ix_tasks_queued", "tenant", "priority", "run_at", "id", where="state = 'queued'"),
        _only("ix_tasks_untold", "notified_at", "run_at", where="state = 'queued'"),
        _only("ix_tasks_running", "lease_until", where="state = 'running'"),
        _only("ix_tasks_due", "deadline", where="deadline IS NOT NULL AND state IN ('queued', 'waiting')"),
        _only("ix_tasks_result_due", "id", where="result_due"),
        _only("ix_tasks_batch", "batch_id", where="batch_id IS NOT NULL"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    run_id: Mapped[UUID] = mapped_column(Id)
    graph: Mapped[str] = mapped_column(String(64))
    graph_version: Mapped[str | None] = mapped_column(String(64))
    """Version that the run began with; it goes on with no other."""
    agent_type: Mapped[str | None] = mapped_column(String(64))
    thread_id: Mapped[str] = mapped_column(String(128))
    alert_id: Mapped[UUID | None] = mapped_column(Id, index=True)
    batch_id: Mapped[UUID | None] = mapped_column(Id)
    """Batch whose acceptance it waits for."""
    input: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """State that the run begins with; `None`: the alert."""
    correlation: Mapped[dict[str, str] | None] = mapped_column(Json)
    traceparent: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(SmallInteger, default=5)
    idempotency_key: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(SmallInteger, default=5)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
    """When it may run at the earliest."""
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a broker was told of it last, or was about to be."""
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    """Somebody wants it to stop; its worker hears of it with the next heartbeat."""
    woken: Mapped[bool] = mapped_column(Boolean, default=False)
    """What it waits for has happened, perhaps before it began to wait."""
    result_due: Mapped[bool] = mapped_column(Boolean, default=False)
    """It is settled, and a broker is still to be told how."""
    error: Mapped[str | None] = mapped_column(String(500))
    """Code of the error of its last attempt."""
    reason: Mapped[str | None] = mapped_column(String(500))
    """What that error said, cleaned."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TaskEventModel(Base):
    """What happened to a task besides being done: an attempt that failed, a lease that ran out, a person's hand."""

    __tablename__ = "task_events"
    __table_args__ = (Index("ix_task_events_task", "task_id", "id"),)

    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    task_id: Mapped[UUID] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    event: Mapped[str] = mapped_column(String(32))
    """`retried`, `failed`, `dead`, `lapsed`, `parked`, `woken`, `cancelled`, `handed_back`, `replayed`, …"""
    attempt: Mapped[int] = mapped_column(Integer)
    epoch: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(64))
    """Who held it."""
    code: Mapped[str | None] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(String(500))


class RunModel(Base):
    """One walk through a graph. Written before anything else of the run, when its task is accepted."""

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    task_id: Mapped[UUID] = mapped_column(Id, index=True)
    graph: Mapped[str] = mapped_column(String(64))
    graph_version: Mapped[str | None] = mapped_column(String(64))
    thread_id: Mapped[str] = mapped_column(String(128), index=True)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str | None] = mapped_column(String(32))
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
