"""What runs again and again, and which of its slots were fired."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Json, Tenant, UtcDateTime


class ScheduleModel(Base):
    """When a graph is run, with which input."""

    __tablename__ = "schedules"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True, default=DEFAULT_TENANT)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    graph: Mapped[str] = mapped_column(String(64))
    input: Mapped[dict[str, Any]] = mapped_column(Json)
    agent_type: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(SmallInteger)
    cron: Mapped[str | None] = mapped_column(String(128))
    """Five fields; either this or `every_s`."""
    every_s: Mapped[int | None] = mapped_column(Integer)
    offset_s: Mapped[int] = mapped_column(Integer, default=0)
    timezone: Mapped[str] = mapped_column(String(64))
    """IANA name, in which cron is read."""
    catch_up: Mapped[str] = mapped_column(String(8))
    """`latest`, `all` or `none`."""
    is_paused: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    passed: Mapped[datetime] = mapped_column(UtcDateTime)
    """The last slot that was fired or passed over; slots up to here are done with."""


class ScheduleSlotModel(Base):
    """One firing. Written in the transaction that submits its task, so a slot is fired once, whoever tries."""

    __tablename__ = "schedule_slots"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True, default=DEFAULT_TENANT)
    schedule_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    slot: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(Id)
    fired_at: Mapped[datetime] = mapped_column(UtcDateTime)
