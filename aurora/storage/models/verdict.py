"""Verdicts, and the analysts' corrections of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Id, Json, Tenant, UtcDateTime, current_moment, generated_id


class VerdictModel(Base):
    """One verdict; append-only. A correction is a further row with `decided_by` = analyst."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("run_id"), Index("ix_verdicts_recall", "tenant", "dedup_hash", "created_at"))

    id: Mapped[UUID] = mapped_column(Id, primary_key=True, default=generated_id)
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    alert_id: Mapped[UUID] = mapped_column(Id, ForeignKey("alerts.id"), index=True)
    run_id: Mapped[UUID | None] = mapped_column(Id)
    batch_id: Mapped[UUID | None] = mapped_column(Id)
    """The batch in which it was reached; recall of that same batch does not see it. `None`: a correction."""
    dedup_hash: Mapped[str | None] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[float] = mapped_column(Float)
    score: Mapped[float] = mapped_column(Float, default=0.0)
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[list[Any]] = mapped_column(Json, default=list)
    contributions: Mapped[list[Any]] = mapped_column(Json, default=list)
    techniques: Mapped[list[Any]] = mapped_column(Json, default=list)
    dropped: Mapped[list[Any]] = mapped_column(Json, default=list)
    decided_by: Mapped[str] = mapped_column(String(16))
    decided_name: Mapped[str] = mapped_column(String(200), default="")
    degraded: Mapped[bool] = mapped_column(Boolean, default=False)
    model: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What was asked of a model on the way, and what it cost."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
