"""Places for calls: so many at the same time, and nobody waits for one for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType

from aurora.kernel.clock import Clock
from aurora.kernel.deadline import within
from aurora.kernel.errors import AuroraError


class Crowded(AuroraError):
    """All places were taken for as long as the call could wait; nothing was called."""

    code = "aurora.dispatch.crowded"
    retryable = True
    http_status = 503


class Bulkhead:
    """Places, given in the order of asking. Belongs to one event loop.

    Args:
        key: What they are places of, for the message.
        places: Calls at the same time.
        clock: Time for waiting.
    """

    def __init__(self, key: str, *, places: int, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._free = asyncio.Semaphore(places)
        self.users = 0
        """Who has a place or waits for one."""

    def place(self, patience: timedelta | None) -> Place:
        """Guard a call: `async with bulkhead.place(patience): …`; `None` waits as long as it takes.

        Raises:
            Crowded: on entry: no place became free.
        """
        return Place(self, patience)

    async def enter(self, patience: timedelta | None) -> None:
        """Take a place by hand; whoever does gives it back through `leave`."""
        self.users += 1
        has_place = False

        async def take() -> None:
            nonlocal has_place
            await self._free.acquire()
            has_place = True

        try:
            if patience is None or not self._free.locked():
                await take()
            else:
                await within(patience, take, clock=self._clock)
        except TimeoutError:
            if has_place:  # it became free in the very moment that patience ended
                return
            self.users -= 1
            seconds = max(0.0, patience.total_seconds()) if patience is not None else 0.0
            raise Crowded(
                f"all places for {self._key} were taken for {seconds:g} s", key=self._key, waited_s=seconds
            ) from None
        except BaseException:
            self.users -= 1
            if has_place:
                self._free.release()
            raise

    def leave(self) -> None:
        """Give a place back."""
        self.users -= 1
        self._free.release()


class Place:
    """One place among many. Entered once."""

    __slots__ = ("_bulkhead", "_patience")

    def __init__(self, bulkhead: Bulkhead, patience: timedelta | None) -> None:
        self._bulkhead = bulkhead
        self._patience = patience

    async def __aenter__(self) -> None:
        await self._bulkhead.enter(self._patience)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bulkhead.leave()
