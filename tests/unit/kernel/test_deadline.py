"""An end to waiting, in virtual time, and what happens when two ends come at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.kernel.deadline import within
from aurora.testing import ManualClock

SECOND = timedelta(seconds=1)


async def _turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_is_in_time_is_returned_and_leaves_no_alarm(clock: ManualClock) -> None:
    async def work() -> str:
        return "done"

    assert await within(SECOND, work, clock=clock) == "done"
    assert len(asyncio.all_tasks()) == 1


async def test_what_is_late_is_cancelled(clock: ManualClock) -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    waiting = asyncio.ensure_future(within(SECOND, work, clock=clock))
    await _turns()
    clock.advance(SECOND)

    with pytest.raises(TimeoutError):
        await waiting
    assert ended == [True]


async def test_an_error_of_the_work_is_raised_as_it_is(clock: ManualClock) -> None:
    async def work() -> None:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        await within(SECOND, work, clock=clock)


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_in_the_moment_of_the_deadline_is_never_swallowed(clock: ManualClock, turns: int) -> None:
    """A loop that goes on after it was cancelled keeps its process from stopping."""
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            try:
                await within(SECOND, asyncio.Event().wait, clock=clock)
            except TimeoutError:
                continue

    looping = asyncio.ensure_future(loop())
    await _turns()
    clock.advance(SECOND)
    await _turns(turns)
    looping.cancel()

    await _turns()

    assert looping.cancelled()
    assert rounds <= 2


async def test_a_cancellation_and_an_error_at_once_end_in_the_cancellation(clock: ManualClock) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the connection broke when it was closed")

    waiting = asyncio.ensure_future(within(SECOND, work, clock=clock))
    await _turns()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_deadline_within_a_deadline_ends_with_the_earlier(clock: ManualClock) -> None:
    async def inner() -> None:
        await within(SECOND * 5, asyncio.Event().wait, clock=clock)

    waiting = asyncio.ensure_future(within(SECOND, inner, clock=clock))
    await _turns()
    clock.advance(SECOND)

    with pytest.raises(TimeoutError):
        await waiting
