"""Batches: what one command handed in; and what of it could not be used."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, BigInt, Digest, Id, Json, Tenant, UtcDateTime, generated_id


class BatchModel(Base):
    """The input of one command; accepted whole before its first triage."""

    __tablename__ = "batches"
    __table_args__ = (Index("ix_batches_open", "tenant", "inputs_digest", "state"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    inputs_digest: Mapped[bytes] = mapped_column(Digest)
    """SHA-256 of the command's inputs: the same command again continues an unfinished batch."""
    inputs: Mapped[list[Any]] = mapped_column(Json, default=list)
    state: Mapped[str] = mapped_column(String(16), default="accepting")
    """`accepting`, `accepted` (all read, triage may start) or `done`."""
    counts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RejectedRecordModel(Base):
    """A record that could not be used, kept with its reason."""

    __tablename__ = "rejected_records"
    __table_args__ = (UniqueConstraint("tenant", "record_key", "reason"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    record_key: Mapped[bytes] = mapped_column(Digest)
    batch_id: Mapped[UUID] = mapped_column(Id, ForeignKey("batches.id"), index=True)
    file: Mapped[str] = mapped_column(Text)
    line: Mapped[int] = mapped_column(BigInt)
    offset_bytes: Mapped[int] = mapped_column(BigInt)
    size_bytes: Mapped[int] = mapped_column(BigInt)
    format: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(String(500))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    """The first 64 KiB of it."""
    rejected_at: Mapped[datetime] = mapped_column(UtcDateTime)
