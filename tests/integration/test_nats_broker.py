"""A NATS server that dies, freezes, forgets and falls silent: the broker says so in time, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.brokers.nats import NatsBroker, open_nats
from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import BrokerUnavailable
from aurora.kernel.models.task import Lane
from aurora.testing import ManualClock
from tests.contract.broker.house import ALL, RealTime, collected, until, wake_up
from tests.contract.broker.test_nats import api
from tests.services import NatsServer

pytestmark = pytest.mark.integration

NOTHING = timedelta()
WAIT = timedelta(milliseconds=100)
SHORT = timedelta(milliseconds=300)
"""For one call; long enough for a machine that others keep busy."""


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[NatsBroker]:
    async with open_nats(nats_server.url, clock=SystemClock()) as broker:
        yield broker


@pytest.fixture
async def hasty(nats_server: NatsServer) -> AsyncIterator[NatsBroker]:
    """A broker that gives up early."""
    async with open_nats(nats_server.url, clock=SystemClock(), within=SHORT) as broker:
        yield broker


async def make_deaf(broker: NatsBroker) -> None:
    """Take the subscriptions away on the server's side alone: the client goes on to believe in them."""
    client: Any = (await broker._link.connection())._client
    client._transport.write(b"".join(b"UNSUB %d\r\n" % number for number in client._subs))
    await client.flush()


async def test_a_server_that_is_killed_keeps_what_it_was_told(broker: NatsBroker, nats_server: NatsServer) -> None:
    receive = partial(broker.receive, Stream.ALERTS, group="api", consumer="one", limit=64, wait=WAIT)
    await broker.receive(Stream.ALERTS, group="api", consumer="one", limit=1, wait=NOTHING)
    await broker.wake(Lane.HIGH, [wake_up(n) for n in range(20)])
    for number in range(20):
        await broker.publish(Stream.ALERTS, encoded({"n": number}))
    confirmed = await receive()
    await broker.confirm(confirmed[:5])

    nats_server.kill()
    nats_server.start()

    woken = await collected(broker, partial(broker.fetch, ALL, limit=64, wait=WAIT), count=20)
    pending = (await broker.health()).pending
    assert {each.data for each in woken} == {wake_up(n).data for n in range(20)}
    assert 15 <= pending["aurora:alerts/api"] <= 20, "the last confirmations may be lost: at least once"
    assert await broker.publish(Stream.ALERTS, encoded({"n": 1})) is False, "the ids outlive the server"


async def test_a_worker_that_waits_while_the_server_restarts_is_told_at_once_and_goes_on(
    broker: NatsBroker, nats_server: NatsServer
) -> None:
    loop = asyncio.get_running_loop()
    await broker.fetch(ALL, limit=8, wait=NOTHING)

    async def restart() -> float:
        await asyncio.sleep(0.05)
        nats_server.kill()
        return loop.time()

    async def fetch() -> float:
        with pytest.raises(BrokerUnavailable):
            await broker.fetch(ALL, limit=8, wait=timedelta(seconds=10))
        return loop.time()

    told, killed = await asyncio.gather(fetch(), restart())
    nats_server.start()
    await broker.wake(Lane.BULK, [wake_up(1)])

    assert told - killed < 1
    assert [each.data for each in await broker.fetch(ALL, limit=8, wait=WAIT)] == [wake_up(1).data]


async def test_a_server_that_forgot_everything_serves_groups_that_were_there_before(
    broker: NatsBroker, nats_server: NatsServer
) -> None:
    receive = partial(broker.receive, Stream.ALERTS, group="api", consumer="one", limit=64)
    await receive(wait=NOTHING)
    await broker.publish(Stream.ALERTS, encoded({"n": 1}))

    nats_server.wipe()
    nats_server.start()
    for number in range(3):
        assert await broker.publish(Stream.ALERTS, encoded({"n": number})) is True

    assert [each.data for each in await receive(wait=WAIT)] == [encoded({"n": n}).data for n in range(3)]


async def test_a_frozen_server_is_given_up_in_time_and_found_again(hasty: NatsBroker, nats_server: NatsServer) -> None:
    loop = asyncio.get_running_loop()
    await hasty.fetch(ALL, limit=8, wait=NOTHING)
    nats_server.freeze()
    try:
        for call in (
            partial(hasty.publish, Stream.ALERTS, encoded({"n": 1})),
            partial(hasty.fetch, ALL, limit=8, wait=NOTHING),
            hasty.health,
        ):
            began = loop.time()
            with pytest.raises(BrokerUnavailable):
                await call()
            assert loop.time() - began < 2
    finally:
        nats_server.thaw()

    publish = partial(hasty.publish, Stream.ALERTS, encoded({"n": 2}))
    assert await until(RealTime(), publish, accepts=BrokerUnavailable) is True


async def test_a_subscription_that_went_deaf_is_noticed_by_the_next_fetch_and_made_anew(hasty: NatsBroker) -> None:
    await hasty.fetch(ALL, limit=8, wait=NOTHING)
    await make_deaf(hasty)

    with pytest.raises(BrokerUnavailable):
        await hasty.fetch(ALL, limit=8, wait=WAIT)

    await hasty.wake(Lane.NORMAL, [wake_up(1)])
    assert [each.data for each in await hasty.fetch(ALL, limit=8, wait=WAIT)] == [wake_up(1).data]


async def test_a_server_that_says_nothing_is_there_although_something_is_gets_a_new_connection(
    nats_server: NatsServer, clock: ManualClock
) -> None:
    lease = timedelta(seconds=10)
    async with open_nats(nats_server.url, clock=clock, limits=Limits(redeliver_after=lease)) as broker:
        fetch = partial(broker.fetch, [Lane.NORMAL], limit=8, wait=NOTHING)
        await fetch()
        first = await broker._link.connection()
        pause = b'{"pause_until":"2100-01-01T00:00:00Z"}'
        assert b'"paused":true' in await api(nats_server, "CONSUMER.PAUSE.AURORA.aurora-agents-normal", pause)

        clock.advance(3 * lease)
        quiet = await fetch(), await broker._link.connection()
        await broker.wake(Lane.NORMAL, [wake_up(1)])
        clock.advance(2 * lease)
        early = await fetch(), await broker._link.connection()
        clock.advance(timedelta(seconds=1))
        late = await fetch(), await broker._link.connection()

    assert quiet == ((), first), "nothing is there: nothing to mend"
    assert early == ((), first), "not silent for long enough"
    assert late[0] == ()
    assert late[1] is not first


@pytest.mark.parametrize("state", ["killed", "frozen"])
async def test_closing_while_the_server_is_away_takes_no_longer_than_a_call(
    nats_server: NatsServer, state: str
) -> None:
    loop = asyncio.get_running_loop()
    async with open_nats(nats_server.url, clock=SystemClock(), within=SHORT) as broker:
        await broker.wake(Lane.NORMAL, [wake_up(1)])
        nats_server.kill() if state == "killed" else nats_server.freeze()
        began = loop.time()

    took_s = loop.time() - began
    nats_server.thaw() if state == "frozen" else None

    assert took_s < 1
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("call", ["connects", "publishes", "waits"])
async def test_a_cancellation_arrives_wherever_the_call_is(nats_server: NatsServer, call: str) -> None:
    loop = asyncio.get_running_loop()
    async with open_nats(nats_server.url, clock=SystemClock(), within=timedelta(seconds=30)) as broker:
        if call != "connects":
            await broker.fetch(ALL, limit=8, wait=NOTHING)
        if call != "waits":
            nats_server.freeze()
        began = loop.time()

        async def work() -> None:
            if call == "waits":
                await broker.fetch(ALL, limit=8, wait=timedelta(seconds=30))
            await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work())
                await asyncio.sleep(0.1)
                task.cancel()
        finally:
            nats_server.thaw()

        assert task.cancelled()
        assert loop.time() - began < 5
        assert await broker.publish(Stream.ALERTS, encoded({"n": 2})) is True


async def test_nobody_but_the_caller_is_left_when_a_broker_is_closed(nats_server: NatsServer) -> None:
    before = asyncio.all_tasks()
    async with open_nats(nats_server.url, clock=SystemClock()) as broker:
        await broker.fetch(ALL, limit=8, wait=WAIT)
        await broker.receive(Stream.ALERTS, group="api", consumer="one", limit=8, wait=NOTHING)
        during = asyncio.all_tasks() - before

    assert during, "nats-py has tasks of its own while it is connected"
    assert asyncio.all_tasks() == before


async def test_a_fetch_costs_no_subscription_and_leaves_no_request_behind(
    broker: NatsBroker, nats_server: NatsServer
) -> None:
    await broker.fetch(ALL, limit=8, wait=WAIT)
    client: Any = (await broker._link.connection())._client
    before = len(client._subs)

    for _ in range(50):
        await broker.fetch(ALL, limit=8, wait=timedelta(milliseconds=2))

    assert len(client._subs) == before
    waiting = await api(nats_server, "CONSUMER.INFO.AURORA.aurora-agents-bulk")
    assert int(waiting.partition(b'"num_waiting":')[2].partition(b",")[0]) <= 1
