"""Who works, and what people have said about the breakers. Of the installation, not of a tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import Base, Json, UtcDateTime


class WorkerModel(Base):
    """One process that works, as of its last heartbeat. One that is not heard of for a lease is gone."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """As in `tasks.owner`."""
    kind: Mapped[str] = mapped_column(String(16))
    """`worker` (serves everybody), `embedded` (a command that works for itself) or `scheduler`."""
    host: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(String(32))
    """Of Aurora."""
    state: Mapped[str] = mapped_column(String(16))
    """`active` or `draining`."""
    lanes: Mapped[list[str]] = mapped_column(Json)
    graphs: Mapped[dict[str, list[str]]] = mapped_column(Json)
    """Versions that it can run, by graph."""
    concurrency: Mapped[int] = mapped_column(Integer)
    running: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    """Counts since its start, brokers, breakers."""


class CircuitModel(Base):
    """What a person decided about a breaker; workers hear of it with their next heartbeat."""

    __tablename__ = "circuits"

    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    """`forced_open`, `disabled` or `reset`."""
    serial: Mapped[int] = mapped_column(BigInteger)
    """Grows with every decision, so that each is obeyed once."""
    reason: Mapped[str] = mapped_column(String(500))
    decided_by: Mapped[str] = mapped_column(String(128))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
