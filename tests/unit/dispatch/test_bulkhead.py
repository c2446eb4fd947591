"""Places: whoever came and went, however it ended, is counted no more."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aurora.dispatch.bulkhead import Bulkhead, Crowded
from aurora.dispatch.circuits import CAP, Circuits
from aurora.dispatch.policy import Policy
from aurora.testing import ManualClock


async def test_nobody_is_left_when_all_have_gone(clock: ManualClock) -> None:
    bulkhead = Bulkhead("model:x", places=1, clock=clock)

    async with asyncio.TaskGroup() as group:
        await bulkhead.enter(None)
        cancelled = group.create_task(bulkhead.enter(None))
        crowded = group.create_task(_crowded(bulkhead))
        for _ in range(5):
            await asyncio.sleep(0)
        busy = bulkhead.users
        cancelled.cancel()
        clock.advance(timedelta(seconds=1))
    bulkhead.leave()

    assert crowded.result()
    assert (busy, bulkhead.users) == (3, 0)


async def test_a_place_that_becomes_free_when_patience_ends_is_given_or_free_and_never_lost(
    clock: ManualClock,
) -> None:
    bulkhead = Bulkhead("model:x", places=1, clock=clock)
    await bulkhead.enter(None)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_crowded(bulkhead))
        for _ in range(5):
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=1))
        bulkhead.leave()
    if not waiting.result():
        bulkhead.leave()

    await asyncio.wait_for(bulkhead.enter(None), 1)

    assert bulkhead.users == 1


async def test_a_policy_forgets_idle_keys_and_none_that_is_in_use(clock: ManualClock) -> None:
    policy = Policy(circuits=Circuits(clock=clock), clock=clock, places=1)
    answer = asyncio.Event()
    called = []

    async def work() -> None:
        called.append(1)
        await answer.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(policy.call("tenant:first", work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in range(CAP + 10):
            await policy.call(f"tenant:{number}", _at_once)
        group.create_task(policy.call("tenant:first", work))
        for _ in range(5):
            await asyncio.sleep(0)
        meanwhile = len(called)
        answer.set()

    assert (meanwhile, len(called)) == (1, 2), "the one place of that key is still known to be taken"


async def _at_once() -> None:
    pass


async def _crowded(bulkhead: Bulkhead, patience: timedelta = timedelta(seconds=1)) -> bool:
    try:
        await bulkhead.enter(patience)
    except Crowded:
        return True
    return False


async def test_who_has_no_patience_gets_a_free_place_or_none(clock: ManualClock) -> None:
    bulkhead = Bulkhead("model:x", places=1, clock=clock)
    await bulkhead.enter(timedelta())

    async with asyncio.TaskGroup() as group:
        entering = group.create_task(_crowded(bulkhead, timedelta()))
        for _ in range(5):
            await asyncio.sleep(0)
        clock.advance(timedelta())

    assert entering.result()
