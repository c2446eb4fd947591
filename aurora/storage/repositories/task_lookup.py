"""The ledger for those who look: one tenant's tasks as they are, and how many of them there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Text, cast, func, select

from aurora.kernel.errors import NotFound
from aurora.kernel.ids import AlertId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.task import Lane
from aurora.storage.models import TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.base import chunks, table_of
from aurora.storage.repositories.by_hand import ByHand
from aurora.storage.repositories.task_events import TaskEvents

_TASKS = table_of(TaskModel)
OF_TASK = tuple(column for column in _TASKS.c if column.name in Task.model_fields)
"""The columns that `read_task` reads."""

_SHORTEST_END = 4
_UUID_DIGITS = 32


class TaskLookup(ByHand):
    """Reads tasks of one tenant and locks none."""

    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now.

        Raises:
            NotFound: there is no such task.
        """
        query = select(*OF_TASK).where(_TASKS.c.tenant == self._tenant, _TASKS.c.id == task_id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise no_task(task_id)
        return read_task(row)

    async def find(self, text: str) -> Task:
        """Return the task that an id, or its unambiguous end of at least four digits, names.

        Raises:
            NotFound: nothing, or more than one task, is named so.
        """
        digits = text.replace("-", "").lower()
        if not _SHORTEST_END <= len(digits) <= _UUID_DIGITS or any(each not in "0123456789abcdef" for each in digits):
            raise NotFound(f"{text[:40]!r} is not the id of a task; give all of it or its last 4 digits or more")
        if len(digits) == _UUID_DIGITS:
            return await self.get(UUID(digits))
        # Compared where the rows are: hundreds of thousands of them would take seconds to fetch, and whoever means to
        # change what is found holds the one write lock of SQLite meanwhile.
        written = func.replace(cast(_TASKS.c.id, Text), "-", "")
        query = select(_TASKS.c.id).where(_TASKS.c.tenant == self._tenant, written.like(f"%{digits}")).limit(2)
        found = (await self._connection.execute(query)).scalars().all()
        if len(found) != 1:
            raise NotFound(
                f"{'more than one' if found else 'no'} task has the id {text[:40]!r}; `aurora tasks list` shows them"
            )
        return await self.get(found[0])

    async def list(self, *, state: TaskState | None = None, graph: str | None = None, limit: int = 50) -> list[Task]:
        """Return tasks, the newest first."""
        query = select(*OF_TASK).where(_TASKS.c.tenant == self._tenant)
        if state is not None:
            query = query.where(_TASKS.c.state == state)
        if graph is not None:
            query = query.where(_TASKS.c.graph == graph)
        rows = await self._connection.execute(query.order_by(_TASKS.c.id.desc()).limit(limit))
        return [read_task(row) for row in rows]

    async def events(self, task_id: UUID) -> Sequence[Mapping[str, Any]]:
        """Return the history of a task, the oldest event first."""
        return await TaskEvents(self._connection, self._tenant).of(task_id)

    async def unsettled(self, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = ()) -> int:
        """Return how many of these tasks, or of those of these alerts, are not settled yet."""
        open_states = [state for state in TaskState if state.is_open]
        count = 0
        for part in chunks(alerts or tasks):
            among = _TASKS.c.alert_id.in_(part) if alerts else _TASKS.c.id.in_(part)
            query = select(func.count()).where(_TASKS.c.tenant == self._tenant, among, _TASKS.c.state.in_(open_states))
            count += (await self._connection.execute(query)).scalar_one()
        return count

    async def by_state(self) -> dict[str, int]:
        """Return how many tasks are in each state."""
        query = select(_TASKS.c.state, func.count()).where(_TASKS.c.tenant == self._tenant).group_by(_TASKS.c.state)
        return {row[0]: row[1] for row in await self._connection.execute(query)}

    async def queued_by_lane(self) -> dict[Lane, int]:
        """Return how many tasks are queued in each lane; those whose batch is still being accepted are not."""
        query = (
            select(_TASKS.c.priority, func.count())
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.state == TaskState.QUEUED, _TASKS.c.run_at < HELD)
            .group_by(_TASKS.c.priority)
        )
        counts: dict[Lane, int] = {}
        for priority, count in await self._connection.execute(query):
            counts[Lane.of(priority)] = counts.get(Lane.of(priority), 0) + count
        return counts

    async def oldest_queued(self, now: datetime) -> dict[Lane, datetime]:
        """Return since when the task that waits longest for a worker is due, by lane."""
        query = (
            select(_TASKS.c.priority, func.min(_TASKS.c.run_at))
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.state == TaskState.QUEUED, _TASKS.c.run_at <= now)
            .group_by(_TASKS.c.priority)
        )
        oldest: dict[Lane, datetime] = {}
        for priority, moment in await self._connection.execute(query):
            oldest[Lane.of(priority)] = min(moment, oldest.get(Lane.of(priority), moment))
        return oldest


def no_task(task_id: UUID) -> NotFound:
    """Return the error that says so."""
    return NotFound(f"there is no task {task_id}", task_id=str(task_id))


def read_task(row: Row[Any]) -> Task:
    """Return the task that a row holds."""
    values = {column.name: getattr(row, column.name) for column in OF_TASK}
    return Task.model_validate({**values, "correlation": values["correlation"] or {}})
