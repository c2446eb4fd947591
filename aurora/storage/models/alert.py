"""Alerts, the records they were read from, and the entities that tie them together."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import (
    DEFAULT_TENANT,
    Base,
    BigInt,
    Digest,
    Id,
    Json,
    Tenant,
    UtcDateTime,
    current_moment,
    generated_id,
)


class AlertModel(Base):
    """An alert as it was first seen; later occurrences of the same fingerprint raise `count`."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_dedup", "tenant", "dedup_hash", "last_seen"),
        Index("ix_alerts_batch", "batch_id", "batch_seq"),
        Index("ix_alerts_group", "tenant", "group_id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="new")
    source: Mapped[str] = mapped_column(Text)
    format: Mapped[str | None] = mapped_column(String(32))
    product: Mapped[str | None] = mapped_column(Text)
    rule: Mapped[str | None] = mapped_column(Text)
    """Text: where a product names no rule it is the title, and products write what they like."""
    asset_type: Mapped[str | None] = mapped_column(String(32))
    affected_assets: Mapped[list[Any]] = mapped_column(Json, default=list)
    iocs: Mapped[list[Any]] = mapped_column(Json, default=list)
    entities: Mapped[list[Any]] = mapped_column(Json, default=list)
    fields: Mapped[list[Any]] = mapped_column(Json, default=list)
    mitre_techniques: Mapped[list[Any]] = mapped_column(Json, default=list)
    raw_log: Mapped[str | None] = mapped_column(Text)
    """The record as it was read: the first occurrence's; those of the others stand in `alert_records`."""
    assigned_agent: Mapped[str | None] = mapped_column(String(64))
    case_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("cases.id"), index=True)
    dedup_hash: Mapped[str | None] = mapped_column(String(64))
    """Fingerprint: SHA-256 as 64 hex digits."""
    count: Mapped[int] = mapped_column(Integer, default=1)
    first_seen: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime | None] = mapped_column(UtcDateTime)
    event_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    batch_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("batches.id"))
    batch_seq: Mapped[int | None] = mapped_column(BigInt)
    """Position among the new alerts of its batch, from 0."""
    group_id: Mapped[UUID | None] = mapped_column(Id)
    """Id of the earliest alert that it hangs together with through rare entities; itself if none."""
    verdict_id: Mapped[UUID | None] = mapped_column(Id)
    """The verdict as it is now; earlier ones stay in `verdicts`."""
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)


class AlertRecordModel(Base):
    """One record that was read: the first of an alert has the alert's id, a duplicate one of its own."""

    __tablename__ = "alert_records"
    __table_args__ = (UniqueConstraint("tenant", "record_key"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    record_key: Mapped[bytes] = mapped_column(Digest)
    """Identity of the record: its file's content up to its end, hashed. Read again, it is the same."""
    alert_id: Mapped[UUID] = mapped_column(Id, ForeignKey("alerts.id"), index=True)
    batch_id: Mapped[UUID] = mapped_column(Id, ForeignKey("batches.id"), index=True)
    file: Mapped[str] = mapped_column(Text)
    line: Mapped[int] = mapped_column(BigInt)
    offset_bytes: Mapped[int] = mapped_column(BigInt)
    event_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The record of a duplicate; `None` for the first, whose record is the alert's `raw_log`."""


class AlertEntityModel(Base):
    """Which alert names which entity or observable: the index that correlation reads."""

    __tablename__ = "alert_entities"
    __table_args__ = (
        Index("ix_alert_entities_value", "tenant", "type", "value", "event_time"),
        Index("ix_alert_entities_batch", "batch_id"),
    )

    alert_id: Mapped[UUID] = mapped_column(Id, ForeignKey("alerts.id"), primary_key=True)
    type: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[str] = mapped_column(String(300), primary_key=True)
    """Canonical value; a longer one is `sha256:<hex>` of itself."""
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    batch_id: Mapped[UUID] = mapped_column(Id, ForeignKey("batches.id"))
    event_time: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the alert was first seen."""


class AlertRelationModel(Base):
    """What other alerts share a rare value with this one, summed up when its batch was accepted.

    It rests on alert rows of the batch and of earlier ones, never on verdicts, so it never changes.
    """

    __tablename__ = "alert_relations"

    alert_id: Mapped[UUID] = mapped_column(Id, ForeignKey("alerts.id"), primary_key=True)
    type: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[str] = mapped_column(String(300), primary_key=True)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    alerts: Mapped[int] = mapped_column(Integer)
    """How many other alerts name the value within the window."""
    severe: Mapped[int] = mapped_column(Integer)
    """How many of them are high or critical."""
    rules: Mapped[int] = mapped_column(Integer)
    """How many different rules of products raised them."""
    sources: Mapped[list[Any]] = mapped_column(Json)
    techniques: Mapped[list[Any]] = mapped_column(Json)
    example: Mapped[UUID] = mapped_column(Id)
    """One of them."""
