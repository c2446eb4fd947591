"""Indicators of compromise."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Float, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Tenant, UtcDateTime, current_moment, generated_id


class IOCModel(Base):
    """A value that somebody vouches is bad; (type, value) is unique per tenant."""

    __tablename__ = "iocs"
    __table_args__ = (UniqueConstraint("tenant", "type", "value"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    type: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(500))
    source: Mapped[str] = mapped_column(String(200))
    confidence: Mapped[float] = mapped_column(Float, default=0.5)
    status: Mapped[str] = mapped_column(String(16), default="active")
    first_seen: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
