"""Alerts of one fingerprint that turned out to be one, and how they become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update

from aurora.kernel.models import AlertStatus, TaskState
from aurora.storage.models import (
    AlertEntityModel,
    AlertModel,
    AlertRecordModel,
    AlertRelationModel,
    BatchModel,
    TaskModel,
)
from aurora.storage.repositories.base import Repository, table_of

_ALERTS, _RECORDS, _BATCHES, _TASKS = map(table_of, (AlertModel, AlertRecordModel, BatchModel, TaskModel))
_INDEXES = (table_of(AlertEntityModel), table_of(AlertRelationModel))
_CLOSED = [status.value for status in AlertStatus if status.is_closed]


@dataclass(slots=True)
class Candidate:
    """An open alert that shares its fingerprint with another."""

    id: UUID
    dedup_hash: str
    first_seen: datetime
    last_seen: datetime
    count: int
    is_untouched: bool
    """Nobody has judged it, opened a case for it or changed its status, and its batch is accepted whole."""


class Duplicates(Repository):
    """Finds and folds duplicates. To be used while holding the turn to accept: `Storage.accepting`."""

    async def repeated(self, *, after: str, limit: int) -> list[str]:
        """Return fingerprints, in order from behind `after`, that more than one open alert has."""
        query = (
            select(_ALERTS.c.dedup_hash)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.dedup_hash > after, _ALERTS.c.status.not_in(_CLOSED))
            .group_by(_ALERTS.c.dedup_hash)
            .having(func.count() > 1)
            .order_by(_ALERTS.c.dedup_hash)
            .limit(limit)
        )
        return list((await self._connection.execute(query)).scalars())

    async def candidates(self, fingerprints: Sequence[str]) -> list[Candidate]:
        """Return the open alerts of these fingerprints, the earliest of each first."""
        query = (
            select(
                _ALERTS.c.id,
                _ALERTS.c.dedup_hash,
                _ALERTS.c.first_seen,
                _ALERTS.c.last_seen,
                _ALERTS.c.count.label("occurrences"),
                _ALERTS.c.status,
                _ALERTS.c.verdict_id,
                _ALERTS.c.case_id,
                _BATCHES.c.state,
            )
            .join(_BATCHES, _BATCHES.c.id == _ALERTS.c.batch_id)
            .where(
                _ALERTS.c.tenant == self._tenant,
                _ALERTS.c.dedup_hash.in_(fingerprints),
                _ALERTS.c.status.not_in(_CLOSED),
            )
            .order_by(_ALERTS.c.dedup_hash, _ALERTS.c.first_seen, _ALERTS.c.id)
        )
        return [
            Candidate(
                id=row.id,
                dedup_hash=row.dedup_hash,
                first_seen=row.first_seen,
                last_seen=row.last_seen,
                count=row.occurrences,
                is_untouched=row.status == AlertStatus.NEW.value
                and row.verdict_id is None
                and row.case_id is None
                and row.state != "accepting",
            )
            for row in await self._connection.execute(query)
        ]

    async def fold(self, folded: UUID, *, into: UUID, now: datetime) -> bool:
        """Make an alert a duplicate of another; return whether that was still possible.

        Its task is cancelled, so nobody may have begun it. Its records, with their raw text, become those of
        the other; it no longer corroborates anything. Whoever calls adds up counts and times.
        """
        cancelled = await self._connection.execute(
            update(_TASKS)
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.alert_id == folded, _TASKS.c.state == TaskState.QUEUED)
            .values(state=TaskState.CANCELLED, finished_at=now, error=f"duplicate of {into}")
            .returning(_TASKS.c.id)
        )
        if cancelled.first() is None:
            return False
        query = select(_ALERTS.c.raw_log, _ALERTS.c.metadata).where(
            _ALERTS.c.tenant == self._tenant, _ALERTS.c.id == folded
        )
        row = (await self._connection.execute(query)).one()
        await self._connection.execute(
            update(_RECORDS)
            .where(_RECORDS.c.tenant == self._tenant, _RECORDS.c.id == folded)
            .values(raw=(row.raw_log or "").encode())
        )
        await self._connection.execute(
            update(_RECORDS)
            .where(_RECORDS.c.tenant == self._tenant, _RECORDS.c.alert_id == folded)
            .values(alert_id=into)
        )
        for table in _INDEXES:
            await self._connection.execute(
                delete(table).where(table.c.tenant == self._tenant, table.c.alert_id == folded)
            )
        await self._connection.execute(
            update(_ALERTS)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == folded)
            .values(status=AlertStatus.RESOLVED.value, metadata={**row.metadata, "duplicate_of": str(into)})
        )
        return True
