"""The ledger for those who bring work and those who look after it: one tenant's tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Table, case, exists, func, select, tuple_, update

from aurora.kernel.errors import Conflict, DeadlinePassed, QuotaExceeded
from aurora.kernel.ids import IdFactory, RunId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.verdict import FALLBACK, Decider
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.models import RunModel, TaskModel, VerdictModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.base import chunks, table_of
from aurora.storage.repositories.by_hand import document
from aurora.storage.repositories.task_events import TaskEvent, TaskEvents
from aurora.storage.repositories.task_lookup import TaskLookup, no_task, read_task

RETRY_AFTER = timedelta(seconds=5)
"""When to try again where the quota is used up: a worker that is there at all makes room in less."""

NEAR = 100
"""Free places under a quota below which submissions take turns: more of them than are under way at once."""

_TASKS, _RUNS, _CHECKPOINTS = table_of(TaskModel), table_of(RunModel), table_of(CheckpointModel)
_VERDICTS = table_of(VerdictModel)
_LONGEST_KEY = 200
_ENDED_BADLY = {TaskState.FAILED, TaskState.DEAD}


class Tasks(TaskLookup):
    """Tasks of one tenant."""

    async def submit(self, task: Task, *, max_queued: int | None = None, announced: bool = False) -> TaskId:
        """Write a task and its run; return its id, or that of the task which has its idempotency key already.

        Args:
            task: What is wanted. Its tenant is the transaction's.
            max_queued: So many tasks of the tenant may be queued; `None`: any number.
            announced: Somebody is woken for it right after the commit, so the relay need not.

        A quota holds exactly on SQLite. On PostgreSQL submissions of one tenant wait for one another only where fewer
        than `NEAR` places are left; so it is exceeded only if more than `NEAR` of them are on their way at once.

        Raises:
            QuotaExceeded: as many are queued already; its context says when to try again. Nothing was written.
        """
        if max_queued is not None and (standing := await self._quota(task, max_queued)) is not None:
            return standing
        values = self._values(task, notified_at=task.created_at if announced else None)
        if not await self._fetch(_insert(_TASKS, tuple(values), is_postgres=self._is_postgres), *values.values()):
            return await self._standing(task.idempotency_key)
        run = {"id": self._id(task.run_id), "tenant": self._tenant, "task_id": self._id(task.id), "graph": task.graph}
        run |= {"thread_id": task.thread_id, "details": "{}"}
        await self._fetch(_insert(_RUNS, tuple(run), is_postgres=self._is_postgres), *run.values())
        return task.id

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
        if self._is_postgres:
            query = query.with_for_update()
        return set((await self._connection.execute(query)).scalars())

    async def cancel(self, task_id: UUID, now: datetime, *, publishes: bool = False) -> TaskState:
        """Cancel what is queued or waits; ask the worker of what runs. Return the state that came of it.

        Args:
            task_id: Which.
            now: When.
            publishes: Whether somebody is to be told how it ended.

        Raises:
            NotFound: there is no such task.
            Conflict: it has ended.
        """
        row = await self._locked(task_id)
        state = TaskState(row.state)
        if state is TaskState.RUNNING:
            if not row.cancel_requested:
                await self._write(row.id, cancel_requested=True)
                await self._tell(row, "cancel_requested", now)
            return state
        if not state.is_open:
            raise Conflict(f"the task has ended: it is {state.value}", task_id=str(task_id))
        await self._write(row.id, state=TaskState.CANCELLED, finished_at=now, result_due=publishes, notified_at=None)
        await self._end_runs([row.run_id], now)
        await self._tell(row, "cancelled", now)
        return TaskState.CANCELLED

    async def retry(self, task_id: UUID, now: datetime, *, announced: bool = False) -> None:
        """Queue again, from now, what ended without success, or what was to be tried later; attempts count anew.

        Its run goes on from its checkpoint. A deadline that has passed does not count any more. The event keeps the
        error that the row forgets. A verdict that only said that the triage failed stays with its alert until there
        is a better one, and is no longer that of the run: a run has one verdict, and its first word stands.

        Args:
            task_id: Which.
            now: When.
            announced: Somebody is woken for it right after the commit.

        Raises:
            NotFound: there is no such task.
            Conflict: it runs, waits for a decision, succeeded, or its batch is still being accepted.
        """
        row = await self._locked(task_id)
        state = TaskState(row.state)
        if state in {TaskState.RUNNING, TaskState.WAITING, TaskState.SUCCEEDED}:
            raise Conflict(f"the task is {state.value}; there is nothing to try again", task_id=str(task_id))
        if row.run_at >= HELD:
            then = "it runs by itself then" if state.is_open else "try again then"
            raise Conflict(f"the task's batch is still being accepted; {then}", task_id=str(task_id))
        begun = exists().where(_CHECKPOINTS.c.thread_id == _TASKS.c.thread_id)
        await self._write(
            row.id,
            state=TaskState.QUEUED,
            run_at=now,
            attempt=0,
            cancel_requested=False,
            woken=False,
            result_due=False,
            error=None,
            reason=None,
            finished_at=None,
            deadline=None if row.deadline is not None and row.deadline <= now else row.deadline,
            notified_at=now if announced else None,
            graph_version=case((begun, _TASKS.c.graph_version), else_=None),
        )
        again = update(_RUNS).where(_RUNS.c.tenant == self._tenant, _RUNS.c.id == row.run_id)
        await self._connection.execute(again.values(finished_at=None, outcome=None))
        if row.alert_id is not None:
            fallback = update(_VERDICTS).where(
                _VERDICTS.c.tenant == self._tenant,
                _VERDICTS.c.run_id == row.run_id,
                _VERDICTS.c.decided_by == Decider.RULES,
                _VERDICTS.c.decided_name == FALLBACK,
            )
            await self._connection.execute(fallback.values(run_id=None))
        await self._tell(row, "retried_by_hand", now, code=row.error, reason=row.reason)

    async def replay(self, task_id: UUID, now: datetime, ids: IdFactory, *, announced: bool = False) -> Task:
        """Submit the work of a dead letter again, from its beginning, as a new task and run; return the new task.

        The old task keeps its end.

        Raises:
            NotFound: there is no such task.
            Conflict: it is neither dead nor failed.
        """
        row = await self._locked(task_id)
        if TaskState(row.state) not in _ENDED_BADLY:
            raise Conflict(f"the task is {row.state}, and no dead letter", task_id=str(task_id))
        times = sum(each["event"] == "replayed" for each in await self.events(task_id))
        run_id = RunId(ids())
        task = Task(
            id=TaskId(ids()),
            tenant=self._tenant,
            run_id=run_id,
            graph=row.graph,
            agent_type=row.agent_type,
            thread_id=f"{row.graph}:{run_id}",
            alert_id=row.alert_id,
            input=row.input,
            correlation={**(row.correlation or {}), "replay_of": str(row.id)},
            created_at=now,
            priority=row.priority,
            idempotency_key=_replayed(row.idempotency_key, times + 1),
            max_attempts=row.max_attempts,
        )
        while await self.submit(task, announced=announced) != task.id:  # somebody chose that key for a task of his own
            times += 1
            key = _replayed(row.idempotency_key, times + 1)
            task = task.model_copy(update={"idempotency_key": key})
        await self._tell(row, "replayed", now, reason=f"as task {task.id}")
        return task

    async def wake(self, task_id: UUID, now: datetime, *, announced: bool = False) -> None:
        """Tell a task that what it waits for has happened. It may say so before it waits, and more than once.

        Raises:
            NotFound: there is no such task.
        """
        row = await self._locked(task_id)
        if row.state == TaskState.WAITING:
            await self._write(row.id, state=TaskState.QUEUED, run_at=now, notified_at=now if announced else None)
        elif row.state == TaskState.RUNNING and not row.woken:
            await self._write(row.id, woken=True)
        else:
            return
        await self._tell(row, "woken", now)

    async def expire(self, now: datetime, limit: int, *, publishes: bool = False) -> Sequence[Task]:
        """Fail what is queued or waits past its deadline, the latest first; return these tasks as they are now."""
        query = (
            select(_TASKS)
            .where(
                _TASKS.c.tenant == self._tenant,
                _TASKS.c.deadline < now,
                _TASKS.c.state.in_([TaskState.QUEUED.value, TaskState.WAITING.value]),
            )
            .order_by(_TASKS.c.deadline, _TASKS.c.id)
            .limit(limit)
        )
        if self._is_postgres:
            query = query.with_for_update(skip_locked=True)
        rows = (await self._connection.execute(query)).all()
        for part in chunks(rows):
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_([row.id for row in part]))
                .values(
                    state=TaskState.FAILED,
                    error=DeadlinePassed.code,
                    reason="its deadline passed before it could run",
                    finished_at=now,
                    result_due=publishes,
                    notified_at=None,
                )
            )
            await self._end_runs([row.run_id for row in part], now)
        await TaskEvents(self._connection, self._tenant).write(
            [_event(row, "failed", now, code=DeadlinePassed.code) for row in rows]
        )
        return [read_task(row).model_copy(update={"state": TaskState.FAILED}) for row in rows]

    def _values(self, task: Task, *, notified_at: datetime | None) -> dict[str, object]:
        """Return the columns of a new task, bound."""
        return {
            "id": self._id(task.id),
            "tenant": self._tenant,
            "run_id": self._id(task.run_id),
            "graph": task.graph,
            "graph_version": task.graph_version,
            "agent_type": task.agent_type,
            "thread_id": task.thread_id,
            "alert_id": None if task.alert_id is None else self._id(task.alert_id),
            "input": None if task.input is None else document(task.input),
            "correlation": document(task.correlation) if task.correlation else None,
            "traceparent": task.traceparent,
            "created_at": self._moment(task.created_at),
            "run_at": self._moment(task.run_at or task.created_at),
            "deadline": self._moment(task.deadline),
            "notified_at": self._moment(notified_at),
            "priority": task.priority,
            "idempotency_key": task.idempotency_key,
            "state": task.state.value,
            "epoch": task.epoch,
            "attempt": task.attempt,
            "max_attempts": task.max_attempts,
            "cancel_requested": False,
            "woken": False,
            "result_due": False,
        }

    async def _quota(self, task: Task, most: int) -> TaskId | None:
        """Return the task that has this one's key, if there is no room for another; `None`: there is room."""
        queued = await self._queued(most)
        if self._is_postgres and most - NEAR < queued < most:
            # Two that each see room for one would both come in. Counted again: the lock shows what others committed.
            turn = func.pg_advisory_xact_lock(func.hashtextextended(f"aurora.queued:{self._tenant}", 0))
            await self._connection.execute(select(turn))
            queued = await self._queued(most)
        if queued < most:
            return None
        standing = await self._connection.scalar(self._of_key(task.idempotency_key))
        if standing is None:
            raise QuotaExceeded(
                f"{most} tasks are queued already, which is what a tenant may have; try again in "
                f"{RETRY_AFTER.total_seconds():.0f} s, or raise dispatch.max_queued",
                retry_after_s=RETRY_AFTER.total_seconds(),
                max_queued=most,
            )
        return TaskId(standing)

    async def _queued(self, most: int) -> int:
        """Return how many tasks are queued; of more than `most` no more are counted."""
        queued = (
            select(_TASKS.c.id)
            .where(_TASKS.c.tenant == self._tenant, _TASKS.c.state == TaskState.QUEUED)
            .limit(most)
            .subquery()
        )
        return (await self._connection.execute(select(func.count()).select_from(queued))).scalar_one()

    async def _standing(self, key: str) -> TaskId:
        return TaskId((await self._connection.execute(self._of_key(key))).scalar_one())

    def _of_key(self, key: str) -> Select[Any]:
        return select(_TASKS.c.id).where(_TASKS.c.tenant == self._tenant, _TASKS.c.idempotency_key == key)

    async def _locked(self, task_id: UUID) -> Row[Any]:
        """Return a task's row; until this transaction ends nobody else changes it."""
        query = select(_TASKS).where(_TASKS.c.tenant == self._tenant, _TASKS.c.id == task_id)
        if self._is_postgres:
            query = query.with_for_update()
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise no_task(task_id)
        return row

    async def _write(self, task_id: UUID, **values: Any) -> None:
        await self._connection.execute(
            update(_TASKS).where(_TASKS.c.tenant == self._tenant, _TASKS.c.id == task_id).values(**values)
        )

    async def _end_runs(self, runs: Sequence[UUID], now: datetime) -> None:
        await self._connection.execute(
            update(_RUNS).where(_RUNS.c.tenant == self._tenant, _RUNS.c.id.in_(runs)).values(finished_at=now)
        )

    async def _tell(
        self, row: Row[Any], event: str, now: datetime, *, code: str | None = None, reason: str | None = None
    ) -> None:
        await TaskEvents(self._connection, self._tenant).write([_event(row, event, now, code=code, reason=reason)])


@lru_cache(maxsize=8)
def _insert(table: Table, names: tuple[str, ...], *, is_postgres: bool) -> str:
    """Return an INSERT of one row that returns its id, or nothing where there is such a row already."""
    marks = ", ".join(f"{'$' if is_postgres else '?'}{number}" for number in range(1, len(names) + 1))
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) "  # noqa: S608 - our own names
        f"ON CONFLICT ({'tenant, idempotency_key' if table is _TASKS else 'id'}) DO NOTHING RETURNING id"
    )


def _event(
    row: Row[Any], event: str, now: datetime, *, code: str | None = None, reason: str | None = None
) -> TaskEvent:
    return TaskEvent(
        tenant=row.tenant,
        task_id=row.id,
        at=now,
        event=event,
        attempt=row.attempt,
        epoch=row.epoch,
        owner=row.owner,
        code=code,
        reason=reason,
    )


def _replayed(key: str, times: int) -> str:
    """Return the key of a replay; one that would be too long for its column is told by its digest."""
    suffix = f"#replay:{times}"
    if len(key) + len(suffix) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    return key + suffix
