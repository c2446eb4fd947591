"""What happened to tasks: one row for everything but being done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from aurora.storage.models import TaskEventModel
from aurora.storage.repositories.base import Repository, table_of

_EVENTS = table_of(TaskEventModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """An attempt that failed, a lease that ran out, a person's hand."""

    tenant: str
    task_id: UUID
    at: datetime
    event: str
    attempt: int
    epoch: int
    owner: str | None = None
    """Who held it."""
    code: str | None = None
    reason: str | None = None


class TaskEvents(Repository):
    """Histories of tasks."""

    async def write(self, events: Sequence[TaskEvent]) -> None:
        """Add to the histories; each event says whose it is."""
        if events:
            await self._connection.execute(insert(_EVENTS), [asdict(event) for event in events])

    async def of(self, task_id: UUID) -> list[Mapping[str, Any]]:
        """Return the history of a task of this tenant, the oldest event first."""
        query = (
            select(_EVENTS).where(_EVENTS.c.tenant == self._tenant, _EVENTS.c.task_id == task_id).order_by(_EVENTS.c.id)
        )
        return [dict(row._mapping) for row in await self._connection.execute(query)]
