"""Events: every group gets all of them, its consumers share, and each content is there once."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import Stream, encoded
from tests.contract.broker.house import (
    LATER,
    NOTHING,
    SOON,
    WAIT,
    House,
    collected,
    received,
)


class EventClauses:
    async def test_every_group_gets_every_event_however_many_publish_at_once(self, house: House) -> None:
        one, other = await house.open(), await house.open()
        for broker, group in ((one, "api"), (other, "siem")):
            await received(house, broker, group, wait=NOTHING)

        await asyncio.gather(*((one, other)[n % 2].publish(Stream.ALERTS, encoded({"n": n})) for n in range(60)))
        api = await collected(one, partial(received, house, one, "api"), count=60)
        siem = await collected(other, partial(received, house, other, "siem"), count=60)

        expected = Counter(encoded({"n": n}).data for n in range(60))
        assert Counter(each.data for each in api) == Counter(each.data for each in siem) == expected
        assert not any(each.is_repeated for each in (*api, *siem))

    async def test_the_consumers_of_a_group_share_its_events(self, house: House) -> None:
        consumers = {f"c{n}": await house.open() for n in range(3)}
        await received(house, consumers["c0"], "api", consumer="c0", wait=NOTHING)
        await asyncio.gather(*(consumers["c0"].publish(Stream.ALERTS, encoded({"n": n})) for n in range(60)))
        seen: Counter[bytes] = Counter()

        async def consume(name: str) -> None:
            idle = 0
            while seen.total() < 60 and idle < 20:
                some = await consumers[name].receive(Stream.ALERTS, group="api", consumer=name, limit=5, wait=WAIT)
                seen.update(each.data for each in some)
                await consumers[name].confirm(some)
                idle = 0 if some else idle + 1

        await house.done(asyncio.gather(*map(consume, consumers)))

        assert seen == Counter(encoded({"n": n}).data for n in range(60))

    async def test_a_group_begins_with_what_comes_after_its_first_call(self, house: House) -> None:
        broker = await house.open()
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        before = await received(house, broker, "late", wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 2}))
        after = await received(house, broker, "late")

        assert before == ()
        assert [(each.stream, each.data) for each in after] == [(Stream.ALERTS, b'{"n":2}')]

    async def test_an_event_that_is_not_confirmed_comes_again_to_another_consumer_of_its_group(
        self, house: House
    ) -> None:
        broker = await house.open(Limits(redeliver_after=SOON))
        for group in ("api", "siem"):
            await received(house, broker, group, wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))
        await broker.confirm(await received(house, broker, "siem"))
        await received(house, broker, "api", consumer="crashed")

        await house.wait(LATER)
        again = await received(house, broker, "api", consumer="another")
        await broker.confirm(again)
        await house.wait(LATER)

        assert [(each.data, each.is_repeated) for each in again] == [(b'{"n":1}', True)]
        assert await received(house, broker, "api") == await received(house, broker, "siem") == ()

    async def test_of_twenty_that_publish_one_content_at_once_one_adds_it(self, house: House) -> None:
        brokers = [await house.open() for _ in range(4)]
        await received(house, brokers[0], "api", wait=NOTHING)

        told = await asyncio.gather(*(brokers[n % 4].publish(Stream.ALERTS, encoded({"n": n % 4})) for n in range(80)))

        found = await collected(brokers[0], partial(received, house, brokers[0], "api"), count=4)
        assert sum(told) == 4
        assert sorted(each.data for each in found) == [encoded({"n": n}).data for n in range(4)]
        assert await received(house, brokers[0], "api") == ()

    async def test_streams_do_not_mix(self, house: House) -> None:
        broker = await house.open()
        for stream in (Stream.ALERTS, Stream.AUDIT, Stream.AGENT_RESULTS, Stream.DEAD_LETTER):
            await received(house, broker, "api", stream=stream, wait=NOTHING)

        told = [await broker.publish(stream, encoded({"n": 1})) for stream in (Stream.AUDIT, Stream.DEAD_LETTER)]

        found = {
            stream: [each.data for each in await received(house, broker, "api", stream=stream)]
            for stream in (Stream.ALERTS, Stream.AUDIT, Stream.AGENT_RESULTS, Stream.DEAD_LETTER)
        }
        assert told == [True, True], "the same content on another stream is another message"
        assert found == {
            Stream.ALERTS: [],
            Stream.AUDIT: [b'{"n":1}'],
            Stream.AGENT_RESULTS: [],
            Stream.DEAD_LETTER: [b'{"n":1}'],
        }
