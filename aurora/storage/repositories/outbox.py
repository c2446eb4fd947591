"""What is written and still to be told to a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, and_, exists, func, literal_column, or_, select, tuple_, update

from aurora.kernel.models.task import Task, TaskState
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_TASKS, _RUNS = table_of(TaskModel), table_of(RunModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a task ended, as it is told to whoever listens."""

    task_id: UUID
    run_id: UUID
    tenant: str
    graph: str
    state: TaskState
    outcome: str | None
    """One word, as the graph's spec tells it."""
    error: str | None
    """Code of the error, for a task that failed."""
    finished_at: datetime | None
    epoch: int
    """Of the claim that ended it: a task that is tried again by hand ends again, with a larger one."""


class Outbox(Repository):
    """Tasks and results that a broker is to be told of, of all tenants: the relay serves the installation.

    Several relays share the work: what one has taken is left to it for as long as its caller says. That is
    noted in `notified_at`, so a relay that dies loses nothing but that time.
    """

    async def has_due(self, now: datetime, *, untold_since: datetime) -> bool:
        """Tell whether `take_due` would find anything; takes no lock."""
        # In the order of the index: of EXISTS alone PostgreSQL expects to find something soon, and reads the table.
        parts = [
            select(_TASKS.c.id).where(wanted).order_by(*_OLDEST).limit(1).scalar_subquery()
            for wanted in _due(now, untold_since)
        ]
        return await self._connection.scalar(select(func.coalesce(*parts))) is not None

    async def take_due(self, now: datetime, *, untold_since: datetime, limit: int) -> list[Task]:
        """Take tasks that are queued, due, and of which nobody was told since then.

        First those that nobody was told of, the longest due first, then those that were told longest ago.
        Each is marked as told now; `untake` what no broker took.
        """
        rows: list[RowMapping] = []
        for wanted in _due(now, untold_since):
            if len(rows) < limit:
                rows += await self._take(wanted, _OF_TASK, _OLDEST, now=now, limit=limit - len(rows))
        return [Task.model_validate({name: value for name, value in row.items() if value is not None}) for row in rows]

    async def untake(self, tasks: Sequence[Task], *, taken_at: datetime) -> None:
        """Forget that these were told, unless somebody else has told of them since."""
        for part in chunks(tasks):
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.id.in_([task.id for task in part]), _TASKS.c.notified_at == taken_at)
                .values(notified_at=None)
            )

    async def has_results(self, *, untold_since: datetime) -> bool:
        """Tell whether `take_results` would find anything; takes no lock."""
        return bool(await self._connection.scalar(select(exists().where(_has_result(untold_since)))))

    async def take_results(self, now: datetime, *, untold_since: datetime, limit: int) -> list[Result]:
        """Take results that are still to be published, the oldest first; `published` ends that."""
        rows = await self._take(_has_result(untold_since), (_TASKS.c.id,), (_TASKS.c.id,), now=now, limit=limit)
        taken = [row["id"] for row in rows]
        results = []
        for part in chunks(taken):
            query = (
                select(
                    _TASKS.c.id.label("task_id"),
                    _TASKS.c.run_id,
                    _TASKS.c.tenant,
                    _TASKS.c.graph,
                    _TASKS.c.state,
                    _TASKS.c.error,
                    _TASKS.c.finished_at,
                    _TASKS.c.epoch,
                    _RUNS.c.outcome,
                )
                .join_from(_TASKS, _RUNS, _RUNS.c.id == _TASKS.c.run_id, isouter=True)
                .where(_TASKS.c.id.in_(part))
                .order_by(_TASKS.c.id)
            )
            found = (await self._connection.execute(query)).mappings()
            results += [Result(**{**row, "state": TaskState(row["state"])}) for row in found]
        return results

    async def published(self, results: Sequence[Result]) -> None:
        """Note that these need not be told again; one that ended again meanwhile is still to be told."""
        for part in chunks(results):
            await self._connection.execute(
                update(_TASKS)
                .where(tuple_(_TASKS.c.id, _TASKS.c.epoch).in_([(each.task_id, each.epoch) for each in part]))
                .where(_TASKS.c.state.in_(_SETTLED))
                .values(result_due=False)
            )

    async def _take(
        self,
        wanted: ColumnElement[bool],
        columns: Sequence[ColumnElement[Any]],
        first: Sequence[ColumnElement[Any]],
        *,
        now: datetime,
        limit: int,
    ) -> Sequence[RowMapping]:
        query = select(_TASKS.c.id).where(wanted).order_by(*first).limit(limit)
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update(skip_locked=True)
        # A CTE: PostgreSQL may run a plain subquery with LIMIT … FOR UPDATE more than once.
        chosen = query.cte("chosen")
        statement = (
            update(_TASKS).where(_TASKS.c.id.in_(select(chosen.c.id))).values(notified_at=now).returning(*columns)
        )
        return sorted((await self._connection.execute(statement)).mappings(), key=lambda row: row["id"])


_OLDEST = (_TASKS.c.notified_at, _TASKS.c.run_at)
_OF_TASK = tuple(column for column in _TASKS.c if column.name in Task.model_fields)
# Word for word as the partial indexes have them: neither database finds an index whose condition it cannot prove
# from the text alone, without the values of parameters.
_IS_QUEUED = _TASKS.c.state == literal_column("'queued'")
_IS_RESULT_DUE: ColumnElement[bool] = literal_column("result_due")
_SETTLED = [state.value for state in TaskState if not state.is_open]


def _due(now: datetime, untold_since: datetime) -> list[ColumnElement[bool]]:
    """Return two conditions: one with an OR would read all that is queued, told or not."""
    due = and_(_IS_QUEUED, _TASKS.c.run_at <= now)
    return [and_(due, _TASKS.c.notified_at.is_(None)), and_(due, _TASKS.c.notified_at <= untold_since)]


def _has_result(untold_since: datetime) -> ColumnElement[bool]:
    """A result that no relay has taken lately; a mark from before the task ended is that of its announcement."""
    untaken = or_(
        _TASKS.c.notified_at.is_(None),
        _TASKS.c.notified_at <= untold_since,
        _TASKS.c.notified_at <= _TASKS.c.finished_at,
    )
    return and_(_IS_RESULT_DUE, _TASKS.c.state.in_(_SETTLED), untaken)
