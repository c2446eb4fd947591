"""What every database must do for schedules: each slot is fired once, whoever tries and whenever it is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from aurora.kernel.errors import Conflict, NotFound
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task
from aurora.services.firing import AT_ONCE, fire
from aurora.storage.models import RunModel, ScheduleSlotModel, TaskModel
from aurora.storage.repositories.schedules import Schedule
from aurora.storage.unit_of_work import Storage, Transaction
from aurora.testing import ManualClock

HOUR = timedelta(hours=1)


def hourly(clock: ManualClock, id: str = "hourly", **more: Any) -> Schedule:
    """Return a schedule that has just been added."""
    told: dict[str, Any] = {
        "tenant": "default",
        "graph": "hunt",
        "input": {"text": "beacons"},
        "agent_type": "hunter",
        "every_s": 3600,
        "created_at": clock.now(),
        "passed": clock.now(),
        **more,
    }
    return Schedule(id=id, **told)


class Killed(Exception):
    """Ends a process, as it were."""


class KilledAtCommit(Storage):
    """Is killed when everything is written and nothing is committed."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        async with super().writing() as transaction:
            yield transaction
            raise Killed


class SchedulesContract:
    """Subclass it in one class per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 11
    """How many there are, so that a file that collects fewer is noticed."""

    async def test_a_due_slot_becomes_a_task_with_its_run(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedule = await add(storage, hourly(clock, priority=7))
        slot = clock.now() + HOUR
        clock.advance(HOUR)

        (task,) = await fire(storage, schedule, clock=clock, ids=ids)

        async with storage.reading() as transaction:
            kept = await transaction.tasks.get(task.id)
            (firing,) = await transaction.schedules.firings("hourly", limit=9)
            assert (await transaction.runs.get(task.run_id))["task_id"] == task.id
        assert (kept.graph, kept.input, kept.priority) == ("hunt", {"text": "beacons"}, 7)
        assert kept.idempotency_key == f"schedule:hourly:{slot.isoformat()}"
        assert (firing.slot, firing.task_id, firing.state) == (slot, task.id, "queued")
        assert task.agent_type == "hunter"
        assert task.correlation == {"schedule": "hourly", "slot": slot.isoformat()}

    async def test_schedulers_that_race_fire_each_slot_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """I8. Eight schedulers, four schedules, three rounds of five slots."""
        schedules = [await add(storage, hourly(clock, f"s{n}", catch_up="all")) for n in range(4)]
        start = clock.now()
        fired: list[Task] = []
        for _ in range(3):
            clock.advance(5 * HOUR)
            rounds = [fire(storage, each, clock=clock, ids=ids) for each in schedules for _ in range(8)]
            fired += [task for tasks in await asyncio.gather(*rounds) for task in tasks]

        expected = sorted((each.id, start + HOUR * n) for each in schedules for n in range(1, 16))
        assert sorted((slot.schedule_id, slot.slot) for slot in await rows(storage, ScheduleSlotModel)) == expected
        assert sorted(task.id for task in fired) == sorted(row.id for row in await rows(storage, TaskModel))
        assert len(fired) == len(expected)

    async def test_schedulers_that_read_the_same_row_fire_a_slot_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """Should two hold one schedule all the same, the slot's row decides."""
        await add(storage, hourly(clock))

        async def note() -> bool:
            async with storage.writing() as transaction:
                return await transaction.schedules.fired("hourly", slot=clock.now(), task_id=ids(), at=clock.now())

        assert sorted(await asyncio.gather(*(note() for _ in range(6)))) == [False] * 5 + [True]

    async def test_killed_between_slot_and_task_nothing_has_happened_and_the_next_round_fires(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedule = await add(storage, hourly(clock))
        clock.advance(HOUR)
        drawn = [ids()]

        def killed_at_the_second() -> Any:
            if drawn:
                return drawn.pop()
            raise Killed

        with pytest.raises(Killed):
            await fire(storage, schedule, clock=clock, ids=killed_at_the_second)

        assert await everything(storage) == (0, 0, 0)
        assert len(await fire(storage, schedule, clock=clock, ids=ids)) == 1
        assert await everything(storage) == (1, 1, 1)

    async def test_killed_before_the_commit_nothing_has_happened_and_the_next_round_fires(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedule = await add(storage, hourly(clock))
        clock.advance(HOUR)

        with pytest.raises(Killed):
            await fire(KilledAtCommit(storage.engine), schedule, clock=clock, ids=ids)

        assert await everything(storage) == (0, 0, 0)
        assert (await stored(storage)).passed == schedule.passed
        assert len(await fire(storage, schedule, clock=clock, ids=ids)) == 1

    async def test_killed_after_the_commit_nothing_is_fired_again(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedule = await add(storage, hourly(clock))
        clock.advance(HOUR)
        await fire(storage, schedule, clock=clock, ids=ids)

        again = await fire(storage, schedule, clock=clock, ids=ids)

        assert again == []
        assert await everything(storage) == (1, 1, 1)

    async def test_many_missed_slots_are_fired_in_portions_the_oldest_first(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedule = await add(storage, hourly(clock, catch_up="all"))
        missed = 2 * AT_ONCE + 7
        clock.advance(missed * HOUR)

        fired = await fire(storage, schedule, clock=clock, ids=ids)

        slots = [task.correlation["slot"] for task in fired]
        assert slots == [(schedule.passed + HOUR * n).isoformat() for n in range(1, missed + 1)]
        assert (await stored(storage)).passed == clock.now()

    async def test_one_that_was_paused_or_removed_meanwhile_fires_nothing(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        paused, removed = [await add(storage, hourly(clock, name)) for name in ("paused", "removed")]
        clock.advance(HOUR)
        async with storage.writing() as transaction:
            await transaction.schedules.pause("paused")
            await transaction.schedules.remove("removed")

        fired = [await fire(storage, each, clock=clock, ids=ids) for each in (paused, removed)]

        assert fired == [[], []]
        async with storage.reading() as transaction:
            assert await transaction.schedules.active() == []

    async def test_each_tenant_has_its_own(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        ours, theirs = hourly(clock), hourly(clock, tenant="acme", graph="other")
        await add(storage, ours)
        await add(storage, theirs)
        clock.advance(HOUR)

        async with storage.reading() as transaction:
            found = await transaction.schedules.active()
        fired = [task for each in found for task in await fire(storage, each, clock=clock, ids=ids)]

        assert found == [theirs, ours]
        assert [(task.tenant, task.graph) for task in fired] == [("acme", "other"), ("default", "hunt")]
        async with storage.of("acme").reading() as transaction:
            assert [each.id for each in await transaction.schedules.all()] == ["hourly"]
            assert (await transaction.tasks.get(fired[0].id)).tenant == "acme"
            with pytest.raises(NotFound):
                await transaction.tasks.get(fired[1].id)

    async def test_a_name_is_taken_once(self, storage: Storage, clock: ManualClock) -> None:
        first = await add(storage, hourly(clock))

        with pytest.raises(Conflict, match="already"):
            await add(storage, replace(first, graph="another"))

        assert await stored(storage) == first

    async def test_the_last_firing_of_each_is_told_with_the_state_of_its_task(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        schedules = [await add(storage, hourly(clock, name)) for name in ("one", "other", "never")]
        last: dict[str, datetime] = {}
        for _ in range(2):
            clock.advance(HOUR)
            for each in schedules[:2]:
                await fire(storage, each, clock=clock, ids=ids)
                last[each.id] = clock.now()
        async with storage.writing() as transaction:
            await transaction.schedules.remove("other")

        async with storage.reading() as transaction:
            found = await transaction.schedules.last_firings()
            history = await transaction.schedules.firings("other", limit=9)

        assert {name: (each.slot, each.state) for name, each in found.items()} == {"one": (last["one"], "queued")}
        assert [each.slot for each in history] == [last["other"], last["other"] - HOUR], "what was fired stays known"


async def add(storage: Storage, schedule: Schedule) -> Schedule:
    async with storage.of(schedule.tenant).writing() as transaction:
        await transaction.schedules.add(schedule)
    return schedule


async def stored(storage: Storage, id: str = "hourly") -> Schedule:
    async with storage.reading() as transaction:
        return await transaction.schedules.get(id)


async def rows(storage: Storage, model: Any) -> list[Any]:
    async with storage.reading() as transaction:
        return list(await transaction.connection.execute(select(model)))


async def everything(storage: Storage) -> tuple[int, int, int]:
    """Return how many slots, tasks and runs there are."""
    slots, tasks, runs = [len(await rows(storage, model)) for model in (ScheduleSlotModel, TaskModel, RunModel)]
    return slots, tasks, runs
