"""Schedules for people: adding, pausing, resuming, running by hand, and what is told of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import Conflict, InputError, NotFound
from aurora.kernel.ids import Uuid7Factory
from aurora.sdk.spec import GraphSpec
from aurora.services.firing import fire
from aurora.services.schedule import MOST, CatchUp, ScheduleInvalid
from aurora.services.schedules import (
    add_schedule,
    describe_schedule,
    list_schedules,
    next_slots,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    run_now,
)
from aurora.storage.models import ScheduleModel, TaskModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.schedules import rows

HOUR = timedelta(hours=1)


class HuntState(TypedDict, total=False):
    text: str
    hours: int


HUNT = GraphSpec(
    id="hunt", version="1", title="Hunt", description="Hunts.", state=HuntState, build=list, nodes=("look",)
)


@pytest.fixture
def storage(engine_sqlite: AsyncEngine) -> Storage:
    return Storage(engine_sqlite)


async def added(storage: Storage, clock: ManualClock, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"id": "hourly", "every": HOUR, **more}
    return await add_schedule(storage, HUNT, told.pop("given", {"text": "beacons"}), clock=clock, **told)


async def fired(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> list[str]:
    """Fire what is due and return the slots."""
    async with storage.reading() as transaction:
        active = await transaction.schedules.active()
    return [task.correlation["slot"] for each in active for task in await fire(storage, each, clock=clock, ids=ids)]


class TestAdding:
    async def test_it_says_when_it_fires_first_in_utc_and_on_its_clock(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        told = await added(storage, clock, every=None, cron=" 30  2 * * MON-FRI ", timezone="Europe/Berlin")

        assert (told["cron"], told["next"]) == ("30 2 * * MON-FRI", "2026-11-23T01:30:00Z")
        assert told["next_local"] == "2026-11-23T02:30:00+01:00"
        assert await list_schedules(storage, clock=clock) == [told]

    @pytest.mark.parametrize(
        ("wrong", "fault"),
        [
            ({"id": "Not a name"}, "no name for a schedule"),
            ({"id": "x" * 65}, "no name for a schedule"),
            ({"id": "\x1b[31mred"}, "no name for a schedule"),
            ({"agent_type": "a b"}, "no name of a specialist"),
            ({"every": None}, "either a cron line or an interval"),
            ({"cron": "0 0 * * *"}, "either a cron line or an interval"),
            ({"timezone": "Europe/Berlin"}, "goes with a cron line"),
            ({"every": None, "cron": "0 0 * * *", "offset": HOUR}, "goes with an interval"),
            ({"every": None, "cron": "0 0 * *"}, "five fields"),
            ({"every": None, "cron": "0 0 * * *", "timezone": "Nowhere"}, "no time zone"),
            ({"every": timedelta(seconds=90, milliseconds=5)}, "whole seconds"),
            ({"every": timedelta(seconds=1)}, "from a minute"),
            ({"priority": 10}, "priority"),
        ],
    )
    async def test_one_that_cannot_be_kept_is_refused_with_the_reason(
        self, storage: Storage, clock: ManualClock, wrong: dict[str, Any], fault: str
    ) -> None:
        with pytest.raises(ScheduleInvalid, match=fault) as caught:
            await added(storage, clock, **wrong)

        assert "\x1b" not in caught.value.message
        assert await list_schedules(storage, clock=clock) == []

    @pytest.mark.parametrize("given", [{"hours": "many"}, {"nothing": 1}])
    async def test_an_input_that_does_not_fit_is_refused_when_it_is_added(
        self, storage: Storage, clock: ManualClock, given: dict[str, Any]
    ) -> None:
        with pytest.raises(InputError, match="cannot begin with this"):
            await added(storage, clock, given=given)

    async def test_a_name_that_is_taken_is_refused(self, storage: Storage, clock: ManualClock) -> None:
        await added(storage, clock)

        with pytest.raises(Conflict, match="already"):
            await added(storage, clock)


class TestPausing:
    @pytest.mark.parametrize(("catch_up", "hours"), [("latest", [5]), ("all", [1, 2, 3, 4, 5]), ("none", [])])
    async def test_what_was_missed_while_paused_is_made_up_as_the_schedule_says(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory, catch_up: str, hours: list[int]
    ) -> None:
        start = clock.now()
        await added(storage, clock, catch_up=CatchUp(catch_up))
        paused = await pause_schedule(storage, "hourly", clock=clock)
        clock.advance(5 * HOUR + timedelta(seconds=30))
        meanwhile = await fired(storage, clock, ids)

        resumed = await resume_schedule(storage, "hourly", clock=clock)
        made_up = await fired(storage, clock, ids)
        clock.advance(HOUR)

        assert (paused["is_paused"], paused["next"], meanwhile) == (True, None, [])
        assert (resumed["is_paused"], resumed["made_up"]) == (False, len(hours))
        assert made_up == [(start + HOUR * hour).isoformat() for hour in hours]
        assert await fired(storage, clock, ids) == [(start + HOUR * 6).isoformat()]

    async def test_what_is_made_up_is_bounded(self, storage: Storage, clock: ManualClock) -> None:
        await added(storage, clock, every=timedelta(minutes=1), catch_up=CatchUp.ALL)
        await pause_schedule(storage, "hourly", clock=clock)
        clock.advance(timedelta(days=30))

        assert (await resume_schedule(storage, "hourly", clock=clock))["made_up"] == MOST

    async def test_to_resume_one_that_is_not_paused_skips_nothing(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await added(storage, clock, catch_up=CatchUp.NONE)
        clock.advance(HOUR)

        await resume_schedule(storage, "hourly", clock=clock)

        assert len(await fired(storage, clock, ids)) == 1


class TestByHand:
    async def test_it_runs_now_also_while_paused_and_its_slots_stay_as_they_are(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await added(storage, clock, is_paused=True)

        submitted = [await run_now(storage, "hourly", clock=clock, ids=ids) for _ in range(2)]

        tasks = await rows(storage, TaskModel)
        assert {str(row.id) for row in tasks} == {each["task_id"] for each in submitted}
        assert [row.input for row in tasks] == [{"text": "beacons"}] * 2
        assert (await describe_schedule(storage, "hourly", clock=clock))["firings"] == []

    async def test_one_that_is_removed_is_gone_and_its_tasks_stay(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await added(storage, clock)
        clock.advance(HOUR)
        await fired(storage, clock, ids)

        await remove_schedule(storage, "hourly")

        assert await list_schedules(storage, clock=clock) == []
        assert len(await rows(storage, TaskModel)) == 1

    @pytest.mark.parametrize("change", [describe_schedule, pause_schedule, resume_schedule])
    async def test_one_that_is_not_there_is_not_found(self, storage: Storage, clock: ManualClock, change: Any) -> None:
        with pytest.raises(NotFound, match="aurora schedules list"):
            await change(storage, "nothing", clock=clock)


class TestTelling:
    async def test_a_slot_that_nobody_fires_is_overdue(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await added(storage, clock)
        first = clock.now() + HOUR
        clock.advance(3 * HOUR)

        (before,) = await list_schedules(storage, clock=clock)
        await fired(storage, clock, ids)
        (after,) = await list_schedules(storage, clock=clock)

        assert before["overdue_since"] == first.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert (after["overdue_since"], after["last"]["task_state"]) == (None, "queued")

    async def test_the_next_slots_are_told_in_utc_and_on_its_clock_through_a_change_of_clocks(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        await added(storage, clock, every=None, cron="30 2 28-30 3 *", timezone="Europe/Berlin", is_paused=True)

        found = await next_slots(storage, "hourly", clock=clock, count=3)

        assert [each["local"] for each in found] == [
            "2027-03-28T03:00:00+02:00",
            "2027-03-29T02:30:00+02:00",
            "2027-03-30T02:30:00+02:00",
        ]
        assert found[0]["slot"] == "2027-03-28T01:00:00Z"

    async def test_one_that_cannot_be_read_says_why(self, storage: Storage, clock: ManualClock) -> None:
        await added(storage, clock, every=None, cron="0 0 * * *")
        async with storage.writing() as transaction:
            await transaction.connection.execute(update(ScheduleModel).values(timezone="Mars/Olympus"))

        described = await describe_schedule(storage, "hourly", clock=clock)

        assert "no time zone" in described["fault"]
        assert (described["next"], described["slots"]) == (None, [])
