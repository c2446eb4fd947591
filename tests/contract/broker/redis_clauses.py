"""What only a server with Redis streams can do wrong: held to on Valkey and on Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.redis import WORKERS, open_redis
from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import BrokerUnavailable
from aurora.kernel.models.task import Lane
from tests.contract.broker.house import ALL, LATER, NOTHING, SOON, collected, fetched, received, wake_up
from tests.contract.broker.redis_house import RedisHouse
from tests.redis_server import RedisServer

TASKS, ALERTS = Stream.AGENT_TASKS.value, Stream.ALERTS.value


class RedisClauses:
    """Subclass it and provide `house` (a `RedisHouse`), `server` and `client`."""

    clauses: ClassVar[int] = 10

    async def test_a_server_that_hangs_is_given_up_in_time_and_used_again(
        self, house: RedisHouse, server: RedisServer
    ) -> None:
        async with open_redis(house.url, clock=SystemClock(), within=timedelta(milliseconds=300)) as broker:
            await fetched(house, broker, wait=NOTHING)
            server.freeze()
            began = house.monotonic()
            try:
                for call in (
                    lambda: broker.publish(Stream.ALERTS, encoded({"n": 1})),
                    lambda: broker.fetch(ALL, limit=8, wait=SOON),
                    broker.health,
                ):
                    with pytest.raises(BrokerUnavailable):
                        await call()
            finally:
                server.thaw()
            took_s = house.monotonic() - began
            await broker.wake(Lane.NORMAL, [wake_up(1)])

            found = await collected(broker, lambda: fetched(house, broker), count=1)

        assert took_s < 3.0
        assert wake_up(1).data in {each.data for each in found}

    async def test_a_wake_up_without_a_lane_reaches_workers_of_any(self, house: RedisHouse) -> None:
        broker = await house.open()
        await broker.publish(Stream.AGENT_TASKS, encoded({"task": 1}))

        found = [await fetched(house, broker, lanes=lanes) for lanes in (ALL, [Lane.BULK])]

        assert [[each.data for each in some] for some in found] == [[b'{"task":1}']] * 2

    async def test_what_is_not_ours_is_counted(self, house: RedisHouse) -> None:
        broker = await house.open()
        await house.forge(Stream.AGENT_TASKS, b"")

        found = await fetched(house, broker)

        assert found == ()
        assert broker.rejected == 3, "an unknown lane, no data, empty data"

    async def test_wake_ups_that_nobody_fetches_are_bounded_though_nobody_trims(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(Limits(max_entries=200))

        for start in range(0, 2000, 100):
            await broker.wake(Lane.NORMAL, [wake_up(n) for n in range(start, start + 100)])

        assert await client.xlen(TASKS) < 400

    async def test_a_wake_up_that_is_too_old_goes_though_nobody_confirmed_it(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(Limits(wake_ups_for=SOON, redeliver_after=SOON))
        await broker.wake(Lane.NORMAL, [wake_up(1)])
        await fetched(house, broker)
        await house.wait(LATER)

        dropped = await broker.trim()

        assert list(dropped) == []
        assert await client.xlen(TASKS) == 0
        assert await fetched(house, broker) == ()
        assert (await client.xpending(TASKS, WORKERS))["pending"] == 0, "what is gone must not be pending for ever"

    async def test_one_event_that_is_never_confirmed_does_not_hold_the_stream_for_ever(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(Limits(max_entries=50))
        await received(house, broker, "api", wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"poison": 1}))
        await received(house, broker, "api")
        for n in range(80):
            await broker.publish(Stream.ALERTS, encoded({"n": n}))
        await collected(broker, lambda: received(house, broker, "api"), count=80)

        dropped = await broker.trim()

        assert [(each.group, each.pending) for each in dropped] == [("api", 1)]
        assert await client.xlen(ALERTS) <= 50

    async def test_consumers_that_are_gone_are_forgotten_and_what_they_held_is_not(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(Limits(wake_ups_for=SOON))
        await received(house, broker, "api", consumer="gone", wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))
        await received(house, broker, "api", consumer="holds")
        await house.wait(LATER)
        await received(house, broker, "api", consumer="fresh", wait=NOTHING)

        await broker.trim()

        names = {each["name"] for each in await client.xinfo_consumers(ALERTS, "api")}
        assert b"gone" not in names
        assert b"holds" in names

    async def test_a_group_that_others_made_and_nobody_read_yet_is_waited_for(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(Limits(retention=timedelta(milliseconds=300)))
        await client.xgroup_create(ALERTS, "theirs", id="0", mkstream=True)
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        first = await broker.trim()
        kept = await client.xlen(ALERTS)
        await house.wait(timedelta(milliseconds=400))
        second = await broker.trim()

        assert list(first) == []
        assert kept == 1
        assert [each.group for each in second] == ["theirs"]

    async def test_a_group_that_was_given_up_begins_with_what_is_still_there(self, house: RedisHouse) -> None:
        broker = await house.open(Limits(retention=SOON))
        await received(house, broker, "api", wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 0}))
        await house.wait(LATER)
        assert [each.group for each in await broker.trim()] == ["api"]
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        found = await received(house, broker, "api")

        assert [each.data for each in found] == [b'{"n":1}']

    async def test_the_name_of_a_group_is_shown_as_text_that_a_terminal_does_not_obey(
        self, house: RedisHouse, client: Any
    ) -> None:
        broker = await house.open(LIMITS)
        await client.xgroup_create(ALERTS, b"\x1b[31m\xff", id="0", mkstream=True)

        health = await broker.health()

        assert health.server.split(" ")[0] in {"redis", "valkey"}
        assert not any("\x1b" in name for name in health.pending)
