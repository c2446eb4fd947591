"""An end to waiting, by the injected clock, so that a test need not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from aurora.kernel.clock import Clock

T = TypeVar("T")


async def within(duration: timedelta, work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """Return what `work` returns; it is cancelled when `duration` has passed.

    Raises:
        TimeoutError: it took longer.
    """
    late = TimeoutError()

    async def ring() -> None:
        await clock.sleep(duration)
        raise late

    try:
        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(ring())
            result = await work()
            alarm.cancel()
    except BaseExceptionGroup as caught:
        # Work that fails in the moment of its cancellation failed because of it.
        failure = late if late in caught.exceptions else caught.exceptions[0]
    else:
        return result
    raise failure
