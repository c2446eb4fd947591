"""An end to waiting, by the injected clock, so that a test need not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from aurora.kernel.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


async def within(duration: timedelta, work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """Return what `work` returns; it is cancelled when `duration` has passed, and waited for.

    It runs in a task of its own, which ends before this returns. Who cancels this cancels it, whatever else
    happens in the same moment.

    Raises:
        TimeoutError: it took longer. What it raised when it was cancelled is dropped.
    """
    is_late = False

    # No task of the group fails: a group with errors forgets a cancellation from outside that comes at the same time,
    # and one that gets its first error on its way out leaves its own cancellation behind (CPython 3.11 and 3.12).
    async def attempt() -> T | _Failed:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - raised again below
            return _Failed(error)
        finally:
            alarm.cancel()

    async def ring() -> None:
        nonlocal is_late
        await clock.sleep(duration)
        is_late = not working.done()
        working.cancel()

    async with asyncio.TaskGroup() as group:
        alarm = group.create_task(ring())
        working = group.create_task(attempt())
    if is_late:
        raise TimeoutError
    outcome = working.result()
    if not isinstance(outcome, _Failed):
        return outcome
    try:
        raise outcome.error
    finally:
        del outcome  # its traceback would hold this frame, and this frame it
