"""Schedules, and which of their slots were fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update

from aurora.kernel.errors import Conflict, NotFound
from aurora.kernel.models.task import TaskState
from aurora.kernel.untrusted import quoted
from aurora.storage.models import ScheduleModel, ScheduleSlotModel, TaskModel
from aurora.storage.repositories.base import Repository, table_of

_SCHEDULES, _SLOTS, _TASKS = table_of(ScheduleModel), table_of(ScheduleSlotModel), table_of(TaskModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is run again and again, as its row says it. Either `cron` or `every_s` is set."""

    tenant: str
    id: str
    graph: str
    input: dict[str, Any] = field(default_factory=dict)
    agent_type: str | None = None
    priority: int = 3
    cron: str | None = None
    every_s: int | None = None
    offset_s: int = 0
    timezone: str = "UTC"
    catch_up: str = "latest"
    is_paused: bool = False
    created_at: datetime
    passed: datetime
    """Slots up to here are done with."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A slot that was fired, and how its task is now."""

    slot: datetime
    task_id: UUID
    fired_at: datetime
    state: TaskState | None
    """`None`: the row of the task is not kept any more."""


class Schedules(Repository):
    """Schedules of one tenant; `active` serves the scheduler, which works for all."""

    async def active(self) -> list[Schedule]:
        """Return the schedules of all tenants that are not paused."""
        query = select(_SCHEDULES).where(_SCHEDULES.c.is_paused.is_(False))
        rows = await self._connection.execute(query.order_by(_SCHEDULES.c.tenant, _SCHEDULES.c.id))
        return [_schedule(row) for row in rows]

    async def all(self) -> list[Schedule]:
        """Return all schedules, by id."""
        query = select(_SCHEDULES).where(_SCHEDULES.c.tenant == self._tenant).order_by(_SCHEDULES.c.id)
        return [_schedule(row) for row in await self._connection.execute(query)]

    async def get(self, id: str) -> Schedule:
        """Return a schedule.

        Raises:
            NotFound: there is none of that id.
        """
        query = select(_SCHEDULES).where(_SCHEDULES.c.tenant == self._tenant, _SCHEDULES.c.id == id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no schedule {quoted(id, limit=64)}; `aurora schedules list` shows them")
        return _schedule(row)

    async def add(self, schedule: Schedule) -> None:
        """Write a new schedule.

        Raises:
            Conflict: there is one of that id.
        """
        statement = self._insert(_SCHEDULES).values({**asdict(schedule), "tenant": self._tenant})
        written = statement.on_conflict_do_nothing(index_elements=["tenant", "id"]).returning(_SCHEDULES.c.id)
        if (await self._connection.execute(written)).first() is None:
            raise Conflict(
                f"there is a schedule {quoted(schedule.id, limit=64)} already; to change it, remove it and add it anew",
                schedule=schedule.id,
            )

    async def remove(self, id: str) -> None:
        """Remove a schedule. What it has fired stays, and so does what is known of its slots.

        Raises:
            NotFound: there is none of that id.
        """
        await self.get(id)
        await self._connection.execute(delete(_SCHEDULES).where(*_named(self._tenant, id)))

    async def pause(self, id: str) -> None:
        """Let a schedule fire nothing until it is resumed."""
        await self._connection.execute(update(_SCHEDULES).where(*_named(self._tenant, id)).values(is_paused=True))

    async def resume(self, id: str, *, passed: datetime) -> None:
        """Let a schedule fire again; slots up to `passed` are done with."""
        statement = update(_SCHEDULES).where(*_named(self._tenant, id)).values(is_paused=False, passed=passed)
        await self._connection.execute(statement)

    async def take(self, id: str) -> Schedule | None:
        """Return an active schedule and hold it until the transaction ends; `None`: somebody else holds it.

        `None` too where it was removed or paused meanwhile.
        """
        query = select(_SCHEDULES).where(*_named(self._tenant, id), _SCHEDULES.c.is_paused.is_(False))
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            query = query.with_for_update(skip_locked=True)
        row = (await self._connection.execute(query)).first()
        return None if row is None else _schedule(row)

    async def fired(self, id: str, *, slot: datetime, task_id: UUID, at: datetime) -> bool:
        """Note that a slot was fired; return false if it had been before, in which case nothing is written."""
        row = {"tenant": self._tenant, "schedule_id": id, "slot": slot, "task_id": task_id, "fired_at": at}
        statement = (
            self._insert(_SLOTS).values(row).on_conflict_do_nothing(index_elements=["tenant", "schedule_id", "slot"])
        )
        return (await self._connection.execute(statement.returning(_SLOTS.c.slot))).first() is not None

    async def pass_over(self, id: str, *, until: datetime) -> None:
        """Note that the slots up to a moment are done with."""
        await self._connection.execute(update(_SCHEDULES).where(*_named(self._tenant, id)).values(passed=until))

    async def firings(self, id: str, *, limit: int) -> Sequence[Firing]:
        """Return the slots of a schedule that were fired, the newest first."""
        query = (
            select(_SLOTS.c.slot, _SLOTS.c.task_id, _SLOTS.c.fired_at, _TASKS.c.state)
            .outerjoin(_TASKS, _TASKS.c.id == _SLOTS.c.task_id)
            .where(_SLOTS.c.tenant == self._tenant, _SLOTS.c.schedule_id == id)
            .order_by(_SLOTS.c.slot.desc())
            .limit(limit)
        )
        return [_firing(row) for row in await self._connection.execute(query)]

    async def last_firings(self) -> dict[str, Firing]:
        """Return the newest slot of each schedule that was fired, by the schedule's id."""
        newest = (
            select(_SLOTS.c.schedule_id, func.max(_SLOTS.c.slot).label("slot"))
            .join(_SCHEDULES, (_SCHEDULES.c.tenant == _SLOTS.c.tenant) & (_SCHEDULES.c.id == _SLOTS.c.schedule_id))
            .where(_SLOTS.c.tenant == self._tenant)
            .group_by(_SLOTS.c.schedule_id)
            .subquery()
        )
        query = (
            select(_SLOTS.c.schedule_id, _SLOTS.c.slot, _SLOTS.c.task_id, _SLOTS.c.fired_at, _TASKS.c.state)
            .join(newest, (newest.c.schedule_id == _SLOTS.c.schedule_id) & (newest.c.slot == _SLOTS.c.slot))
            .outerjoin(_TASKS, _TASKS.c.id == _SLOTS.c.task_id)
            .where(_SLOTS.c.tenant == self._tenant)
        )
        return {row.schedule_id: _firing(row) for row in await self._connection.execute(query)}


def _named(tenant: str, id: str) -> tuple[Any, ...]:
    return _SCHEDULES.c.tenant == tenant, _SCHEDULES.c.id == id


def _schedule(row: Row[tuple[Any, ...]]) -> Schedule:
    return Schedule(**{each.name: row._mapping[each.name] for each in fields(Schedule)})


def _firing(row: Any) -> Firing:
    return Firing(row.slot, row.task_id, row.fired_at, None if row.state is None else TaskState(row.state))
