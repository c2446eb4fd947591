"""Who works: one row for every process, as of its last heartbeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, delete, func, select

from aurora.kernel.models.task import TaskState
from aurora.storage.models import TaskModel, WorkerModel
from aurora.storage.repositories.base import Repository, table_of

_WORKERS, _TASKS = table_of(WorkerModel), table_of(TaskModel)

LEASE = timedelta(seconds=10)
"""A process that is silent for as long as a lease lasts has lost what it held: it is gone."""

Kind = Literal["worker", "embedded", "scheduler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One process, as it told of itself last."""

    id: str
    """As the owner of its tasks."""
    kind: Kind
    """`worker` serves everybody, `embedded` is a command that works for itself."""
    host: str
    pid: int
    version: str
    """Of Aurora."""
    state: Literal["active", "draining"] = "active"
    lanes: Sequence[str] = ()
    graphs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Versions that it can run, by graph; the one for fresh runs first."""
    concurrency: int = 1
    running: int = 0
    started_at: datetime
    seen_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    """Counts since its start, brokers, breakers."""

    def serves(self, graph: str, lane: str) -> bool:
        """Tell whether it takes fresh tasks of a graph in a lane."""
        return self.state == "active" and lane in self.lanes and graph in self.graphs

    def is_gone(self, now: datetime, *, within: timedelta = LEASE) -> bool:
        """Tell whether it was silent for so long that it cannot hold anything any more."""
        return now - self.seen_at > within


@dataclass(frozen=True, slots=True)
class Lease:
    """What one owner holds, of all tenants."""

    owner: str
    tasks: int
    until: datetime
    """When the first of its leases runs out."""


class Workers(Repository):
    """The processes of the installation. They serve all tenants, so these rows belong to none."""

    async def seen(self, row: Presence) -> None:
        """Write how a process is; what it said before is replaced. One that was taken for gone is back."""
        values = {**asdict(row), "lanes": list(row.lanes), "details": dict(row.details)}
        values["graphs"] = {graph: list(versions) for graph, versions in row.graphs.items()}
        statement = self._insert(_WORKERS).values(**values)
        changed = {name: statement.excluded[name] for name in values if name not in {"id", "started_at"}}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))

    async def live(self, now: datetime, *, kind: Kind | None = None, within: timedelta = LEASE) -> list[Presence]:
        """Return those heard of within this time, draining ones included, the oldest first."""
        query = select(_WORKERS).where(_WORKERS.c.seen_at >= now - within)
        if kind is not None:
            query = query.where(_WORKERS.c.kind == kind)
        rows = await self._connection.execute(query.order_by(_WORKERS.c.started_at, _WORKERS.c.id))
        return [_presence(row) for row in rows]

    async def known(self, *, limit: int = 1000) -> list[Presence]:
        """Return all that did not sign off, those heard of last first: who crashed stays until it is forgotten."""
        query = select(_WORKERS).order_by(_WORKERS.c.seen_at.desc(), _WORKERS.c.id).limit(limit)
        return [_presence(row) for row in await self._connection.execute(query)]

    async def seen_at(self, id: str) -> datetime | None:
        """Return when a process was heard of last; `None`: it has not spoken yet, or has signed off."""
        seen: datetime | None = await self._connection.scalar(select(_WORKERS.c.seen_at).where(_WORKERS.c.id == id))
        return seen

    async def leases(self) -> list[Lease]:
        """Return who holds tasks, also owners that are gone and whose tasks nobody has taken back yet."""
        query = (
            select(_TASKS.c.owner, func.count(), func.min(_TASKS.c.lease_until))
            .where(_TASKS.c.state == TaskState.RUNNING, _TASKS.c.owner.is_not(None), _TASKS.c.lease_until.is_not(None))
            .group_by(_TASKS.c.owner)
            .order_by(_TASKS.c.owner)
        )
        return [Lease(*row) for row in await self._connection.execute(query)]

    async def gone(self, id: str) -> None:
        """Sign a process off that has ended as it should. One that is not there is no error."""
        await self._connection.execute(delete(_WORKERS).where(_WORKERS.c.id == id))

    async def forget(self, before: datetime) -> int:
        """Remove those that were last heard of before a moment; return how many that were."""
        forgotten = delete(_WORKERS).where(_WORKERS.c.seen_at < before).returning(_WORKERS.c.id)
        return len((await self._connection.execute(forgotten)).all())


def _presence(row: Row[tuple[Any, ...]]) -> Presence:
    return Presence(**{**row._mapping, "lanes": tuple(row.lanes)})
