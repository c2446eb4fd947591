"""Removes what nobody works on any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Select, Table, delete, exists, func, or_, select

from aurora.kernel.models.task import TaskState
from aurora.storage.checkpoints.tables import CheckpointBlobModel, CheckpointModel, CheckpointWriteModel
from aurora.storage.models import (
    JournalModel,
    RunModel,
    ScheduleSlotModel,
    TaskEventModel,
    TaskModel,
    VerdictModel,
)
from aurora.storage.repositories.base import Repository, table_of

_TASKS, _RUNS, _EVENTS = table_of(TaskModel), table_of(RunModel), table_of(TaskEventModel)
_SLOTS, _JOURNAL, _VERDICTS = table_of(ScheduleSlotModel), table_of(JournalModel), table_of(VerdictModel)
_STEPS = {
    "writes": table_of(CheckpointWriteModel),
    "blobs": table_of(CheckpointBlobModel),
    "checkpoints": table_of(CheckpointModel),
}
"""By thread; the checkpoints last, because they say that there is something."""

_SETTLED = [state for state in TaskState if not state.is_open]
_OPEN = [state for state in TaskState if state.is_open]


@dataclass(frozen=True, slots=True)
class Spent:
    """A settled task, and where its steps are."""

    task_id: UUID
    run_id: UUID
    thread_id: str


class Retention(Repository):
    """Finds and removes rows of one tenant's settled tasks; `tenants` tells whose there are."""

    async def tenants(self) -> list[str]:
        """Return the tenants that have tasks."""
        found: list[str] = []
        while True:  # from one to the next by the index: to read all tasks for it would take long
            query = select(func.min(_TASKS.c.tenant))
            tenant = await self._connection.scalar(query.where(_TASKS.c.tenant > found[-1]) if found else query)
            if tenant is None:
                return found
            found.append(tenant)

    async def with_steps(self, before: datetime, *, after: UUID | None = None, limit: int) -> list[Spent]:
        """Return tasks settled before a moment whose run still has checkpoints or a journal, by id."""
        return await self._spent(self._has_steps(before), after=after, limit=limit)

    async def settled(self, before: datetime, *, after: UUID | None = None, limit: int) -> list[Spent]:
        """Return tasks settled before a moment, by id."""
        return await self._spent(self._is_settled(before), after=after, limit=limit)

    async def remove_steps(self, spent: Sequence[Spent], *, before: datetime) -> Counter[str]:
        """Remove checkpoints, their values and writes, and the journal of these runs; return how many of each.

        One whose task was taken up again meanwhile is left alone.
        """
        still = await self._still(spent, before)
        return await self._remove_steps(still) + Counter(runs_stripped=len(still))

    async def remove(self, spent: Sequence[Spent], *, before: datetime) -> Counter[str]:
        """Remove these tasks with their events, steps and runs; return how many of each.

        The run that a verdict names stays. One whose task was taken up again meanwhile is left alone.
        """
        still = await self._still(spent, before)
        gone = await self._remove_steps(still)
        tasks = [each.task_id for each in still]
        named = exists().where(_VERDICTS.c.run_id == _RUNS.c.id)
        gone["events"] = await self._delete(_EVENTS, _EVENTS.c.task_id.in_(tasks))
        gone["runs"] = await self._delete(_RUNS, _RUNS.c.task_id.in_(tasks), ~named)
        gone["tasks"] = await self._delete(_TASKS, _TASKS.c.id.in_(tasks))
        return gone

    async def remove_slots(self, before: datetime) -> int:
        """Remove fired slots from before a moment whose task is gone; return how many."""
        return await self._delete(_SLOTS, *self._is_orphaned(before))

    async def counted(self, *, steps_before: datetime, tasks_before: datetime) -> Counter[str]:
        """Return what would be removed; nothing is."""
        with_steps, settled = self._has_steps(steps_before), self._is_settled(tasks_before)
        counts: Counter[str] = Counter()
        counts["runs_stripped"] = await self._count(_TASKS, *with_steps, _TASKS.c.finished_at >= tasks_before)
        for name, table in _STEPS.items():
            counts[name] = await self._count(table, table.c.thread_id.in_(_of(_TASKS.c.thread_id, with_steps)))
        counts["journal"] = await self._count(_JOURNAL, _JOURNAL.c.run_id.in_(_of(_TASKS.c.run_id, with_steps)))
        named = exists().where(_VERDICTS.c.run_id == _RUNS.c.id)
        tasks = _of(_TASKS.c.id, settled)
        counts["tasks"] = await self._count(_TASKS, *settled)
        counts["events"] = await self._count(_EVENTS, _EVENTS.c.tenant == self._tenant, _EVENTS.c.task_id.in_(tasks))
        counts["runs"] = await self._count(_RUNS, _RUNS.c.tenant == self._tenant, _RUNS.c.task_id.in_(tasks), ~named)
        spared = exists().where(_TASKS.c.id == _SLOTS.c.task_id, _TASKS.c.id.not_in(tasks))
        counts["slots"] = await self._count(
            _SLOTS, _SLOTS.c.tenant == self._tenant, _SLOTS.c.slot < tasks_before, ~spared
        )
        return counts

    async def _spent(self, where: Sequence[ColumnElement[bool]], *, after: UUID | None, limit: int) -> list[Spent]:
        query = select(_TASKS.c.id, _TASKS.c.run_id, _TASKS.c.thread_id).where(*where)
        if after is not None:
            query = query.where(_TASKS.c.id > after)
        rows = await self._connection.execute(query.order_by(_TASKS.c.id).limit(limit))
        return [Spent(*row) for row in rows]

    async def _still(self, spent: Sequence[Spent], before: datetime) -> list[Spent]:
        """Lock these tasks and return those that are still settled: a person may retry a dead one at any time."""
        query = (
            select(_TASKS.c.id)
            .where(_TASKS.c.id.in_([each.task_id for each in spent]), *self._is_settled(before))
            .order_by(_TASKS.c.id)
        )
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        found = set((await self._connection.execute(query)).scalars())
        return [each for each in spent if each.task_id in found]

    async def _remove_steps(self, spent: Sequence[Spent]) -> Counter[str]:
        gone: Counter[str] = Counter()
        threads = [each.thread_id for each in spent]
        for name, table in _STEPS.items():
            gone[name] = await self._delete(table, table.c.thread_id.in_(threads))
        gone["journal"] = await self._delete(_JOURNAL, _JOURNAL.c.run_id.in_([each.run_id for each in spent]))
        return gone

    def _is_settled(self, before: datetime) -> list[ColumnElement[bool]]:
        return [
            _TASKS.c.tenant == self._tenant,
            _TASKS.c.state.in_(_SETTLED),
            _TASKS.c.finished_at < before,
            ~_thread_is_open(),
        ]

    def _has_steps(self, before: datetime) -> list[ColumnElement[bool]]:
        checkpoints = _STEPS["checkpoints"]
        kept = or_(
            exists().where(checkpoints.c.thread_id == _TASKS.c.thread_id),
            exists().where(_JOURNAL.c.run_id == _TASKS.c.run_id),
        )
        return [*self._is_settled(before), kept]

    def _is_orphaned(self, before: datetime) -> list[ColumnElement[bool]]:
        return [
            _SLOTS.c.tenant == self._tenant,
            _SLOTS.c.slot < before,
            ~exists().where(_TASKS.c.id == _SLOTS.c.task_id),
        ]

    async def _delete(self, table: Table, *where: ColumnElement[bool]) -> int:
        statement: Delete = delete(table).where(*where)
        return (await self._connection.execute(statement)).rowcount

    async def _count(self, table: Table, *where: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(table).where(*where)
        return (await self._connection.execute(query)).scalar_one()


def _of(column: ColumnElement[Any], where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return select(column).where(*where)


def _thread_is_open() -> ColumnElement[bool]:
    """Whether another task that has not ended goes on with the same thread."""
    run, task = _RUNS.alias(), _TASKS.alias()
    return exists(
        select(run.c.id)
        .join(task, task.c.id == run.c.task_id)
        .where(run.c.thread_id == _TASKS.c.thread_id, task.c.state.in_(_OPEN))
    )
