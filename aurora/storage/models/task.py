"""The ledger of tasks and the runs that carry them out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Json, Tenant, UtcDateTime, current_moment, generated_id


class TaskModel(Base):
    """One piece of work. Written in the transaction that accepts the work: the row is the outbox."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("tenant", "idempotency_key"),
        Index("ix_tasks_claim", "tenant", "state", "priority", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    run_id: Mapped[UUID] = mapped_column(Id)
    graph: Mapped[str] = mapped_column(String(64))
    thread_id: Mapped[str] = mapped_column(String(128))
    alert_id: Mapped[UUID | None] = mapped_column(Id, index=True)
    input: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """State that the run begins with; `None`: the alert."""
    priority: Mapped[int] = mapped_column(SmallInteger, default=5)
    idempotency_key: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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
