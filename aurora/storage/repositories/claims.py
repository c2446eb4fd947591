"""The worker's statements: settle, claim, renew, take back. Of all tenants, for one worker at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, exists, func, or_, select, update

from aurora.kernel.ids import AlertId, RunId, TaskId
from aurora.kernel.models.task import Task, TaskState
from aurora.kernel.models.work import Ending
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.base import chunks, table_of
from aurora.storage.repositories.by_hand import ByHand, document, read_document, read_id, read_moment
from aurora.storage.repositories.claim_statements import Statements, statements
from aurora.storage.repositories.task_events import TaskEvent, TaskEvents

_TASKS, _RUNS, _CHECKPOINTS = table_of(TaskModel), table_of(RunModel), table_of(CheckpointModel)

_TOLD = tuple(_TASKS.c[name] for name in ("id", "tenant", "run_id", "owner", "epoch", "attempt", "cancel_requested"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What every claim says."""

    owner: str
    now: datetime
    lease_until: datetime
    graphs: Mapping[str, str]
    """Graphs whose tasks are wanted, with the version that a fresh run begins with."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first task of a tenant with a priority: when it may run."""

    tenant: str
    priority: int
    run_at: datetime


class Claims(ByHand):
    """The ledger's hot path. A tenant is nothing but a column here: a worker serves all of them."""

    async def settle(
        self, endings: Sequence[Ending], *, owner: str, now: datetime, publishes: bool
    ) -> dict[UUID, TaskState]:
        """Write how claims ended and return the states that came of it, of those claims that still stood.

        What was woken before it could wait is queued; what somebody wants to stop is not tried again.

        Args:
            endings: One for a task.
            owner: Who held the tasks.
            now: When.
            publishes: Whether somebody is to be told how they ended.
        """
        if self._is_postgres:  # in one statement, which locks all rows in one order: a heartbeat may hold some
            became = await self._settled(endings, now, publishes=publishes)
        else:
            became = await self._succeeded([each for each in endings if _is_plain(each)], now, publishes=publishes)
            became |= await self._settled([each for each in endings if not _is_plain(each)], now, publishes=publishes)
        standing = [ending for ending in endings if ending.task.id in became]
        await self._end_runs(standing, became, now)
        events = [_event_of(ending, became[ending.task.id], owner, now) for ending in standing if ending.event]
        await TaskEvents(self._connection, self._tenant).write(events)
        return became

    async def heads(self) -> list[Head]:
        """Return the first queued task of every tenant and priority, whatever its graph."""
        rows = await self._fetch(self._said.heads())
        return [Head(row[0], row[1], read_moment(row[2])) for row in rows]

    async def best(self, claim: Claim, tenant: str, *, priorities: Sequence[int], limit: int) -> list[Task]:
        """Claim up to `limit` due tasks of one tenant, in the order of the priorities, then of the moments."""
        statement = self._said.claim_best(tuple(priorities))
        rows = await self._fetch(statement, *self._claimed_by(claim), *self._wanted(claim), limit, tenant)
        return self._tasks(claim, rows)

    async def given(
        self, claim: Claim, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = (), limit: int
    ) -> list[Task]:
        """Claim up to `limit` of these tasks, or of those of these alerts, held ones included."""
        statement = self._said.claim_given("id" if tasks else "alert_id")
        ids = document([each.hex for each in (tasks or alerts)])
        rows = await self._fetch(
            statement, *self._claimed_by(claim), *self._wanted(claim), limit, ids, self._moment(HELD)
        )
        return self._tasks(claim, rows)

    async def candidates(
        self, claim: Claim, shares: Mapping[str, int], *, priorities: Sequence[int]
    ) -> dict[str, list[UUID]]:
        """Return for each of these tenants its best due tasks, as many as its share at most. On PostgreSQL, locked."""
        statement = self._said.candidates(tuple(priorities))
        entries = document([{"tenant": tenant, "n": share} for tenant, share in shares.items()])
        graphs, now = self._wanted(claim)
        rows = await self._fetch(statement, entries, graphs, now, max(shares.values()))
        places = {priority: place for place, priority in enumerate(priorities)}
        found: dict[str, list[tuple[int, Any, UUID]]] = {tenant: [] for tenant in shares}
        for id_, tenant, priority, run_at in rows:
            found[tenant].append((places[priority], run_at, read_id(id_)))
        return {tenant: [each[-1] for each in sorted(of)[: shares[tenant]]] for tenant, of in found.items()}

    async def these(self, claim: Claim, ids: Sequence[UUID]) -> list[Task]:
        """Claim tasks that `candidates` found, in the same transaction."""
        owner, lease, versions = self._claimed_by(claim)
        rows = await self._fetch(self._said.claim_these(), owner, lease, versions, document([each.hex for each in ids]))
        return self._tasks(claim, rows)

    async def running(self, tenants: Sequence[str]) -> dict[str, int]:
        """Count the running tasks of tenants; on PostgreSQL others that count them wait until this transaction ends."""
        if self._connection.dialect.name == "postgresql":
            for tenant in sorted(tenants):
                turn = func.pg_advisory_xact_lock(func.hashtextextended(f"aurora.running:{tenant}", 0))
                await self._connection.execute(select(turn))
        query = (
            select(_TASKS.c.tenant, func.count())
            .where(_TASKS.c.tenant.in_(tenants), _TASKS.c.state == TaskState.RUNNING)
            .group_by(_TASKS.c.tenant)
        )
        return {row[0]: row[1] for row in await self._connection.execute(query)}

    async def beat(self, held: Sequence[Task], *, lease_until: datetime) -> dict[UUID, bool]:
        """Renew leases; return the tasks that are still ours and whether somebody wants them to stop."""
        claims = document([{"id": task.id.hex, "epoch": task.epoch} for task in held])
        rows = await self._fetch(self._said.beat(), claims, self._moment(lease_until))
        return {read_id(row[0]): bool(row[1]) for row in rows}

    async def oldest_lease(self) -> datetime | None:
        """Return when the first lease runs out or ran out: one entry of an index. `None`: nothing runs."""
        query = select(func.min(_TASKS.c.lease_until)).where(_TASKS.c.state == TaskState.RUNNING)
        oldest: datetime | None = (await self._connection.execute(query)).scalar_one()
        return oldest

    async def holders(self) -> list[str]:
        """Return who holds running tasks; reads all of these."""
        query = select(_TASKS.c.owner).where(_TASKS.c.state == TaskState.RUNNING, _TASKS.c.owner.is_not(None))
        return list((await self._connection.execute(query.distinct())).scalars())

    async def lapse(self, *, now: datetime, dead: Sequence[str] = (), publishes: bool = False) -> int:
        """Queue again what nobody holds any more: its lease ran out, or its owner is dead. Return how many.

        What was not begun, as no checkpoint shows, is no attempt: what a worker held when it was killed is innocent.
        What somebody wanted to stop has been stopped by that.
        """
        lapsed = or_(_TASKS.c.lease_until < now, _TASKS.c.owner.in_(dead))
        query = select(*_TOLD).where(_TASKS.c.state == TaskState.RUNNING, lapsed).order_by(_TASKS.c.id)
        if self._connection.dialect.name == "postgresql":  # who locks such a row is alive: it writes
            query = query.with_for_update(skip_locked=True)
        rows = (await self._connection.execute(query)).all()
        begun = exists().where(_CHECKPOINTS.c.thread_id == _TASKS.c.thread_id)
        for part in chunks([row.id for row in rows if not row.cancel_requested]):
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.id.in_(part))
                .values(
                    state=TaskState.QUEUED,
                    owner=None,
                    lease_until=None,
                    run_at=now,
                    notified_at=None,
                    attempt=case((begun, _TASKS.c.attempt), else_=_TASKS.c.attempt - 1),
                    graph_version=case((begun, _TASKS.c.graph_version), else_=None),
                )
            )
        for part in chunks([row for row in rows if row.cancel_requested]):
            await self._connection.execute(
                update(_TASKS)
                .where(_TASKS.c.id.in_([row.id for row in part]))
                .values(state=TaskState.CANCELLED, owner=None, lease_until=None, finished_at=now, result_due=publishes)
            )
            ended = _RUNS.c.id.in_([row.run_id for row in part])
            await self._connection.execute(update(_RUNS).where(ended).values(finished_at=now))
        await TaskEvents(self._connection, self._tenant).write(
            [
                TaskEvent(
                    tenant=row.tenant,
                    task_id=row.id,
                    at=now,
                    event="cancelled" if row.cancel_requested else "lapsed",
                    attempt=row.attempt,
                    epoch=row.epoch,
                    owner=row.owner,
                )
                for row in rows
            ]
        )
        return len(rows)

    async def unsettled(self, *, alerts: Sequence[AlertId] = (), tasks: Sequence[TaskId] = ()) -> int:
        """Return how many of these tasks, or of those of these alerts, are not settled yet."""
        open_states = [state.value for state in TaskState if state.is_open]
        count = 0
        for part in chunks(tasks or alerts):
            among = _TASKS.c.id.in_(part) if tasks else _TASKS.c.alert_id.in_(part)
            query = select(func.count()).where(among, _TASKS.c.state.in_(open_states))
            count += (await self._connection.execute(query)).scalar_one()
        return count

    async def _succeeded(self, endings: Sequence[Ending], now: datetime, *, publishes: bool) -> dict[UUID, TaskState]:
        """Settle what most endings are, on SQLite."""
        if not endings:
            return {}
        rows = [
            {"id": ending.task.id.hex, "epoch": ending.task.epoch, "version": ending.graph_version}
            for ending in endings
        ]
        found = await self._fetch(self._said.succeed(), document(rows), self._text(now), publishes)
        return {read_id(row[0]): TaskState.SUCCEEDED for row in found}

    async def _settled(self, endings: Sequence[Ending], now: datetime, *, publishes: bool) -> dict[UUID, TaskState]:
        if not endings:
            return {}
        rows = [
            {
                "id": ending.task.id.hex,
                "epoch": ending.task.epoch,
                "state": ending.state.value,
                "run_at": self._text(ending.run_at),
                "free": int(ending.is_free),
                "code": None if ending.problem is None else ending.problem.code,
                "reason": None if ending.problem is None else ending.problem.reason,
                "version": ending.graph_version,
            }
            for ending in endings
        ]
        found = await self._fetch(self._said.settle(), document(rows), self._moment(now), publishes)
        return {read_id(row[0]): TaskState(row[1]) for row in found}

    async def _end_runs(self, standing: Sequence[Ending], became: Mapping[UUID, TaskState], now: datetime) -> None:
        at = self._text(now)
        rows = [
            (
                ending.task.run_id.hex,
                ending.outcome,
                ending.graph_version,
                self._text(ending.started_at),
                None if became[ending.task.id].is_open else at,
            )
            for ending in standing
            if ending.started_at is not None or not became[ending.task.id].is_open
        ]
        if rows and self._is_postgres:
            names = ("id", "outcome", "version", "started_at", "finished_at")
            await self._fetch(self._said.end_runs(), document([dict(zip(names, row, strict=True)) for row in rows]))
        elif rows:
            await self._change_each(self._said.end_run(), rows)

    @property
    def _said(self) -> Statements:
        return statements(self._connection.dialect.name)

    def _claimed_by(self, claim: Claim) -> tuple[object, object, str]:
        return claim.owner, self._moment(claim.lease_until), document(claim.graphs)

    def _wanted(self, claim: Claim) -> tuple[str, object]:
        return document(list(claim.graphs)), self._moment(claim.now)

    def _tasks(self, claim: Claim, rows: Sequence[Sequence[Any]]) -> list[Task]:
        """Return claimed rows as tasks, the most urgent first. They are our own rows: they are not validated again."""
        tasks = [self._task(claim, row) for row in rows]
        return sorted(tasks, key=lambda task: (-task.priority, task.run_at or task.created_at, task.id))

    def _task(self, claim: Claim, row: Sequence[Any]) -> Task:
        return Task.model_construct(
            id=TaskId(read_id(row[0])),
            tenant=row[1],
            run_id=RunId(read_id(row[2])),
            graph=row[3],
            graph_version=row[4],
            agent_type=row[5],
            thread_id=row[6],
            alert_id=None if row[7] is None else AlertId(read_id(row[7])),
            input=read_document(row[8]),
            correlation=read_document(row[9]) or {},
            traceparent=row[10],
            created_at=read_moment(row[11]),
            run_at=read_moment(row[12]),
            deadline=None if row[13] is None else read_moment(row[13]),
            priority=row[14],
            idempotency_key=row[15],
            epoch=row[16],
            attempt=row[17],
            max_attempts=row[18],
            state=TaskState.RUNNING,
            lease_until=claim.lease_until,
        )


def _is_plain(ending: Ending) -> bool:
    return ending.state is TaskState.SUCCEEDED and ending.problem is None


def _event_of(ending: Ending, became: TaskState, owner: str, now: datetime) -> TaskEvent:
    is_stopped = became is TaskState.CANCELLED and ending.state.is_open
    return TaskEvent(
        tenant=ending.task.tenant,
        task_id=ending.task.id,
        at=now,
        event="cancelled" if is_stopped else ending.event or ending.state.value,
        attempt=ending.task.attempt,
        epoch=ending.task.epoch,
        owner=owner,
        code=ending.problem.code if ending.problem else None,
        reason=ending.problem.reason if ending.problem else None,
    )
