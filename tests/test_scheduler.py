"""The scheduler of the founding contract: its two loops, and what they do, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.dispatch.messages import Stream
from aurora.kernel.errors import BrokerUnavailable, StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.services.hunt_schedule import MOST, HuntSchedule
from aurora.services.scheduler import RETRY, RETRY_AT_MOST, Scheduler
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock, MemoryPublisher
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert

HOURLY = HuntSchedule(id="beacons-hourly", hunt="beacons", every=timedelta(hours=1))
DAILY = HuntSchedule(id="logons-daily", hunt="odd-logons", every=timedelta(days=1), offset=timedelta(hours=2))


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


class Idle(Scheduler):
    """Has loops that note that they run, and do nothing else."""

    def __init__(self, **ports: Any) -> None:
        super().__init__(**ports)
        self.entered: list[str] = []
        self.ended: list[str] = []

    async def _alert_dedup_loop(self) -> None:
        await self._idle("dedup")

    async def _scheduled_hunt_loop(self) -> None:
        await self._idle("hunt")

    async def _idle(self, name: str) -> None:
        self.entered.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(name)


async def _turn() -> None:
    """Let everybody run who can."""
    for _ in range(10):
        await asyncio.sleep(0)


class TestLifeCycle:
    async def test_start_sets_running_and_starts_both_loops(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)
        before = scheduler._running

        await scheduler.start()
        await _turn()

        assert (before, scheduler._running) == (False, True)
        assert scheduler.entered == ["dedup", "hunt"]
        await scheduler.stop()

    async def test_stop_clears_running_and_has_ended_both_loops(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)
        await scheduler.start()
        await _turn()

        await scheduler.stop()

        assert scheduler._running is False
        assert sorted(scheduler.ended) == ["dedup", "hunt"]

    async def test_a_second_start_or_stop_changes_nothing(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)

        for _ in range(2):
            await scheduler.start()
        await _turn()
        for _ in range(2):
            await scheduler.stop()

        assert scheduler.entered == ["dedup", "hunt"]

    async def test_it_can_be_started_again(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)

        for _ in range(2):
            async with scheduler:
                await _turn()

        assert len(scheduler.ended) == 4

    async def test_it_can_be_stopped_from_another_task(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)
        async with asyncio.TaskGroup() as group:
            await group.create_task(scheduler.start())
            await _turn()
            await group.create_task(scheduler.stop())

        assert sorted(scheduler.ended) == ["dedup", "hunt"]

    async def test_who_is_cancelled_beside_it_takes_the_loops_along(self, publisher: MemoryPublisher) -> None:
        scheduler = Idle(publisher=publisher)

        async def serve() -> None:
            async with scheduler:
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve())
            await _turn()
            serving.cancel()

        assert (scheduler._running, sorted(scheduler.ended)) == (False, ["dedup", "hunt"])

    @pytest.mark.parametrize("wrong", [{"dedup_every": timedelta()}, {"hunts": (HOURLY, HOURLY)}])
    def test_what_makes_no_sense_is_refused(self, publisher: MemoryPublisher, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must be positive|share an id"):
            Scheduler(publisher=publisher, **wrong)


class Flaky(Scheduler):
    """Its first rounds fail, those of `None` excepted."""

    def __init__(self, *failures: Exception | None, **ports: Any) -> None:
        super().__init__(**ports)
        self._failures = list(failures)
        self.rounds: list[datetime] = []

    async def _scheduled_hunt_loop(self) -> None:
        pass

    async def fold_duplicates(self) -> Any:
        self.rounds.append(self._clock.now())
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure


class TestLoops:
    async def test_rounds_are_an_interval_apart(self, publisher: MemoryPublisher, clock: ManualClock) -> None:
        scheduler = Flaky(publisher=publisher, clock=clock, dedup_every=timedelta(minutes=5))

        async with scheduler:
            await _pass(clock, timedelta(minutes=11), step=timedelta(minutes=1))

        assert scheduler.rounds == [NOON + timedelta(minutes=m) for m in (0, 5, 10)]

    async def test_a_round_that_fails_is_tried_again_with_back_off_and_ends_nothing(
        self, publisher: MemoryPublisher, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = (StorageUnavailable("away"), KeyError("a fault of ours"), OSError("disk"))
        scheduler = Flaky(*failures, publisher=publisher, clock=clock, dedup_every=timedelta(minutes=5))

        async with scheduler:
            await _pass(clock, timedelta(minutes=6), step=RETRY)

        assert [moment - NOON for moment in scheduler.rounds] == [
            timedelta(seconds=s) for s in (0, 1, 1 + 2, 1 + 2 + 4, 7 + 300)
        ]
        assert scheduler.failures_total == 3
        assert [record.pause_s for record in caplog.records if record.msg == "scheduler.failed"] == [1.0, 2.0, 4.0]

    async def test_a_round_that_succeeds_ends_the_back_off(
        self, publisher: MemoryPublisher, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = [OSError("disk"), OSError("disk"), None, OSError("disk")]
        scheduler = Flaky(*failures, publisher=publisher, clock=clock, dedup_every=timedelta(seconds=5))

        async with scheduler:
            await _pass(clock, timedelta(seconds=12), step=RETRY)

        assert [record.pause_s for record in caplog.records if record.msg == "scheduler.failed"] == [1.0, 2.0, 1.0]

    async def test_back_off_has_a_limit(self, publisher: MemoryPublisher, clock: ManualClock) -> None:
        scheduler = Flaky(*[OSError("disk")] * 40, publisher=publisher, clock=clock)

        async with scheduler:
            for _ in range(30):
                await _turn()
                clock.advance(RETRY_AT_MOST)
            await _turn()

        assert len(scheduler.rounds) == 31

    async def test_both_loops_do_their_rounds(
        self, publisher: MemoryPublisher, clock: ManualClock, storage: Storage, ids: Uuid7Factory
    ) -> None:
        await _two_that_are_one(storage, clock, ids)
        done = asyncio.Event()

        class Watched(Scheduler):
            async def fold_duplicates(self) -> Any:
                await super().fold_duplicates()
                done.set()

        async with Watched(publisher=publisher, storage=storage, clock=clock, hunts=[HOURLY]) as scheduler:
            async with asyncio.timeout(5):
                await done.wait()

        assert (scheduler.alerts_deduplicated_total, scheduler.hunts_published_total) == (1, 1)


async def _pass(clock: ManualClock, duration: timedelta, *, step: timedelta) -> None:
    for _ in range(duration // step):
        await _turn()
        clock.advance(step)
    await _turn()


class TestScheduledHunts:
    async def test_a_due_hunt_is_published_as_an_agent_task_once_a_slot(
        self, publisher: MemoryPublisher, clock: ManualClock
    ) -> None:
        scheduler = Scheduler(publisher=publisher, clock=clock, hunts=[HOURLY])

        new = []
        for _ in range(5):
            new.append(await scheduler.publish_due_hunts())
            clock.advance(timedelta(minutes=30))

        assert new == [1, 0, 1, 0, 1]
        tasks = publisher.published(Stream.AGENT_TASKS)
        assert [task["slot"] for task in tasks] == [(NOON + timedelta(hours=hour)).isoformat() for hour in range(3)]
        assert tasks[0].items() >= {"hunt": "beacons", "agent_type": "threat_hunter", "priority": 3}.items()
        assert len({task["task_id"] for task in tasks}) == 3

    async def test_any_number_of_schedulers_publish_a_slot_once(
        self, publisher: MemoryPublisher, clock: ManualClock
    ) -> None:
        schedulers = [Scheduler(publisher=publisher, clock=clock, hunts=[HOURLY, DAILY]) for _ in range(5)]

        new = await asyncio.gather(*(each.publish_due_hunts() for each in schedulers))

        assert sum(new) == 2
        assert len(publisher.published(Stream.AGENT_TASKS)) == 2

    async def test_the_real_publisher_is_called_with_what_it_takes(self, mock_redis: Any, clock: ManualClock) -> None:
        await Scheduler(publisher=mock_redis, clock=clock, hunts=[DAILY]).publish_due_hunts()

        mock_redis.publish_agent_task.assert_awaited_once()
        (message,) = mock_redis.publish_agent_task.await_args.args
        assert message["slot"] == datetime(2026, 11, 22, 2, tzinfo=UTC).isoformat()

    async def test_a_slot_is_published_no_second_time_while_it_lasts(self, mock_redis: Any, clock: ManualClock) -> None:
        """The publisher would know it again; but a schedule of a week must not ask it every half minute."""
        scheduler = Scheduler(publisher=mock_redis, clock=clock, hunts=[HOURLY])

        for _ in range(8):
            await scheduler.publish_due_hunts()
            clock.advance(timedelta(minutes=15))

        assert mock_redis.publish_agent_task.await_count == 2

    async def test_a_slot_that_could_not_be_published_stays_due(
        self, publisher: MemoryPublisher, clock: ManualClock
    ) -> None:
        scheduler = Scheduler(publisher=publisher, clock=clock, hunts=[HOURLY])
        publisher.failure = BrokerUnavailable("away")
        with pytest.raises(BrokerUnavailable):
            await scheduler.publish_due_hunts()

        publisher.failure = None

        assert await scheduler.publish_due_hunts() == 1

    async def test_one_hunt_that_fails_does_not_hold_up_the_others(self, clock: ManualClock) -> None:
        class Picky(MemoryPublisher):
            async def publish_agent_task(self, message: Any) -> bool:
                if message["schedule"] == HOURLY.id:
                    raise BrokerUnavailable("not this one")
                return await super().publish_agent_task(message)

        publisher = Picky()

        with pytest.raises(BrokerUnavailable):
            await Scheduler(publisher=publisher, clock=clock, hunts=[HOURLY, DAILY]).publish_due_hunts()

        assert [task["schedule"] for task in publisher.published(Stream.AGENT_TASKS)] == [DAILY.id]

    @pytest.mark.parametrize(
        ("catch_up", "at_start", "after_a_night"), [("latest", 1, [8]), ("all", 1, list(range(1, 9))), ("none", 0, [8])]
    )
    async def test_missed_slots_are_made_up_as_the_schedule_says(
        self, publisher: MemoryPublisher, clock: ManualClock, catch_up: Any, at_start: int, after_a_night: list[int]
    ) -> None:
        hourly = HuntSchedule(id="h", hunt="h", every=timedelta(hours=1), catch_up=catch_up)
        scheduler = Scheduler(publisher=publisher, clock=clock, hunts=[hourly])

        first = await scheduler.publish_due_hunts()
        clock.advance(timedelta(hours=8, minutes=20))
        await scheduler.publish_due_hunts()

        slots = [task["slot"] for task in publisher.published(Stream.AGENT_TASKS)][at_start:]
        assert first == at_start
        assert slots == [(NOON + timedelta(hours=hour)).isoformat() for hour in after_a_night]

    def test_after_a_month_asleep_the_slots_that_are_made_up_are_bounded(self) -> None:
        schedule = HuntSchedule(id="h", hunt="h", every=timedelta(minutes=1), catch_up="all")

        slots = schedule.due(after=NOON, now=NOON + timedelta(days=30))

        assert (len(slots), slots[-1]) == (MOST, NOON + timedelta(days=30))
        assert slots == sorted(slots)

    def test_a_clock_that_was_set_back_fires_nothing_twice(self) -> None:
        assert HOURLY.due(after=NOON, now=NOON - timedelta(hours=3)) == []

    @pytest.mark.parametrize(
        "wrong", [{"every": timedelta(seconds=59)}, {"every": timedelta(days=8)}, {"priority": 10}]
    )
    def test_a_schedule_that_cannot_be_kept_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must be from"):
            HuntSchedule(**{"id": "h", "hunt": "h", "every": timedelta(hours=1), **wrong})


@pytest.fixture
async def storage(engine_sqlite: AsyncEngine) -> AsyncIterator[Storage]:
    return Storage(engine_sqlite)


async def _two_that_are_one(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
    """Two days apart they are two alerts; the third, which comes late, brings the second within reach of the first."""
    moments = [NOON - timedelta(hours=40), NOON, NOON - timedelta(hours=20)]
    await accept(storage, ids, clock, [alert(1, at=moment) for moment in moments])


class TestAlertDedup:
    async def test_it_folds_what_became_one_alert_and_counts_it(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await _two_that_are_one(storage, clock, ids)
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock)

        rounds = [await scheduler.fold_duplicates() for _ in range(2)]

        assert [(each.folded, each.left) for each in rounds] == [(1, 0), (0, 0)]
        assert scheduler.alerts_deduplicated_total == 1

    async def test_without_storage_there_is_nothing_to_fold(self, publisher: MemoryPublisher) -> None:
        assert (await Scheduler(publisher=publisher).fold_duplicates()).folded == 0
