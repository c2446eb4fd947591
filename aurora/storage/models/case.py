"""Cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Json, Tenant, UtcDateTime, current_moment, generated_id


class CaseModel(Base):
    """What an analyst works on; the alerts point to it."""

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("tenant", "group_id"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    group_id: Mapped[UUID | None] = mapped_column(Id)
    """The group of alerts it was opened for; at most one case a group."""
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(24), default="open")
    assigned_agent: Mapped[str | None] = mapped_column(String(64))
    is_cps: Mapped[bool] = mapped_column(Boolean, default=False)
    confidence: Mapped[float] = mapped_column(Float, default=0.0)
    techniques: Mapped[list[Any]] = mapped_column(Json, default=list)
    iocs: Mapped[list[Any]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
