"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from datetime import datetime, timedelta
from itertools import count


class ManualClock:
    """Implements `Clock`. Sleepers wake when `advance` passes their moment, in order of their moments.

    Args:
        start: The first moment; aware, UTC.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("the first moment needs a time zone")
        self._start = start
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        wake = asyncio.Event()
        heapq.heappush(self._sleepers, (self._now + duration, next(self._order), wake))
        await wake.wait()

    @property
    def sleepers(self) -> int:
        """How many tasks wait for time to pass."""
        return len(self._sleepers)

    def advance(self, duration: timedelta) -> None:
        """Let time pass; whoever's moment came is woken, and runs when the event loop next turns."""
        self._now += duration
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()
