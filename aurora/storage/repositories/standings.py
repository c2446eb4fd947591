"""How given tasks stand: for whoever waits for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from aurora.kernel.ids import AlertId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.task import Lane
from aurora.storage.models import TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.base import Repository, chunks, table_of

_TASKS = table_of(TaskModel)
_OF_TASK = tuple(column for column in _TASKS.c if column.name in Task.model_fields)


@dataclass(frozen=True, slots=True)
class Standing:
    """So many tasks that are alike."""

    state: TaskState
    graph: str
    lane: Lane
    is_held: bool
    """Their batch is still being accepted, or whoever accepted it has died: nobody takes them who was not asked to."""
    count: int

    @property
    def is_under_way(self) -> bool:
        """Whether somebody works on them, or could; nobody can on one that waits for a decision."""
        return self.state in {TaskState.QUEUED, TaskState.RUNNING}


class Standings(Repository):
    """States of given tasks of one tenant."""

    async def of(
        self, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = (), graphs: Collection[str]
    ) -> list[Standing]:
        """Return how these tasks, or those of these alerts, stand, as far as they are of these graphs."""
        counts: dict[tuple[TaskState, str, Lane, bool], int] = {}
        held = case((_TASKS.c.run_at >= HELD, 1), else_=0).label("held")
        alike = (_TASKS.c.state, _TASKS.c.graph, _TASKS.c.priority, held)
        for part in chunks(alerts or tasks):
            query = (
                select(*alike, func.count())
                .where(_TASKS.c.tenant == self._tenant, _TASKS.c.graph.in_(graphs))
                .where(_TASKS.c.alert_id.in_(part) if alerts else _TASKS.c.id.in_(part))
                .group_by(*alike)
            )
            for state, graph, priority, is_held, count in await self._connection.execute(query):
                key = (TaskState(state), graph, Lane.of(priority), bool(is_held))
                counts[key] = counts.get(key, 0) + count
        return [Standing(*key, count) for key, count in counts.items()]

    async def queued(
        self, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = (), graphs: Collection[str], limit: int
    ) -> list[Task]:
        """Return up to `limit` of these that are queued, the most urgent first: to wake workers for them."""
        query = (
            select(*_OF_TASK)
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.graph.in_(graphs), _TASKS.c.state == TaskState.QUEUED)
            .where(_TASKS.c.alert_id.in_(alerts) if alerts else _TASKS.c.id.in_(tasks))
            .order_by(_TASKS.c.priority.desc(), _TASKS.c.id)
            .limit(limit)
        )
        rows = (await self._connection.execute(query)).mappings()
        return [Task.model_validate({name: value for name, value in row.items() if value is not None}) for row in rows]
