"""The ledger: claim by lease with a fencing epoch, settle, release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, exists, func, or_, select, tuple_, update

from aurora.kernel.errors import LeaseLost, NotFound
from aurora.kernel.ids import AlertId, RunId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_TASKS, _RUNS, _CHECKPOINTS = table_of(TaskModel), table_of(RunModel), table_of(CheckpointModel)


class Tasks(Repository):
    """Tasks of one tenant."""

    async def claim(
        self,
        *,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        alerts: Sequence[AlertId] = (),
        tasks: Sequence[TaskId] = (),
    ) -> list[Task]:
        """Take up to `limit` of these tasks, or those of these alerts, that are queued or whose lease ran out.

        The epoch grows with every claim, so a former owner that wakes up late writes nothing. The attempt
        does not if the former owner never came to this task: what a worker held when it was killed is innocent.
        """
        claimable = or_(
            _TASKS.c.state == TaskState.QUEUED, and_(_TASKS.c.state == TaskState.RUNNING, _TASKS.c.lease_until < now)
        )
        wanted = (
            select(_TASKS.c.id)
            .where(_TASKS.c.tenant == self._tenant, _among(alerts, tasks), claimable)
            .order_by(_TASKS.c.priority.desc(), _TASKS.c.id)
            .limit(limit)
        )
        if self._connection.dialect.name == "postgresql":
            wanted = wanted.with_for_update(skip_locked=True)
        # A CTE, because PostgreSQL may run a plain subquery with LIMIT … FOR UPDATE more than once
        # and then claims more than the limit.
        chosen = wanted.cte("chosen")
        statement = (
            update(_TASKS)
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_(select(chosen.c.id)))
            .values(
                state=TaskState.RUNNING,
                epoch=_TASKS.c.epoch + 1,
                attempt=case((_lapsed_before_it_began(), _TASKS.c.attempt), else_=_TASKS.c.attempt + 1),
                owner=owner,
                lease_until=lease_until,
            )
            .returning(_TASKS)
        )
        rows = (await self._connection.execute(statement)).all()
        return sorted((_task(row) for row in rows), key=lambda task: (-task.priority, task.id))

    async def hold(self, tasks: Sequence[Task]) -> set[UUID]:
        """Lock the rows of those claims that still stand and return their ids.

        A worker writes nothing for a task that is not among them. Always locked in the order of ids:
        heartbeat, settlement and the saver's fence lock many rows each and would otherwise wait for
        one another until PostgreSQL ends one of them.
        """
        if not tasks:
            return set()
        claims = [(task.id, task.epoch) for task in tasks]
        query = (
            select(_TASKS.c.id)
            .where(
                _TASKS.c.tenant == self._tenant,
                tuple_(_TASKS.c.id, _TASKS.c.epoch).in_(claims),
                _TASKS.c.state == TaskState.RUNNING,
            )
            .order_by(_TASKS.c.id)
        )
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        return set((await self._connection.execute(query)).scalars())

    async def extend(self, tasks: Sequence[Task], *, lease_until: datetime) -> set[UUID]:
        """Renew leases; return the ids of the tasks that are still ours."""
        kept = await self.hold(tasks)
        if kept:
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_(kept))
                .values(lease_until=lease_until)
            )
        return kept

    async def settle(self, task: Task, state: TaskState, *, now: datetime, error: str | None = None) -> None:
        """End a task that this worker owns, or hand it back (`QUEUED`).

        Raises:
            LeaseLost: another worker owns it; its state was not touched.
        """
        statement = (
            update(_TASKS)
            .where(
                _TASKS.c.tenant == self._tenant,
                _TASKS.c.id == task.id,
                _TASKS.c.epoch == task.epoch,
                _TASKS.c.state == TaskState.RUNNING,
            )
            .values(state=state, lease_until=None, owner=None, finished_at=None if state.is_open else now, error=error)
            .returning(_TASKS.c.id)
        )
        if (await self._connection.execute(statement)).first() is None:
            raise LeaseLost("another worker owns this task now", task_id=str(task.id), epoch=task.epoch)

    async def succeeded(self, tasks: Sequence[Task], *, now: datetime) -> set[UUID]:
        """End tasks whose runs came to their end; return their ids. One that has another owner is left alone."""
        ended = await self.hold(tasks)
        if ended:
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_(ended))
                .values(state=TaskState.SUCCEEDED, lease_until=None, owner=None, finished_at=now)
            )
        return ended

    async def owners(self) -> list[str]:
        """Return who holds running tasks."""
        query = select(_TASKS.c.owner).where(_TASKS.c.tenant == self._tenant, _TASKS.c.state == TaskState.RUNNING)
        return [owner for owner in (await self._connection.execute(query.distinct())).scalars() if owner]

    async def release(self, owner: str) -> int:
        """Hand back what a dead owner held; return how many tasks that were. What it did not begin is no attempt."""
        statement = (
            update(_TASKS)
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.owner == owner, _TASKS.c.state == TaskState.RUNNING)
            .values(
                state=TaskState.QUEUED,
                owner=None,
                lease_until=None,
                attempt=case((_lapsed_before_it_began(), _TASKS.c.attempt - 1), else_=_TASKS.c.attempt),
            )
            .returning(_TASKS.c.id)
        )
        return len((await self._connection.execute(statement)).all())

    async def hand_back(self, tasks: Sequence[Task]) -> None:
        """Let others take what this worker holds and will not finish. To be stopped is no failed attempt."""
        held = await self.hold(tasks)
        if held:
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_(held))
                .values(state=TaskState.QUEUED, owner=None, lease_until=None, attempt=_TASKS.c.attempt - 1)
            )

    async def unsettled(self, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = ()) -> int:
        """Return how many of these tasks, or of those of these alerts, are not settled yet."""
        open_states = [state for state in TaskState if state.is_open]
        count = 0
        for part in chunks(alerts or tasks):
            among = _TASKS.c.alert_id.in_(part) if alerts else _TASKS.c.id.in_(part)
            query = select(func.count()).where(_TASKS.c.tenant == self._tenant, among, _TASKS.c.state.in_(open_states))
            count += (await self._connection.execute(query)).scalar_one()
        return count

    async def submit(self, task: Task) -> TaskId:
        """Write a task and its run; return its id, or that of the task which has its idempotency key already."""
        row = {
            **task.model_dump(exclude={"lease_until"}),
            "state": task.state.value,
            "tenant": self._tenant,
            "run_at": task.run_at or task.created_at,
        }
        await self._connection.execute(
            self._insert(_TASKS).on_conflict_do_nothing(index_elements=["tenant", "idempotency_key"]), [row]
        )
        query = select(_TASKS.c.id).where(
            _TASKS.c.tenant == self._tenant, _TASKS.c.idempotency_key == task.idempotency_key
        )
        standing = (await self._connection.execute(query)).scalar_one()
        if standing == task.id:
            run = {"id": task.run_id, "task_id": task.id, "graph": task.graph, "thread_id": task.thread_id}
            await self._connection.execute(
                self._insert(_RUNS).on_conflict_do_nothing(index_elements=["id"]),
                [{**run, "tenant": self._tenant, "details": {}}],
            )
        return TaskId(standing)

    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now.

        Raises:
            NotFound: there is no such task.
        """
        query = select(_TASKS).where(_TASKS.c.tenant == self._tenant, _TASKS.c.id == task_id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no task {task_id}", task_id=str(task_id))
        return _task(row)

    async def by_state(self) -> dict[str, int]:
        """Return how many tasks are in each state."""
        query = select(_TASKS.c.state, func.count()).where(_TASKS.c.tenant == self._tenant).group_by(_TASKS.c.state)
        return {row[0]: row[1] for row in await self._connection.execute(query)}


def _among(alerts: Sequence[AlertId], tasks: Sequence[TaskId]) -> ColumnElement[bool]:
    return _TASKS.c.id.in_(tasks) if tasks else _TASKS.c.alert_id.in_(alerts)


def _lapsed_before_it_began() -> ColumnElement[bool]:
    """Whether a running task has no checkpoint, so that its run had not begun when its owner was lost."""
    begun = exists().where(_CHECKPOINTS.c.thread_id == _TASKS.c.thread_id)
    return and_(_TASKS.c.state == TaskState.RUNNING, ~begun)


def _task(row: Row[tuple[object, ...]]) -> Task:
    return Task(
        id=TaskId(row.id),
        tenant=row.tenant,
        run_id=RunId(row.run_id),
        graph=row.graph,
        thread_id=row.thread_id,
        alert_id=row.alert_id,
        input=row.input,
        created_at=row.created_at,
        priority=row.priority,
        idempotency_key=row.idempotency_key,
        state=TaskState(row.state),
        epoch=row.epoch,
        attempt=row.attempt,
        lease_until=row.lease_until,
    )
