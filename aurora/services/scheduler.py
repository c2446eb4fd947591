"""What happens by itself, again and again: folding duplicates and publishing due hunts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Self

from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.errors import AuroraError
from aurora.kernel.ports.publisher import Publisher
from aurora.kernel.windows import WINDOW
from aurora.services.folding import Folded, fold_duplicates
from aurora.services.hunt_schedule import HuntSchedule
from aurora.storage.base import DEFAULT_TENANT
from aurora.storage.unit_of_work import Storage

DEDUP_EVERY = timedelta(minutes=5)
HUNTS_EVERY = timedelta(seconds=30)
"""Half of the shortest period of a hunt."""

RETRY = timedelta(seconds=1)
"""Pause after a first failure; it doubles with each further one, up to `RETRY_AT_MOST`."""

RETRY_AT_MOST = timedelta(minutes=5)

log = logging.getLogger(__name__)


class Scheduler:
    """Runs its loops from `start` to `stop`. Any number may run at once: what they do twice counts once.

    A round that fails is logged and tried again with back-off; it never ends its loop. `start` and `stop` belong
    into one task, as the two ends of an `async with` do; `async with scheduler:` does both.

    Args:
        publisher: Where due hunts go.
        storage: Where alerts are; without one nothing is folded.
        clock: Time.
        hunts: What is due when.
        dedup_every: Pause between two sweeps for duplicates.
        hunts_every: Pause between two looks at the hunts; no hunt starts later than this.
        window: As acceptance has it.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        storage: Storage | None = None,
        clock: Clock | None = None,
        hunts: Sequence[HuntSchedule] = (),
        dedup_every: timedelta = DEDUP_EVERY,
        hunts_every: timedelta = HUNTS_EVERY,
        window: timedelta = WINDOW,
    ) -> None:
        if min(dedup_every, hunts_every) <= timedelta():
            raise ValueError("dedup_every and hunts_every must be positive")
        if len({each.id for each in hunts}) != len(hunts):
            raise ValueError("two hunt schedules share an id")
        self._publisher = publisher
        self._storage = storage
        self._clock = clock or SystemClock()
        self._hunts = tuple(hunts)
        self._dedup_every = dedup_every
        self._hunts_every = hunts_every
        self._window = window
        self._passed: dict[str, datetime] = {}
        """The slot of each schedule that was fired or passed over last."""
        self._running = False
        self._owner = AsyncExitStack()
        self._loops: list[asyncio.Task[None]] = []
        self.alerts_deduplicated_total = 0
        self.hunts_published_total = 0
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
        ]

    async def stop(self) -> None:
        """End the loops, in the middle of a round if need be, and wait until they have ended."""
        self._running = False
        for loop in self._loops:
            loop.cancel()
        self._loops = []
        await self._owner.aclose()

    async def fold_duplicates(self) -> Folded:
        """Do one round of the first loop: make one alert of those that turned out to be one."""
        if self._storage is None:
            return Folded(0, 0)
        result = await fold_duplicates(self._storage, clock=self._clock, window=self._window)
        self.alerts_deduplicated_total += result.folded
        if result.folded or result.left:
            log.info("alerts.deduplicated", extra={"folded": result.folded, "left": result.left})
        return result

    async def publish_due_hunts(self) -> int:
        """Do one round of the second loop; return how many slots were new to the stream.

        A slot is due until it was published, so one that fails is tried again in the next round; the others are
        published all the same.

        Raises:
            AuroraError: that of the first hunt that could not be published.
        """
        now, new = self._clock.now(), 0
        failure: AuroraError | None = None
        for schedule in self._hunts:
            try:
                new += await self._publish(schedule, now)
            except AuroraError as error:
                log.warning("hunt.not_published", extra={"schedule": schedule.id, "error": error.code})
                failure = failure or error
        if failure is not None:
            raise failure
        return new

    async def _publish(self, schedule: HuntSchedule, now: datetime) -> int:
        tenant = DEFAULT_TENANT if self._storage is None else self._storage.tenant
        new = 0
        for slot in schedule.due(after=self._passed.get(schedule.id), now=now):
            is_new = await self._publisher.publish_agent_task(schedule.message(slot, tenant=tenant))
            self._passed[schedule.id] = slot
            self.hunts_published_total += is_new
            new += is_new
        self._passed.setdefault(schedule.id, schedule.newest_slot(now))
        return new

    async def _alert_dedup_loop(self) -> None:
        await self._again_and_again("alert_dedup", self.fold_duplicates, self._dedup_every)

    async def _scheduled_hunt_loop(self) -> None:
        await self._again_and_again("scheduled_hunts", self.publish_due_hunts, self._hunts_every)

    async def _again_and_again(self, name: str, work: Callable[[], Awaitable[object]], every: timedelta) -> None:
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
                failures, pause = 0, every
            await self._clock.sleep(pause)
