"""Schedules for people: what runs when, what was fired last, and a hand on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from aurora.kernel.models.task import Lane
from aurora.kernel.untrusted import quoted
from aurora.sdk.spec import GraphSpec
from aurora.services.firing import fire_by_hand, timing_of
from aurora.services.graph_input import check_input
from aurora.services.outcomes import Document, told
from aurora.services.schedule import CatchUp, ScheduleInvalid, Timing, due, zone
from aurora.storage.repositories.schedules import Firing, Schedule
from aurora.storage.unit_of_work import Storage

FIRINGS = 10
"""Slots that `describe_schedule` tells of, and as many that are to come."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


async def add_schedule(
    storage: Storage,
    spec: GraphSpec,
    given: Mapping[str, Any],
    *,
    id: str,
    clock: Clock,
    cron: str | None = None,
    timezone: str = "UTC",
    every: timedelta | None = None,
    offset: timedelta = timedelta(),
    agent_type: str | None = None,
    priority: int = 3,
    catch_up: CatchUp = CatchUp.LATEST,
    is_paused: bool = False,
) -> Document:
    """Write a new schedule and return it. Its first slot is the first after now.

    Args:
        storage: Where schedules are.
        spec: The graph that it runs.
        given: State that every run begins with.
        id: Its name.
        clock: Time.
        cron: Five fields, read in `timezone`; this or `every`.
        timezone: IANA name.
        every: Interval; see `aurora.services.schedule.Every`.
        offset: From the start of the interval.
        agent_type: Specialist that is meant to do it.
        priority: 0 to 9; 9 is the most urgent.
        catch_up: Which missed slots are made up.
        is_paused: It fires nothing until it is resumed.

    Raises:
        ScheduleInvalid: the name, the times or the priority cannot be used.
        InputError: the graph's state has no such keys, or takes other values.
        NotFound: the input names an alert that is not there.
        Conflict: there is a schedule of that name.
    """
    if not _ID.fullmatch(id):
        raise ScheduleInvalid(
            f"{quoted(id, limit=80)} is no name for a schedule: 1 to 64 of a-z, 0-9, dot, dash and underscore, "
            "the first a letter or digit"
        )
    if agent_type is not None and not _AGENT.fullmatch(agent_type):
        raise ScheduleInvalid(f"{quoted(agent_type, limit=80)} is no name of a specialist")
    if (cron is None) == (every is None):
        raise ScheduleInvalid("say when: either a cron line or an interval")
    if cron is None and timezone != "UTC":
        raise ScheduleInvalid("a time zone goes with a cron line; intervals are counted in UTC, with an offset")
    if cron is not None and offset:
        raise ScheduleInvalid("an offset goes with an interval; a cron line names its minutes itself")
    if not 0 <= priority <= 9:
        raise ScheduleInvalid("the priority must be from 0 to 9")
    check_input(spec, given)
    now = clock.now()
    schedule = Schedule(
        tenant=storage.tenant,
        id=id,
        graph=spec.id,
        input=dict(given),
        agent_type=agent_type,
        priority=priority,
        cron=None if cron is None else " ".join(cron.split()),
        every_s=None if every is None else int(every.total_seconds()),
        offset_s=int(offset.total_seconds()),
        timezone=timezone,
        catch_up=catch_up.value,
        is_paused=is_paused,
        created_at=now,
        passed=now,
    )
    if any(part is not None and part.microseconds for part in (every, offset)):
        raise ScheduleInvalid("interval and offset must be whole seconds")
    timing_of(schedule)
    async with storage.writing() as transaction:
        if "alert_id" in schedule.input:
            alert = await transaction.alerts.resolve(str(schedule.input["alert_id"]))
            schedule.input["alert_id"] = str(alert)
        await transaction.schedules.add(schedule)
    return schedule_document(schedule, None, now=now)


async def list_schedules(storage: Storage, *, clock: Clock) -> list[Document]:
    """Return all schedules of a tenant as `schedule_document` tells them, by name."""
    async with storage.reading() as transaction:
        schedules = await transaction.schedules.all()
        firings = await transaction.schedules.last_firings()
    now = clock.now()
    return [schedule_document(each, firings.get(each.id), now=now) for each in schedules]


async def describe_schedule(storage: Storage, id: str, *, clock: Clock) -> Document:
    """Return a schedule with what it fired lately (`firings`, newest first) and the next `slots`.

    Raises:
        NotFound: there is no such schedule.
    """
    async with storage.reading() as transaction:
        schedule = await transaction.schedules.get(id)
        firings = await transaction.schedules.firings(id, limit=FIRINGS)
    now = clock.now()
    document = schedule_document(schedule, firings[0] if firings else None, now=now)
    slots = [] if schedule.is_paused or document["fault"] else _slots(schedule, timing_of(schedule), now, FIRINGS)
    return {**document, "slots": slots, "firings": [_firing(each) for each in firings]}


async def next_slots(storage: Storage, id: str, *, clock: Clock, count: int) -> list[Document]:
    """Return the next slots of a schedule, whether it is paused or not: `slot` in UTC and `local`.

    Raises:
        NotFound: there is no such schedule.
        ScheduleInvalid: its slots cannot be told here.
    """
    async with storage.reading() as transaction:
        schedule = await transaction.schedules.get(id)
    return _slots(schedule, timing_of(schedule), clock.now(), count)


async def pause_schedule(storage: Storage, id: str, *, clock: Clock) -> Document:
    """Let a schedule fire nothing until it is resumed; return it. What it has fired goes on.

    Raises:
        NotFound: there is no such schedule.
    """
    async with storage.writing() as transaction:
        await transaction.schedules.get(id)
        await transaction.schedules.pause(id)
        schedule = await transaction.schedules.get(id)
        last = await transaction.schedules.firings(id, limit=1)
    return schedule_document(schedule, last[0] if last else None, now=clock.now())


async def resume_schedule(storage: Storage, id: str, *, clock: Clock) -> Document:
    """Let a schedule fire again; return it, and in `made_up` how many missed slots a scheduler fires at once.

    With `latest` that is the last one, with `all` each of them, `MOST` at most; with `none` they are passed over. One
    that is not paused is left as it is.

    Raises:
        NotFound: there is no such schedule.
    """
    now = clock.now()
    async with storage.writing() as transaction:
        before = await transaction.schedules.get(id)
        if before.is_paused:
            is_over = before.catch_up == CatchUp.NONE
            await transaction.schedules.resume(id, passed=max(now, before.passed) if is_over else before.passed)
        schedule = await transaction.schedules.get(id)
        last = await transaction.schedules.firings(id, limit=1)
    missed = due(timing_of(schedule), CatchUp(schedule.catch_up), after=schedule.passed, now=now).fire
    return {**schedule_document(schedule, last[0] if last else None, now=now), "made_up": len(missed)}


async def run_now(storage: Storage, id: str, *, clock: Clock, ids: IdFactory) -> Document:
    """Submit what a schedule runs, now, beside its slots; return `schedule`, `task_id` and `run_id`.

    Raises:
        NotFound: there is no such schedule.
    """
    async with storage.writing() as transaction:
        schedule = await transaction.schedules.get(id)
        task = await fire_by_hand(transaction, schedule, clock=clock, ids=ids)
    return {"schedule": id, "graph": task.graph, "task_id": str(task.id), "run_id": str(task.run_id)}


async def remove_schedule(storage: Storage, id: str) -> Document:
    """Remove a schedule; return its name. What it has fired stays.

    Raises:
        NotFound: there is no such schedule.
    """
    async with storage.writing() as transaction:
        await transaction.schedules.remove(id)
    return {"schedule": id, "removed": True}


def schedule_document(schedule: Schedule, last: Firing | None, *, now: datetime) -> Document:
    """Return a schedule as JSON values; the order of the keys is fixed.

    `next` is its first slot after now, `overdue_since` the first that is due and that no scheduler has fired yet;
    both are `None` while it is paused. `fault` says why its slots cannot be told.
    """
    following: datetime | None = None
    overdue: datetime | None = None
    fault = None
    if not schedule.is_paused:
        try:
            timing = timing_of(schedule)
            following = timing.first_after(max(now, schedule.passed))
            missed = timing.first_after(schedule.passed)
            overdue = missed if missed is not None and missed <= now else None
        except ScheduleInvalid as error:
            fault = error.message
    return {
        "schedule": schedule.id,
        "graph": schedule.graph,
        "input": schedule.input,
        "agent_type": schedule.agent_type,
        "lane": Lane.of(schedule.priority).value,
        "priority": schedule.priority,
        "cron": schedule.cron,
        "every_s": schedule.every_s,
        "offset_s": schedule.offset_s,
        "timezone": schedule.timezone,
        "catch_up": schedule.catch_up,
        "is_paused": schedule.is_paused,
        "next": told(following),
        "next_local": None if following is None else _local(schedule, following),
        "overdue_since": told(overdue),
        "last": None if last is None else _firing(last),
        "fault": fault,
        "created": told(schedule.created_at),
        "tenant": schedule.tenant,
    }


def _slots(schedule: Schedule, timing: Timing, now: datetime, count: int) -> list[Document]:
    found = list[datetime]()
    moment = timing.first_after(max(now, schedule.passed))
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = timing.first_after(moment)
    return [{"slot": told(each), "local": _local(schedule, each)} for each in found]


def _local(schedule: Schedule, moment: datetime) -> str:
    return moment.astimezone(zone(schedule.timezone)).isoformat()


def _firing(firing: Firing) -> Document:
    return {
        "slot": told(firing.slot),
        "fired": told(firing.fired_at),
        "task_id": str(firing.task_id),
        "task_state": None if firing.state is None else firing.state.value,
    }
