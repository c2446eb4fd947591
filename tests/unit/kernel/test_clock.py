"""Virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.testing import ManualClock
from tests.conftest import NOON


async def test_sleepers_wake_in_the_order_of_their_moments(clock: ManualClock) -> None:
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(timedelta(seconds=seconds))
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (30, 10, 20):
            group.create_task(sleeper(seconds))
        while clock.sleepers < 3:  # noqa: ASYNC110 - until all of them sleep
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=25))
        for _ in range(5):
            await asyncio.sleep(0)
        assert woken == [10, 20]
        clock.advance(timedelta(seconds=5))

    assert woken == [10, 20, 30]


def test_time_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    assert (clock.now(), clock.monotonic()) == (NOON, 0.0)

    clock.advance(timedelta(minutes=2))

    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(minutes=2), 120.0)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ManualClock(NOON.replace(tzinfo=None))
