"""The journal: what models and tools answered in each run."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, LargeBinary, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import DEFAULT_TENANT, Base, Digest, Id, Tenant, UtcDateTime, current_moment


class JournalModel(Base):
    """One answer. A run that is taken up again, or replayed, reads it instead of asking."""

    __tablename__ = "journal"

    run_id: Mapped[UUID] = mapped_column(Id, ForeignKey("runs.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(128), primary_key=True)
    """The agent, and what tells apart calls of it at the same time."""
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Of the call within its scope, from 1."""
    tenant: Mapped[str] = mapped_column(Tenant, default=DEFAULT_TENANT)
    kind: Mapped[str] = mapped_column(String(16))
    """`model` or `tool`."""
    name: Mapped[str] = mapped_column(String(200))
    request: Mapped[bytes] = mapped_column(LargeBinary)
    """Canonical JSON, compressed with zlib."""
    request_sha256: Mapped[bytes] = mapped_column(Digest)
    """Of the canonical JSON, not of its compressed form."""
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    answer_sha256: Mapped[bytes] = mapped_column(Digest)
    input_tokens: Mapped[int | None] = mapped_column(Integer)
    output_tokens: Mapped[int | None] = mapped_column(Integer)
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric(14, 8))
    took_ms: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=current_moment)
