"""Health, hostile content, and servers that fail and forget."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import MAX_BYTES, Stream, encoded
from aurora.kernel.errors import BrokerUnavailable, MessageInvalid
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Delivery
from tests.contract.broker.house import (
    ALL,
    LATER,
    NOTHING,
    SOON,
    House,
    collected,
    fetched,
    needs,
    raw,
    received,
    until,
    wake_up,
)


class FaultClauses:
    async def test_its_health_counts_what_is_kept_and_what_is_not_confirmed(self, house: House) -> None:
        broker = await house.open()
        await received(house, broker, "api", wait=NOTHING)
        for n in range(3):
            await broker.publish(Stream.ALERTS, encoded({"n": n}))
        await collected(broker, partial(received, house, broker, "api"), count=3, confirms=False)

        health = await house.done(broker.health())

        assert health.server
        assert health.entries[Stream.ALERTS] == 3
        assert health.pending[f"{Stream.ALERTS}/api"] == 3

    async def test_what_is_too_large_is_refused_and_nothing_of_it_is_sent(self, house: House) -> None:
        broker = await house.open()
        await received(house, broker, "api", wait=NOTHING)
        large = raw(b'"' + b"x" * MAX_BYTES + b'"')

        with pytest.raises(MessageInvalid, match="65538 bytes"):
            await broker.publish(Stream.ALERTS, large)
        with pytest.raises(MessageInvalid, match="65538 bytes"):
            await broker.wake(Lane.NORMAL, [wake_up(1), large])

        assert await received(house, broker, "api") == ()
        assert await fetched(house, broker) == ()

    @needs("forge")
    async def test_what_strangers_put_on_a_stream_stops_nobody(self, house: House) -> None:
        broker = await house.open(Limits(redeliver_after=SOON))
        await received(house, broker, "api", wait=NOTHING)
        strange = [b"", b"\xff\xfe\0", b"[" * 5000, b'{"wake": ' * 50, b"x" * 100_000]
        for data in strange:
            await house.forge(Stream.AGENT_TASKS, data)
            await house.forge(Stream.ALERTS, data)
        await broker.wake(Lane.NORMAL, [wake_up(1)])
        await broker.publish(Stream.ALERTS, wake_up(1))

        some = partial(collected, broker, count=len(strange) + 1, patience=3)
        woken = await some(partial(fetched, house, broker, limit=2))
        told = await some(partial(received, house, broker, "api", limit=2))
        await house.wait(LATER)

        assert wake_up(1).data in {each.data for each in woken}
        assert wake_up(1).data in {each.data for each in told}
        assert not any((await broker.health()).pending.values()), "what is refused must not wait for ever"
        assert await fetched(house, broker) == await received(house, broker, "api") == ()

    @needs("restart")
    async def test_a_server_that_is_away_is_told_in_time_and_found_again(self, house: House) -> None:
        broker = await house.open()
        await fetched(house, broker, wait=NOTHING)
        await received(house, broker, "api", wait=NOTHING)
        await house.stop()
        began = house.monotonic()

        for call in (
            partial(broker.publish, Stream.ALERTS, encoded({"n": 1})),
            partial(broker.wake, Lane.NORMAL, [wake_up(1)]),
            partial(fetched, house, broker),
            partial(received, house, broker, "api"),
            broker.trim,
            broker.health,
        ):
            with pytest.raises(BrokerUnavailable):
                await call()
        took_s = house.monotonic() - began

        await house.start()
        await until(house, lambda: broker.wake(Lane.NORMAL, [wake_up(2)]), accepts=BrokerUnavailable)
        await until(house, partial(received, house, broker, "api", wait=NOTHING), accepts=BrokerUnavailable)
        await until(house, lambda: broker.publish(Stream.ALERTS, encoded({"n": 2})), accepts=BrokerUnavailable)
        woken = await collected(broker, partial(fetched, house, broker), count=1)
        told = await collected(broker, partial(received, house, broker, "api"), count=1)

        assert took_s < 15.0
        assert wake_up(2).data in {each.data for each in woken}
        assert encoded({"n": 2}).data in {each.data for each in told}

    @needs("wipe")
    async def test_a_server_that_forgot_everything_is_served_again_without_a_word(self, house: House) -> None:
        broker = await house.open()
        await fetched(house, broker, wait=NOTHING)
        await received(house, broker, "api", wait=NOTHING)
        await house.wipe()

        await until(house, lambda: broker.wake(Lane.NORMAL, [wake_up(1)]), accepts=BrokerUnavailable)
        await until(house, lambda: broker.publish(Stream.ALERTS, encoded({"n": 1})), accepts=BrokerUnavailable)
        woken = await collected(broker, partial(fetched, house, broker), count=1)
        told = await collected(broker, partial(received, house, broker, "api"), count=1)

        assert [each.data for each in woken] == [wake_up(1).data]
        assert [each.data for each in told] == [encoded({"n": 1}).data]

    @needs("wipe")
    async def test_a_fetch_that_waits_while_the_server_forgets_everything_goes_on(self, house: House) -> None:
        worker, producer = await house.open(), await house.open()
        await fetched(house, worker, wait=NOTHING)

        async def fetch() -> list[Delivery]:
            return await collected(
                worker,
                lambda: until(
                    house,
                    lambda: worker.fetch(ALL, limit=8, wait=timedelta(milliseconds=400)),
                    accepts=BrokerUnavailable,
                ),
                count=1,
            )

        async def forget() -> None:
            await house.wait(SOON)
            await house.wipe()
            await until(house, lambda: producer.wake(Lane.NORMAL, [wake_up(1)]), accepts=BrokerUnavailable)

        found, _ = await house.done(asyncio.gather(fetch(), forget()))

        assert [each.data for each in found] == [wake_up(1).data]
