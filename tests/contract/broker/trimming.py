"""Trimming: memory stays bounded, and no live group misses anything."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.models.task import Lane
from tests.contract.broker.house import (
    LATER,
    NOTHING,
    SOON,
    WAIT,
    House,
    collected,
    fetched,
    received,
    wake_up,
)


class TrimmingClauses:
    async def test_trimming_removes_nothing_that_a_live_group_has_not_confirmed(self, house: House) -> None:
        broker = await house.open()
        for group in ("fast", "slow"):
            await received(house, broker, group, wait=NOTHING)
        for n in range(150):
            await broker.publish(Stream.ALERTS, encoded({"n": n}))
        await collected(broker, partial(received, house, broker, "fast"), count=150)
        held = await received(house, broker, "slow", limit=20)
        await broker.confirm(held[10:])

        dropped = tuple(await house.done(broker.trim()))

        rest = await collected(broker, partial(received, house, broker, "slow"), count=150 - len(held))
        assert dropped == ()
        assert {each.data for each in (*held, *rest)} == {encoded({"n": n}).data for n in range(150)}

    async def test_trimming_leaves_what_is_pending_to_come_again(self, house: House) -> None:
        broker = await house.open(Limits(redeliver_after=SOON))
        await received(house, broker, "slow", wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))
        await received(house, broker, "slow")

        await house.done(broker.trim())
        await house.wait(LATER)

        again = await collected(broker, partial(received, house, broker, "slow"), count=1)
        assert {each.data for each in again} == {b'{"n":1}'}

    async def test_a_stream_whose_groups_have_confirmed_everything_takes_little_memory(self, house: House) -> None:
        broker = await house.open()
        await received(house, broker, "api", wait=NOTHING)
        for start in range(0, 600, 100):
            messages = [wake_up(n) for n in range(start, start + 100)]
            await broker.wake(Lane.NORMAL, messages)
            await asyncio.gather(*(broker.publish(Stream.ALERTS, each) for each in messages))
            await collected(broker, partial(fetched, house, broker), count=100)
            await collected(broker, partial(received, house, broker, "api"), count=100)

        await house.done(broker.trim())

        entries = (await broker.health()).entries
        assert entries.get(Stream.ALERTS, 0) <= 100
        assert entries.get(Stream.AGENT_TASKS, 0) <= 100

    async def test_trimming_while_others_publish_and_receive_loses_nothing(self, house: House) -> None:
        publisher, consumer, trimmer = [await house.open() for _ in range(3)]
        await received(house, consumer, "api", wait=NOTHING)
        seen: set[bytes] = set()

        async def publish() -> None:
            for n in range(200):
                await publisher.publish(Stream.ALERTS, encoded({"n": n}))

        async def consume() -> None:
            seen.update(
                each.data
                for each in await collected(
                    consumer,
                    lambda: consumer.receive(Stream.ALERTS, group="api", consumer="one", limit=9, wait=WAIT),
                    count=200,
                )
            )

        async def trim() -> None:
            while len(seen) < 200:
                assert not await trimmer.trim()
                await house.wait(timedelta(milliseconds=5))

        await house.done(asyncio.gather(publish(), consume(), trim()))

        assert seen == {encoded({"n": n}).data for n in range(200)}

    async def test_a_group_that_is_silent_for_the_retention_is_dropped_and_told(self, house: House) -> None:
        broker = await house.open(Limits(retention=timedelta(milliseconds=300)))
        for group in ("dead", "live"):
            await received(house, broker, group, wait=NOTHING)
        for n in range(3):
            await broker.publish(Stream.ALERTS, encoded({"n": n}))
        await collected(broker, partial(received, house, broker, "dead"), count=3, confirms=False)
        for _ in range(4):
            await house.wait(timedelta(milliseconds=100))
            await received(house, broker, "live", wait=NOTHING, limit=1)

        told = tuple(await house.done(broker.trim()))
        again = tuple(await house.done(broker.trim()))

        assert [(each.stream, each.group, each.pending) for each in told] == [(Stream.ALERTS, "dead", 3)]
        assert again == ()
        assert set((await broker.health()).pending) == {f"{Stream.ALERTS}/live"}

    async def test_a_group_that_nothing_waits_for_is_kept_however_long_it_is_silent(self, house: House) -> None:
        broker = await house.open(Limits(retention=SOON))
        await received(house, broker, "api", wait=NOTHING)
        await house.wait(LATER)

        told = tuple(await house.done(broker.trim()))

        assert told == ()
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))
        assert [each.data for each in await received(house, broker, "api")] == [b'{"n":1}']

    async def test_a_group_that_is_too_far_behind_is_dropped_and_told(self, house: House) -> None:
        broker = await house.open(Limits(max_entries=50))
        for group in ("behind", "live"):
            await received(house, broker, group, wait=NOTHING)
        for start in range(0, 80, 40):
            for n in range(start, start + 40):
                await broker.publish(Stream.ALERTS, encoded({"n": n}))
            await collected(broker, partial(received, house, broker, "live"), count=40)

        told = tuple(await house.done(broker.trim()))

        assert [(each.stream, each.group) for each in told] == [(Stream.ALERTS, "behind")]
        await broker.publish(Stream.ALERTS, encoded({"n": "more"}))
        assert [each.data for each in await received(house, broker, "live")] == [b'{"n":"more"}']

    async def test_a_stream_that_nobody_listens_to_is_bounded(self, house: House) -> None:
        broker = await house.open(Limits(max_entries=100))
        for start in range(0, 600, 100):
            await asyncio.gather(*(broker.publish(Stream.AUDIT, encoded({"n": start + n})) for n in range(100)))

        told = tuple(await house.done(broker.trim()))

        assert told == ()
        assert (await broker.health()).entries.get(Stream.AUDIT, 0) <= 200
