"""What has waited for too long, in all tenants: for the scheduler, which serves the installation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select

from aurora.kernel.ids import BatchId
from aurora.kernel.models.task import TaskState
from aurora.storage.models import AlertRecordModel, BatchModel, RejectedRecordModel, TaskModel
from aurora.storage.repositories.base import Repository, table_of

_TASKS, _BATCHES = table_of(TaskModel), table_of(BatchModel)
_RECORDS, _REJECTED = table_of(AlertRecordModel), table_of(RejectedRecordModel)


class Overdue(Repository):
    """Finds it; whoever deals with it does so tenant by tenant."""

    async def tenants_past_deadline(self, now: datetime) -> list[str]:
        """Return the tenants that have tasks which wait and whose deadline has passed."""
        query = select(_TASKS.c.tenant).where(
            _TASKS.c.deadline.is_not(None),
            _TASKS.c.state.in_([TaskState.QUEUED, TaskState.WAITING]),
            _TASKS.c.deadline <= now,
        )
        return sorted((await self._connection.execute(query.distinct())).scalars())

    async def silent_batches(self, since: datetime) -> list[tuple[str, BatchId]]:
        """Return (tenant, batch) of those still being accepted that got no record since a moment."""
        query = select(_BATCHES.c.tenant, _BATCHES.c.id).where(*_is_silent(since)).order_by(_BATCHES.c.id)
        return [(row.tenant, BatchId(row.id)) for row in await self._connection.execute(query)]

    async def is_silent(self, batch: BatchId, since: datetime) -> bool:
        """Tell the same of one batch of this tenant."""
        mine = (_BATCHES.c.tenant == self._tenant, _BATCHES.c.id == batch)
        return bool(await self._connection.scalar(select(exists().where(*mine, *_is_silent(since)))))


def _is_silent(since: datetime) -> tuple[ColumnElement[bool], ...]:
    # Ids of records are drawn when they are read: UUIDs of version 7, which begin with the milliseconds.
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    return (
        _BATCHES.c.state == "accepting",
        _BATCHES.c.opened_at < since,
        ~exists().where(_RECORDS.c.batch_id == _BATCHES.c.id, _RECORDS.c.id >= first),
        ~exists().where(_REJECTED.c.batch_id == _BATCHES.c.id, _REJECTED.c.id >= first),
    )
