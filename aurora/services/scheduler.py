"""What happens by itself, again and again: schedules fire, duplicates are folded, what is overdue ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.errors import AuroraError, BrokerError, StorageUnavailable
from aurora.kernel.ids import IdFactory, Uuid7Factory
from aurora.kernel.models import Task
from aurora.kernel.ports.broker import DroppedGroup
from aurora.kernel.ports.publisher import Publisher
from aurora.kernel.windows import WINDOW
from aurora.services.abandoned import accept_abandoned
from aurora.services.firing import fire, timing_of
from aurora.services.folding import Folded, fold_duplicates
from aurora.services.retention import BREATH, prune
from aurora.services.schedule import ScheduleInvalid
from aurora.settings.model import RetentionSettings
from aurora.storage.repositories.schedules import Schedule
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage

DEDUP_EVERY = timedelta(minutes=5)
LOOK_EVERY = timedelta(seconds=30)
"""Longest time between two looks at the schedules: one that was just added is noticed within it."""

EXPIRY_EVERY = timedelta(minutes=2)
RETENTION_EVERY = timedelta(hours=1)
BATCHES_EVERY = timedelta(minutes=5)
TRIM_EVERY = timedelta(minutes=1)
TEND_EVERY = timedelta(minutes=5)
BEAT_EVERY = timedelta(seconds=3)
"""As workers do, so that who is silent is known to be gone."""

FORGOTTEN_AFTER = timedelta(days=1)
"""Processes that crashed stay known for so long."""

EXPIRED_AT_ONCE = 500
"""Tasks in one transaction."""

RETRY = timedelta(seconds=1)
"""Pause after a first failure; it doubles with each further one, up to `RETRY_AT_MOST`."""

RETRY_AT_MOST = timedelta(minutes=5)

PARTING = timedelta(seconds=2)
"""For the last word to the database."""

Announce = Callable[[Sequence[Task]], Awaitable[object]]
Trim = Callable[[], Awaitable[Sequence[DroppedGroup]]]
Tend = Callable[[], Awaitable[Mapping[str, int]]]

log = logging.getLogger(__name__)


class Scheduler:
    """Runs its loops from `start` to `stop`. Any number may run at once: what they do twice counts once.

    A round that fails is logged and tried again with back-off; it never ends its loop. `start` and `stop` belong
    into one task, as the two ends of an `async with` do; `async with scheduler:` does both.

    Args:
        publisher: Told of what auditors want to know.
        storage: Where everything is, of all tenants; without one only `trim` is called.
        clock: Time.
        ids: Where the ids of tasks and runs come from.
        announce: Told of the tasks that were fired, such as `Route.announce`; that it fails costs time only.
        publishes: Whether a broker is told how tasks ended, so that the relay tells of those that are ended here.
        trim: Tidies the streams, such as `Broker.trim`.
        tend: Tends what is remembered, and tells what it did, by name.
        retention: How long is kept what; `None`: for ever.
        presence: How this process is listed among those that work; `None`: it is not, or not for this.
        dedup_every: Pause between two sweeps for duplicates.
        look_every: Longest pause between two looks at the schedules.
        expiry_every: Pause between two looks for tasks past their deadline.
        retention_every: Pause between two sweeps for what need not be kept.
        batches_every: Pause between two looks for batches whose command is gone.
        trim_every: Pause between two calls of `trim`.
        tend_every: Pause between two calls of `tend`.
        window: As acceptance has it.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        storage: Storage | None = None,
        clock: Clock | None = None,
        ids: IdFactory | None = None,
        announce: Announce | None = None,
        publishes: bool = False,
        trim: Trim | None = None,
        tend: Tend | None = None,
        retention: RetentionSettings | None = None,
        presence: Presence | None = None,
        dedup_every: timedelta = DEDUP_EVERY,
        look_every: timedelta = LOOK_EVERY,
        expiry_every: timedelta = EXPIRY_EVERY,
        retention_every: timedelta = RETENTION_EVERY,
        batches_every: timedelta = BATCHES_EVERY,
        trim_every: timedelta = TRIM_EVERY,
        tend_every: timedelta = TEND_EVERY,
        window: timedelta = WINDOW,
    ) -> None:
        pauses = (dedup_every, look_every, expiry_every, retention_every, batches_every, trim_every, tend_every)
        if min(pauses) <= timedelta():
            raise ValueError("pauses between rounds must be positive")
        self._publisher = publisher
        self._storage = storage
        self._clock = clock or SystemClock()
        self._ids = ids or Uuid7Factory(clock=self._clock)
        self._announce = announce
        self._publishes = publishes
        self._trim = trim
        self._tend = tend
        self._retention = retention
        self._presence = presence
        self._dedup_every = dedup_every
        self._look_every = look_every
        self._expiry_every = expiry_every
        self._retention_every = retention_every
        self._batches_every = batches_every
        self._trim_every = trim_every
        self._tend_every = tend_every
        self._window = window
        self._next_slot: datetime | None = None
        """When the next schedule is due, as of the last look."""
        self._invalid = frozenset[tuple[str, str]]()
        """Schedules that cannot be read, as of the last look: each is told of once."""
        self._untold = list[dict[str, Any]]()
        self._running = False
        self._owner = AsyncExitStack()
        self._loops: list[asyncio.Task[None]] = []
        self.alerts_deduplicated_total = 0
        self.slots_fired_total = 0
        self.tasks_expired_total = 0
        self.tasks_pruned_total = 0
        self.runs_stripped_total = 0
        self.batches_accepted_total = 0
        self.groups_dropped_total = 0
        self.memory_jobs_total = 0
        self.memory_vectors_total = 0
        self.failures_total = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the loops and return. A second start changes nothing."""
        if self._running:
            return
        self._running = True
        group = await self._owner.enter_async_context(asyncio.TaskGroup())
        self._loops = [
            group.create_task(self._alert_dedup_loop(), name="scheduler:alert_dedup"),
            group.create_task(self._scheduled_hunt_loop(), name="scheduler:hunts"),
            group.create_task(self._expiry_loop(), name="scheduler:expiry"),
            group.create_task(self._retention_loop(), name="scheduler:retention"),
            group.create_task(self._batch_loop(), name="scheduler:batches"),
            group.create_task(self._trim_loop(), name="scheduler:trim"),
            group.create_task(self._tend_loop(), name="scheduler:memory"),
            group.create_task(self._presence_loop(), name="scheduler:presence"),
        ]

    async def stop(self) -> None:
        """End the loops, in the middle of a round if need be, and wait until they have ended."""
        self._running = False
        for loop in self._loops:
            loop.cancel()
        was_running, self._loops = bool(self._loops), []
        await self._owner.aclose()
        if was_running:
            await self._sign_off()

    async def fold_duplicates(self) -> Folded:
        """Make one alert of those that turned out to be one, in all tenants."""
        if self._storage is None:
            return Folded(0, 0)
        async with self._storage.reading() as transaction:
            tenants = {self._storage.tenant, *await transaction.retention.tenants()}
        rounds = [
            await fold_duplicates(self._storage.of(tenant), clock=self._clock, window=self._window)
            for tenant in sorted(tenants)
        ]
        result = Folded(sum(each.folded for each in rounds), sum(each.left for each in rounds))
        self.alerts_deduplicated_total += result.folded
        if result.folded or result.left:
            log.info("alerts.deduplicated", extra={"folded": result.folded, "left": result.left})
        return result

    async def fire_due(self) -> list[Task]:
        """Fire all slots that are due; return their tasks, which are queued and announced.

        A schedule that cannot be read fires nothing and holds nobody up; it is told of once.

        Raises:
            AuroraError: that of the first schedule that could not be fired; the others were.
        """
        if self._storage is None:
            return []
        async with self._storage.reading() as transaction:
            schedules = await transaction.schedules.active()
        fired, following = list[Task](), list[datetime]()
        invalid: set[tuple[str, str]] = set()
        failure: AuroraError | None = None
        for schedule in schedules:
            try:
                timing = timing_of(schedule)
                slot = timing.first_after(schedule.passed)
                if slot is not None and slot <= self._clock.now():
                    fired += await self._fire(self._storage, schedule)
                    slot = timing.first_after(self._clock.now())
                following += [] if slot is None else [slot]
            except ScheduleInvalid as error:
                invalid.add((schedule.tenant, schedule.id))
                if (schedule.tenant, schedule.id) not in self._invalid:
                    log.warning("schedule.invalid", extra={**_named(schedule), "reason": error.message})
            except AuroraError as error:
                log.warning("schedule.not_fired", extra={**_named(schedule), "error": error.code})
                failure = failure or error
        self._next_slot, self._invalid = min(following, default=None), frozenset(invalid)
        if failure is not None:
            raise failure
        return fired

    async def expire_tasks(self) -> int:
        """End tasks that wait and whose deadline has passed; return how many."""
        if self._storage is None:
            return 0
        async with self._storage.reading() as transaction:
            tenants = await transaction.overdue.tenants_past_deadline(self._clock.now())
        ended = 0
        for tenant in tenants:
            is_more = True
            while is_more:
                async with self._storage.of(tenant).writing() as transaction:
                    expired = await transaction.tasks.expire(
                        self._clock.now(), EXPIRED_AT_ONCE, publishes=self._publishes
                    )
                ended += len(expired)
                is_more = len(expired) == EXPIRED_AT_ONCE
        self.tasks_expired_total += ended
        if ended:
            log.warning("tasks.expired", extra={"tasks": ended})
        return ended

    async def prune(self) -> dict[str, Any]:
        """Remove what need not be kept any more; return how much of what."""
        if self._storage is None or self._retention is None:
            return {}
        gone = await prune(self._storage, self._retention, clock=self._clock, breath=BREATH)
        async with self._storage.writing() as transaction:
            await transaction.workers.forget(self._clock.now() - FORGOTTEN_AFTER)
        self.tasks_pruned_total += gone["tasks"]
        self.runs_stripped_total += gone["runs_stripped"]
        if gone["tasks"] or gone["runs_stripped"]:
            log.info("storage.pruned", extra={"tasks": gone["tasks"], "runs_stripped": gone["runs_stripped"]})
        return gone

    async def accept_abandoned(self) -> int:
        """Accept batches whose command is gone; return how many."""
        if self._storage is None:
            return 0
        accepted = await accept_abandoned(self._storage, clock=self._clock)
        self.batches_accepted_total += accepted
        return accepted

    async def trim(self) -> int:
        """Tidy the streams; return how many groups were given up. Auditors are told of each."""
        if self._trim is not None:
            dropped = await self._trim()
            self.groups_dropped_total += len(dropped)
            self._untold += [self._dropped(group) for group in dropped]
        told = 0
        while self._untold:
            await self._publisher.publish_audit(self._untold[0])
            self._untold.pop(0)
            told += 1
        return told

    async def tend(self) -> Mapping[str, int]:
        """Tend what is remembered; return what was done, by name."""
        done = {} if self._tend is None else await self._tend()
        self.memory_jobs_total += done.get("jobs", 0)
        self.memory_vectors_total += done.get("vectors", 0)
        if any(done.values()):
            log.info("memory.tended", extra=dict(done))
        return done

    async def beat(self) -> None:
        """Say that this process is there, and what it has done."""
        if self._storage is None or self._presence is None:
            return
        said = replace(self._presence, seen_at=self._clock.now(), details={"counts": self.counts()})
        async with self._storage.writing() as transaction:
            await transaction.workers.seen(said)

    def counts(self) -> dict[str, int]:
        """Return what was done since the start, by name, for metrics."""
        return {name: value for name, value in vars(self).items() if name.endswith("_total")}

    async def _fire(self, storage: Storage, schedule: Schedule) -> list[Task]:
        is_told = self._announce is not None
        tasks = await fire(storage, schedule, clock=self._clock, ids=self._ids, announced=is_told)
        self.slots_fired_total += len(tasks)
        if tasks:
            log.info("schedule.fired", extra={**_named(schedule), "slots": len(tasks)})
            await self._tell(tasks)
        return tasks

    async def _tell(self, tasks: Sequence[Task]) -> None:
        """Announce tasks. They are queued: who is not told of them finds them."""
        if self._announce is None:
            return
        try:
            await self._announce(tasks)
        except BrokerError as error:
            log.info("tasks.not_announced", extra={"tasks": len(tasks), "error": error.code})

    async def _sign_off(self) -> None:
        if self._storage is None or self._presence is None:
            return
        try:
            async with asyncio.timeout(PARTING.total_seconds()), self._storage.writing() as transaction:
                await transaction.workers.gone(self._presence.id)
        except (StorageUnavailable, TimeoutError):
            log.info("scheduler.not_signed_off")

    def _dropped(self, group: DroppedGroup) -> dict[str, Any]:
        return {
            "event": "group.dropped",
            "at": self._clock.now(),
            "stream": group.stream.value,
            "group": group.group,
            "pending": group.pending,
        }

    def _until_next_slot(self) -> timedelta:
        if self._next_slot is None:
            return self._look_every
        return max(timedelta(), min(self._look_every, self._next_slot - self._clock.now()))

    async def _alert_dedup_loop(self) -> None:
        await self._again_and_again("alert_dedup", self.fold_duplicates, lambda: self._dedup_every)

    async def _scheduled_hunt_loop(self) -> None:
        await self._again_and_again("scheduled_hunts", self.fire_due, self._until_next_slot)

    async def _expiry_loop(self) -> None:
        await self._again_and_again("expiry", self.expire_tasks, lambda: self._expiry_every)

    async def _retention_loop(self) -> None:
        await self._again_and_again("retention", self.prune, lambda: self._retention_every)

    async def _batch_loop(self) -> None:
        await self._again_and_again("batches", self.accept_abandoned, lambda: self._batches_every)

    async def _trim_loop(self) -> None:
        await self._again_and_again("trim", self.trim, lambda: self._trim_every)

    async def _tend_loop(self) -> None:
        await self._again_and_again("memory", self.tend, lambda: self._tend_every)

    async def _presence_loop(self) -> None:
        await self._again_and_again("presence", self.beat, lambda: BEAT_EVERY)

    async def _again_and_again(
        self, name: str, work: Callable[[], Awaitable[object]], every: Callable[[], timedelta]
    ) -> None:
        failures = 0
        while True:
            try:
                await work()
            except Exception as error:  # whatever fails in a round, the next one may succeed
                failures += 1
                self.failures_total += 1
                pause = min(RETRY * 2 ** min(failures - 1, 16), RETRY_AT_MOST)
                log.warning("scheduler.failed", exc_info=error, extra={"loop": name, "pause_s": pause.total_seconds()})
            else:
                failures, pause = 0, every()
            await self._clock.sleep(pause)


def _named(schedule: Schedule) -> dict[str, Any]:
    return {"tenant": schedule.tenant, "schedule": schedule.id}
