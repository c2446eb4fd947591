"""Turns slots that are due into tasks, each once, whoever tries and whenever it is killed."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import AlertId, IdFactory, RunId, TaskId
from aurora.kernel.models import Task
from aurora.services.schedule import CatchUp, Cron, Every, ScheduleInvalid, Timing, due
from aurora.storage.repositories.schedules import Schedule
from aurora.storage.unit_of_work import Storage, Transaction

AT_ONCE = 50
"""Slots fired in one transaction: others wait for it on SQLite."""

_cron = lru_cache(maxsize=1024)(Cron)


def timing_of(schedule: Schedule) -> Timing:
    """Return the slots of a schedule.

    Raises:
        ScheduleInvalid: they cannot be told: the row was written by hand, or this machine lacks the zone.
    """
    if schedule.cron is not None:
        return _cron(schedule.cron, schedule.timezone)
    if schedule.every_s is None:
        raise ScheduleInvalid(f"schedule {schedule.id} has neither a cron line nor an interval")
    return Every(timedelta(seconds=schedule.every_s), timedelta(seconds=schedule.offset_s))


async def fire(
    storage: Storage, schedule: Schedule, *, clock: Clock, ids: IdFactory, announced: bool = False
) -> list[Task]:
    """Submit a task for every slot of a schedule that is due, and return those tasks.

    Slot, task and progress are written in one transaction: killed in the middle, nothing has happened, and the next
    round fires. Any number of processes may do this at once: one holds the schedule, the others find nothing to do;
    and should two hold it all the same, the slot's row is unique. Many slots take several transactions.

    Args:
        storage: Any tenant's.
        schedule: As it was read; what counts is its row now.
        clock: Time.
        ids: Where the ids of tasks and runs come from.
        announced: Workers are told of the tasks by the caller, right after.

    Raises:
        ScheduleInvalid: its slots cannot be told.
        StorageUnavailable: the database refused; what was fired before stays fired.
    """
    fired = list[Task]()
    while True:
        async with storage.of(schedule.tenant).writing() as transaction:
            held = await transaction.schedules.take(schedule.id)
            if held is None:
                return fired
            found = due(timing_of(held), CatchUp(held.catch_up), after=held.passed, now=clock.now())
            part = found.fire[:AT_ONCE]
            is_all = len(part) == len(found.fire)
            tasks = [task for slot in part if (task := await _fire_slot(transaction, held, slot, clock, ids))]
            for task in tasks:
                await transaction.tasks.submit(task, announced=announced)
            await transaction.schedules.pass_over(held.id, until=found.passed if is_all else part[-1])
        fired += tasks
        if is_all:
            return fired


async def fire_by_hand(transaction: Transaction, schedule: Schedule, *, clock: Clock, ids: IdFactory) -> Task:
    """Submit a task of a schedule beside its slots, which stay as they are."""
    task_id = TaskId(ids())
    key = f"schedule:{schedule.id}:by-hand:{task_id}"
    task = _task(schedule, task_id, RunId(ids()), key=key, correlation={}, now=clock.now())
    await transaction.tasks.submit(task)
    return task


async def _fire_slot(
    transaction: Transaction, schedule: Schedule, slot: datetime, clock: Clock, ids: IdFactory
) -> Task | None:
    task_id = TaskId(ids())
    if not await transaction.schedules.fired(schedule.id, slot=slot, task_id=task_id, at=clock.now()):
        return None
    key = f"schedule:{schedule.id}:{slot.isoformat()}"
    told = {"slot": slot.isoformat()}
    return _task(schedule, task_id, RunId(ids()), key=key, correlation=told, now=clock.now())


def _task(
    schedule: Schedule, task_id: TaskId, run_id: RunId, *, key: str, correlation: dict[str, str], now: datetime
) -> Task:
    alert = schedule.input.get("alert_id")
    return Task(
        id=task_id,
        tenant=schedule.tenant,
        run_id=run_id,
        graph=schedule.graph,
        agent_type=schedule.agent_type,
        thread_id=f"{schedule.graph}:{run_id}",
        alert_id=None if alert is None else AlertId(UUID(str(alert))),
        input=dict(schedule.input),
        correlation={"schedule": schedule.id, **correlation},
        created_at=now,
        priority=schedule.priority,
        idempotency_key=key,
    )
