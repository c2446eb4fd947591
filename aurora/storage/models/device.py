"""Cyber-physical devices."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Float, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Tenant, UtcDateTime, current_moment, generated_id


class CPSDeviceModel(Base):
    """A device of the plant and its last attestation."""

    __tablename__ = "cps_devices"
    __table_args__ = (UniqueConstraint("tenant", "device_id"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    device_id: Mapped[str] = mapped_column(String(128))
    device_type: Mapped[str] = mapped_column(String(64))
    firmware_stack: Mapped[str] = mapped_column(String(32))
    firmware_version: Mapped[str] = mapped_column(String(64))
    firmware_hash: Mapped[str] = mapped_column(String(64))
    attestation_status: Mapped[str] = mapped_column(String(16), default="unknown")
    risk_score: Mapped[float] = mapped_column(Float, default=0.0)
    """0 harmless, 1 certain trouble."""
    location: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
