"""Wake-ups: each to one worker of the lanes that it is for, and none lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import Stream
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Delivery
from tests.contract.broker.house import (
    ALL,
    LATER,
    NOTHING,
    SOON,
    WAIT,
    House,
    collected,
    fetched,
    wake_up,
)


class WakeUpClauses:
    async def test_of_four_workers_that_race_one_gets_each_wake_up_and_none_is_lost(self, house: House) -> None:
        workers = [await house.open() for _ in range(4)]
        messages = {lane: [wake_up(f"{lane} {n}") for n in range(50)] for lane in Lane}
        seen: Counter[bytes] = Counter()

        async def work(worker: Any) -> None:
            idle = 0
            while seen.total() < 200 and idle < 20:
                some = await worker.fetch(ALL, limit=7, wait=WAIT)
                seen.update(each.data for each in some)
                await worker.confirm(some)
                idle = 0 if some else idle + 1

        async def wake(lane: Lane) -> None:
            for start in range(0, 50, 10):
                await workers[0].wake(lane, messages[lane][start : start + 10])

        await house.done(asyncio.gather(*map(work, workers), *map(wake, Lane)))

        assert seen == Counter(each.data for some in messages.values() for each in some)

    async def test_what_was_woken_before_the_first_fetch_arrives(self, house: House) -> None:
        await (await house.open()).wake(Lane.HIGH, [wake_up(1)])
        worker = await house.open()

        found = await fetched(house, worker)

        assert [(each.stream, each.data, each.is_repeated) for each in found] == [
            (Stream.AGENT_TASKS, wake_up(1).data, False)
        ]

    async def test_a_wake_up_that_is_not_confirmed_comes_again_to_another_worker(self, house: House) -> None:
        limits = Limits(redeliver_after=SOON)
        one, other = await house.open(limits), await house.open(limits)
        await one.wake(Lane.NORMAL, [wake_up(n) for n in range(5)])
        first = await collected(one, partial(fetched, house, one), count=5, confirms=False)

        await house.wait(LATER)
        again = await collected(other, partial(fetched, house, other), count=5)

        assert {each.data for each in first} == {each.data for each in again} == {wake_up(n).data for n in range(5)}
        assert all(each.is_repeated for each in again)

    async def test_a_confirmed_wake_up_never_comes_again(self, house: House) -> None:
        worker = await house.open(Limits(redeliver_after=SOON))
        await worker.wake(Lane.NORMAL, [wake_up(n) for n in range(5)])
        found = await collected(worker, partial(fetched, house, worker), count=5, confirms=False)

        await worker.confirm(found)
        await worker.confirm(found)
        await house.wait(LATER)

        assert await fetched(house, worker) == await fetched(house, worker) == ()

    async def test_the_same_wake_up_five_times_does_no_harm(self, house: House) -> None:
        worker = await house.open()
        await asyncio.gather(*(worker.wake(Lane.NORMAL, [wake_up(1)]) for _ in range(5)))

        found = await fetched(house, worker)
        await worker.confirm(found)
        while more := await fetched(house, worker):
            await worker.confirm(more)

        assert {each.data for each in found} == {wake_up(1).data}
        await worker.wake(Lane.NORMAL, [wake_up(2)])
        assert [each.data for each in await fetched(house, worker)] == [wake_up(2).data]

    async def test_no_more_come_than_were_asked_for(self, house: House) -> None:
        worker = await house.open()
        await worker.wake(Lane.NORMAL, [wake_up(n) for n in range(10)])

        some = await fetched(house, worker, limit=3)
        rest = await collected(worker, partial(fetched, house, worker, limit=3), count=10 - len(some))

        assert 1 <= len(some) <= 3
        assert {each.data for each in (*some, *rest)} == {wake_up(n).data for n in range(10)}

    async def test_a_worker_gets_the_lanes_that_it_serves_and_no_other(self, house: House) -> None:
        urgent = await house.open()
        for lane in Lane:
            await urgent.wake(lane, [wake_up(f"{lane} {n}") for n in range(10)])

        once = partial(fetched, house, urgent, lanes=[Lane.HIGH, Lane.CRITICAL], limit=4)
        found = await collected(urgent, once, count=20)

        expected = {wake_up(f"{lane} {n}").data for lane in (Lane.CRITICAL, Lane.HIGH) for n in range(10)}
        assert {each.data for each in found} == expected
        assert await once() == ()

    async def test_a_worker_of_the_other_lanes_gets_what_the_first_does_not_serve(self, house: House) -> None:
        urgent, patient = await house.open(), await house.open()
        await fetched(house, urgent, lanes=[Lane.CRITICAL], wait=NOTHING)
        for lane in (Lane.CRITICAL, Lane.BULK):
            await urgent.wake(lane, [wake_up(f"{lane} {n}") for n in range(10)])

        first = partial(fetched, house, urgent, lanes=[Lane.CRITICAL])
        second = partial(fetched, house, patient, lanes=[Lane.NORMAL, Lane.BULK])
        found = [await collected(urgent, first, count=10), await collected(patient, second, count=10)]

        assert [{each.data for each in some} for some in found] == [
            {wake_up(f"{lane} {n}").data for n in range(10)} for lane in (Lane.CRITICAL, Lane.BULK)
        ]

    async def test_a_fetch_of_nothing_is_back_in_time(self, house: House) -> None:
        worker = await house.open()
        await fetched(house, worker)
        began = house.monotonic()

        found = await fetched(house, worker, wait=WAIT)
        at_once = await fetched(house, worker, wait=NOTHING)

        assert found == at_once == ()
        assert house.monotonic() - began < 1.0

    async def test_a_wake_up_ends_the_wait(self, house: House) -> None:
        worker, producer = await house.open(), await house.open()
        await fetched(house, worker, wait=NOTHING)
        began = house.monotonic()

        async def wake() -> None:
            await house.wait(SOON)
            await producer.wake(Lane.NORMAL, [wake_up(1)])

        async def fetch() -> Sequence[Delivery]:
            while not (found := await worker.fetch(ALL, limit=8, wait=timedelta(seconds=2))):
                assert house.monotonic() - began < 1.5
            return found

        found, _ = await house.done(asyncio.gather(fetch(), wake()))

        assert [each.data for each in found] == [wake_up(1).data]
        assert house.monotonic() - began < 1.5

    async def test_a_fetch_that_is_cancelled_takes_nothing_with_it(self, house: House) -> None:
        worker = await house.open(Limits(redeliver_after=SOON))
        await fetched(house, worker, wait=NOTHING)

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await worker.fetch(ALL, limit=8, wait=timedelta(seconds=2))

        await give_up()
        await worker.wake(Lane.NORMAL, [wake_up(1)])
        await house.wait(LATER)

        found = await collected(worker, partial(fetched, house, worker), count=1)
        assert {each.data for each in found} == {wake_up(1).data}

    async def test_nothing_is_nothing_to_wake_and_nothing_to_confirm(self, house: House) -> None:
        worker = await house.open()

        await worker.wake(Lane.NORMAL, [])
        await worker.confirm([])

        assert await fetched(house, worker) == ()
