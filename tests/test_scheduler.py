"""The scheduler of the founding contract: its loops, and what they do, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import BrokerUnavailable, StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.ports.broker import DroppedGroup, Stream
from aurora.services.abandoned import SILENCE
from aurora.services.scheduler import EXPIRY_EVERY, RETENTION_EVERY, RETRY, RETRY_AT_MOST, Scheduler
from aurora.settings.model import RetentionSettings
from aurora.storage.models import ScheduleModel, TaskModel
from aurora.storage.repositories.schedules import Schedule
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock, MemoryPublisher
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert
from tests.contract.storage.schedules import add, hourly, rows
from tests.contract.storage.upkeep import begun, held, settled

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


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

    @pytest.mark.parametrize("wrong", [{"dedup_every": timedelta()}, {"look_every": -MINUTE}])
    def test_what_makes_no_sense_is_refused(self, publisher: MemoryPublisher, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must be positive"):
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
        await add(storage, hourly(clock))
        clock.advance(HOUR)
        done = asyncio.Event()

        class Watched(Scheduler):
            async def fold_duplicates(self) -> Any:
                await super().fold_duplicates()
                done.set()

        async with Watched(publisher=publisher, storage=storage, clock=clock) as scheduler:
            async with asyncio.timeout(30):
                await done.wait()
                await _until(lambda: scheduler.slots_fired_total)

        assert (scheduler.alerts_deduplicated_total, scheduler.slots_fired_total) == (1, 1)


async def _pass(clock: ManualClock, duration: timedelta, *, step: timedelta) -> None:
    for _ in range(duration // step):
        await _turn()
        clock.advance(step)
    await _turn()


async def _until(happened: Any) -> None:
    """Let everybody run until something has happened; the database answers from threads of its own."""
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - of many happenings, none of which has an event
            await asyncio.sleep(0)


class TestScheduledHunts:
    async def test_a_due_slot_becomes_a_task_that_is_announced(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        announced: list[Task] = []

        async def announce(tasks: Sequence[Task]) -> None:
            announced.extend(tasks)

        await add(storage, hourly(clock))
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock, announce=announce)

        fired = []
        for _ in range(5):
            fired.append(len(await scheduler.fire_due()))
            clock.advance(HOUR / 2)

        assert fired == [0, 0, 1, 0, 1]
        assert [task.correlation["slot"] for task in announced] == [(NOON + HOUR * n).isoformat() for n in (1, 2)]
        assert {row.id for row in await rows(storage, TaskModel)} == {task.id for task in announced}
        assert scheduler.slots_fired_total == 2

    async def test_a_broker_that_is_away_costs_no_slot(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        async def announce(tasks: Sequence[Task]) -> None:
            raise BrokerUnavailable("away")

        await add(storage, hourly(clock))
        clock.advance(HOUR)

        fired = await Scheduler(publisher=publisher, storage=storage, clock=clock, announce=announce).fire_due()

        assert [row.state for row in await rows(storage, TaskModel)] == ["queued"]
        assert len(fired) == 1

    async def test_any_number_of_schedulers_fire_a_slot_once(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        for name in ("one", "other"):
            await add(storage, hourly(clock, name))
        clock.advance(HOUR)
        schedulers = [Scheduler(publisher=publisher, storage=storage, clock=clock) for _ in range(5)]

        fired = await asyncio.gather(*(each.fire_due() for each in schedulers))

        assert sorted(task.correlation["schedule"] for tasks in fired for task in tasks) == ["one", "other"]

    async def test_it_sleeps_until_the_next_slot_and_half_a_minute_at_most(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        class Watched(Scheduler):
            rounds: list[datetime]

            async def fire_due(self) -> list[Task]:
                fired = await super().fire_due()
                self.rounds.append(self._clock.now())
                return fired

        await add(storage, hourly(clock, every_s=75, passed=NOON - timedelta(seconds=5)))
        scheduler = Watched(publisher=publisher, storage=storage, clock=clock, look_every=timedelta(seconds=30))
        scheduler.rounds = []
        loop = scheduler._scheduled_hunt_loop()
        async with asyncio.TaskGroup() as group:
            looping = group.create_task(loop)
            for wanted in range(1, 6):
                await _until(lambda wanted=wanted: len(scheduler.rounds) == wanted and clock.sleepers)
                clock.advance(min(each[0] for each in clock._sleepers) - clock.now())
            looping.cancel()

        # Slots every 75 s from Monday midnight: NOON is one, so are NOON + 75 s and NOON + 150 s.
        assert [(moment - NOON).total_seconds() for moment in scheduler.rounds[:5]] == [0, 30, 60, 75, 105]

    async def test_one_that_cannot_be_read_is_told_of_once_and_holds_nobody_up(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("broken", "good"):
            await add(storage, hourly(clock, name))
        async with storage.writing() as transaction:
            broken = update(ScheduleModel).where(ScheduleModel.id == "broken").values(cron="61 * * * *", every_s=None)
            await transaction.connection.execute(broken)
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock)

        fired = []
        for _ in range(3):
            clock.advance(HOUR)
            fired += await scheduler.fire_due()

        assert [task.correlation["schedule"] for task in fired] == ["good"] * 3
        assert [each.schedule for each in caplog.records if each.msg == "schedule.invalid"] == ["broken"]

    async def test_one_that_fails_does_not_hold_up_the_others_and_stays_due(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        class Picky(Scheduler):
            async def _fire(self, storage: Storage, schedule: Schedule) -> list[Task]:
                if schedule.id == "first":
                    raise StorageUnavailable("not this one")
                return await super()._fire(storage, schedule)

        for name in ("first", "second"):
            await add(storage, hourly(clock, name))
        clock.advance(HOUR)

        with pytest.raises(StorageUnavailable):
            await Picky(publisher=publisher, storage=storage, clock=clock).fire_due()
        fired = await Scheduler(publisher=publisher, storage=storage, clock=clock).fire_due()

        assert [task.correlation["schedule"] for task in fired] == ["first"]
        assert len(await rows(storage, TaskModel)) == 2

    @pytest.mark.parametrize(("catch_up", "hours"), [("latest", [1, 9]), ("all", list(range(1, 10))), ("none", [1])])
    async def test_missed_slots_are_made_up_as_the_schedule_says(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, catch_up: str, hours: list[int]
    ) -> None:
        await add(storage, hourly(clock, catch_up=catch_up))
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock)

        clock.advance(HOUR)
        fired = await scheduler.fire_due()
        clock.advance(8 * HOUR + 20 * MINUTE)
        fired += await scheduler.fire_due()

        assert [task.correlation["slot"] for task in fired] == [(NOON + HOUR * hour).isoformat() for hour in hours]

    async def test_without_storage_nothing_fires(self, publisher: MemoryPublisher) -> None:
        assert await Scheduler(publisher=publisher).fire_due() == []


class TestUpkeep:
    async def test_tasks_past_their_deadline_end_in_every_tenant(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        for tenant in ("default", "acme"):
            for state in (TaskState.QUEUED, TaskState.WAITING, TaskState.RUNNING):
                task = await settled(storage.of(tenant), ids, NOON, state)
                async with storage.writing() as transaction:
                    mine = update(TaskModel).where(TaskModel.id == task.id)
                    await transaction.connection.execute(mine.values(deadline=NOON + MINUTE))
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock)

        early = await scheduler.expire_tasks()
        clock.advance(EXPIRY_EVERY)
        ended = [await scheduler.expire_tasks() for _ in range(2)]

        states = sorted(row.state for row in await rows(storage, TaskModel))
        assert (early, ended, states) == (0, [4, 0], ["failed"] * 4 + ["running"] * 2)
        assert scheduler.tasks_expired_total == 4

    async def test_what_need_not_be_kept_is_removed_if_the_settings_say_so(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await settled(storage, ids, NOON - 400 * DAY, TaskState.SUCCEEDED)
        keeping = Scheduler(publisher=publisher, storage=storage, clock=clock)
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock, retention=RetentionSettings())

        kept = await keeping.prune()
        async with asyncio.TaskGroup() as group:
            pruning = group.create_task(scheduler.prune())
            await _until(lambda: clock.sleepers)
            clock.advance(MINUTE)

        assert (kept, pruning.result()["tasks"], scheduler.tasks_pruned_total) == ({}, 1, 1)
        assert await rows(storage, TaskModel) == []

    async def test_a_batch_whose_command_is_gone_is_accepted(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await begun(storage, ids, clock, 2)
        clock.advance(SILENCE * 2)
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock)

        accepted = [await scheduler.accept_abandoned() for _ in range(2)]

        assert (accepted, await held(storage), scheduler.batches_accepted_total) == ([1, 0], 0, 1)

    async def test_auditors_are_told_of_every_group_that_was_dropped_also_after_the_broker_was_away(
        self, publisher: MemoryPublisher, clock: ManualClock
    ) -> None:
        dropped = [[DroppedGroup(Stream.ALERTS, "siem", 7), DroppedGroup(Stream.AUDIT, "archive", 1)], [], []]

        async def trim() -> Sequence[DroppedGroup]:
            return dropped.pop(0)

        scheduler = Scheduler(publisher=publisher, clock=clock, trim=trim)
        publisher.failure = BrokerUnavailable("away")
        with pytest.raises(BrokerUnavailable):
            await scheduler.trim()
        publisher.failure = None

        told = [await scheduler.trim() for _ in range(2)]

        events = publisher.published(Stream.AUDIT)
        assert [(each["event"], each["stream"], each["group"], each["pending"]) for each in events] == [
            ("group.dropped", "aurora:alerts", "siem", 7),
            ("group.dropped", "aurora:audit", "archive", 1),
        ]
        assert (told, scheduler.groups_dropped_total) == ([2, 0], 2)

    @pytest.mark.parametrize(
        ("loop", "work", "every"),
        [
            ("_expiry_loop", "expire_tasks", EXPIRY_EVERY),
            ("_retention_loop", "prune", RETENTION_EVERY),
            ("_batch_loop", "accept_abandoned", 5 * MINUTE),
            ("_trim_loop", "trim", MINUTE),
            ("_presence_loop", "beat", timedelta(seconds=3)),
        ],
    )
    async def test_each_loop_does_its_work_at_its_pace_and_survives_a_failure(
        self, publisher: MemoryPublisher, clock: ManualClock, loop: str, work: str, every: timedelta
    ) -> None:
        scheduler = Scheduler(publisher=publisher, clock=clock)
        rounds: list[datetime] = []

        async def noted() -> None:
            rounds.append(clock.now())
            if len(rounds) == 2:
                raise StorageUnavailable("away")

        setattr(scheduler, work, noted)
        async with asyncio.TaskGroup() as group:
            looping = group.create_task(getattr(scheduler, loop)())
            for pause in (every, RETRY, every):
                await _turn()
                clock.advance(pause)
            await _turn()
            looping.cancel()

        assert [moment - NOON for moment in rounds] == [timedelta(), every, every + RETRY, 2 * every + RETRY]
        assert scheduler.failures_total == 1


class TestPresence:
    async def test_it_is_listed_while_it_runs_and_gone_when_it_was_stopped(
        self, publisher: MemoryPublisher, storage: Storage, clock: ManualClock
    ) -> None:
        said = Presence(
            id="host:1:2:3", kind="scheduler", host="host", pid=1, version="1", started_at=NOON, seen_at=NOON
        )
        await add(storage, hourly(clock))
        clock.advance(HOUR)
        scheduler = Scheduler(publisher=publisher, storage=storage, clock=clock, presence=said)
        await scheduler.fire_due()

        await scheduler.beat()
        (listed,) = await _live(storage, clock)
        async with scheduler:
            await _turn()
        after = await _live(storage, clock)

        assert (listed.kind, listed.seen_at, listed.started_at) == ("scheduler", clock.now(), NOON)
        assert listed.details["counts"]["slots_fired_total"] == 1
        assert after == []


async def _live(storage: Storage, clock: ManualClock) -> list[Presence]:
    async with storage.reading() as transaction:
        return await transaction.workers.live(clock.now(), kind="scheduler")


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
