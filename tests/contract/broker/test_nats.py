"""The broker on a real NATS server, and what only JetStream can do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.nats import NatsBroker, open_nats
from aurora.dispatch.brokers.nats_streams import subject
from aurora.dispatch.messages import MAX_BYTES, Stream, encoded
from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import BrokerError, BrokerUnavailable
from aurora.kernel.models.task import Lane
from aurora.testing import ManualClock
from tests.contract.broker.clauses import BrokerContract
from tests.contract.broker.house import ALL, House, RealTime, collected, wake_up
from tests.services import NatsServer, running_nats

pytestmark = pytest.mark.integration

WAIT = timedelta(milliseconds=100)
NOTHING = timedelta()


class NatsHouse(RealTime):
    """Brokers on one server, each with a connection of its own."""

    def __init__(self, server: NatsServer, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack

    async def open(self, limits: Limits = LIMITS) -> NatsBroker:
        return await self._stack.enter_async_context(open_nats(self._server.url, clock=SystemClock(), limits=limits))

    async def forge(self, stream: Stream, data: bytes) -> None:
        # The stream takes nothing that is larger, whoever sends it; a test of its own shows that.
        await said(self._server, subject(stream), data[:MAX_BYTES])

    async def stop(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        self._server.start()

    async def wipe(self) -> None:
        self._server.wipe()
        self._server.start()


async def said(server: NatsServer, command: str, data: bytes, *, header: bytes = b"") -> bytes:
    """Publish as a stranger with no manners would, with any bytes as a header; return what JetStream answers."""
    where = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    verb, sizes = ("HPUB", f"{len(header)} {len(header) + len(data)}") if header else ("PUB", f"{len(data)}")
    writer.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB answer 1\r\n')
    writer.write(f"{verb} {command} answer {sizes}\r\n".encode() + header + data + b"\r\n")
    await reader.readuntil(b"MSG answer 1 ")
    answer = await reader.readuntil(b"}\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def api(server: NatsServer, verb: str, content: bytes = b"{}") -> bytes:
    """Ask JetStream for something, as an administrator would."""
    return await said(server, f"$JS.API.{verb}", content)


@pytest.fixture
async def house(nats_server: NatsServer) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield NatsHouse(nats_server, stack)


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[NatsBroker]:
    async with open_nats(nats_server.url, clock=SystemClock()) as broker:
        yield broker


class TestNatsBroker(BrokerContract):
    capabilities = frozenset({"restart", "wipe", "forge"})


def test_every_clause_is_held_to() -> None:
    assert TestNatsBroker.held_to() == 32


class TestStrangers:
    @pytest.mark.parametrize(
        "header",
        [
            b"NATS/1.0 \xff\xff\xff\r\n\r\n",
            b"NATS/1.0 404 \xff\xfe\r\n\r\n",
            b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0\r\nStatus: 404\r\nDescription: No Messages\r\n\r\n",
            b"NATS/1.0\r\nStatus: 409\r\nDescription: Consumer Deleted\r\n\r\n",
            b"NATS/1.0\r\n\xff\xfe: a\r\nA: \xff\r\n\r\n",
            b"NATS/1.0",
            b"anything",
        ],
    )
    @pytest.mark.parametrize("data", [b"x", b""], ids=["with data", "empty"])
    async def test_a_header_that_calls_itself_a_status_or_is_none_makes_nobody_deaf(
        self, broker: NatsBroker, nats_server: NatsServer, header: bytes, data: bytes
    ) -> None:
        await broker.fetch(ALL, limit=8, wait=NOTHING)

        await said(nats_server, "AURORA.agent_tasks.normal", data, header=header)
        await broker.wake(Lane.NORMAL, [wake_up(1)])
        found = await collected(broker, partial(broker.fetch, ALL, limit=8, wait=WAIT), count=2)

        assert [each.data for each in found] == [data, wake_up(1).data]

    async def test_the_stream_takes_no_message_that_is_larger_than_ours_may_be(
        self, broker: NatsBroker, nats_server: NatsServer
    ) -> None:
        await broker.receive(Stream.ALERTS, group="api", consumer="one", limit=8, wait=NOTHING)

        answer = await said(nats_server, "AURORA.alerts", b"x" * (MAX_BYTES + 4097))

        assert b"message size exceeds maximum allowed" in answer
        assert await broker.receive(Stream.ALERTS, group="api", consumer="one", limit=8, wait=NOTHING) == ()

    @pytest.mark.parametrize("group", ["a.b", "a b", "*", ">", "a/b\\c", "é\n", "x" * 80], ids=repr)
    async def test_a_group_may_have_any_name(self, broker: NatsBroker, group: str) -> None:
        receive = partial(broker.receive, Stream.ALERTS, group=group, consumer="one", limit=8, wait=WAIT)
        await broker.receive(Stream.ALERTS, group=group, consumer="one", limit=8, wait=NOTHING)
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        found = await receive()
        told = await broker.health()

        assert [each.data for each in found] == [b'{"n":1}']
        assert told.pending == {f"aurora:alerts/{group}": 1}

    @pytest.mark.parametrize("pattern", ["AURORA.>", "AURORA.*", ""])
    async def test_what_a_consumer_of_somebody_else_has_not_confirmed_is_not_trimmed(
        self, broker: NatsBroker, nats_server: NatsServer, pattern: str
    ) -> None:
        receive = partial(broker.receive, Stream.ALERTS, group="api", consumer="one", limit=8)
        await receive(wait=NOTHING)
        config = f'"durable_name":"site","ack_policy":"explicit","filter_subject":"{pattern}"'
        told = await api(
            nats_server,
            "CONSUMER.DURABLE.CREATE.AURORA.site",
            f'{{"stream_name":"AURORA","config":{{{config}}}}}'.encode(),
        )
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))
        await broker.confirm(await receive(wait=WAIT))

        dropped = await broker.trim()

        assert b'"name":"site"' in told
        assert dropped == ()
        assert (await broker.health()).entries == {Stream.ALERTS: 1}


class TestSetUp:
    async def test_a_consumer_that_somebody_removed_is_made_again(
        self, broker: NatsBroker, nats_server: NatsServer
    ) -> None:
        await broker.fetch(ALL, limit=8, wait=NOTHING)
        for lane in Lane:
            assert b'"success":true' in await api(nats_server, f"CONSUMER.DELETE.AURORA.aurora-agents-{lane}")

        await broker.wake(Lane.BULK, [wake_up(1)])

        assert [each.data for each in await broker.fetch(ALL, limit=8, wait=WAIT)] == [wake_up(1).data]

    async def test_a_consumer_that_is_removed_while_somebody_waits_is_made_again(
        self, broker: NatsBroker, nats_server: NatsServer
    ) -> None:
        await broker.fetch([Lane.BULK], limit=8, wait=NOTHING)

        async def remove() -> None:
            await asyncio.sleep(0.05)
            await api(nats_server, "CONSUMER.DELETE.AURORA.aurora-agents-bulk")
            await broker.wake(Lane.BULK, [wake_up(1)])

        found, _ = await asyncio.gather(broker.fetch([Lane.BULK], limit=8, wait=timedelta(seconds=2)), remove())

        assert [each.data for each in found] == [wake_up(1).data]

    async def test_a_stream_that_somebody_removed_is_made_again(
        self, broker: NatsBroker, nats_server: NatsServer
    ) -> None:
        receive = partial(broker.receive, Stream.ALERTS, group="api", consumer="one", limit=8)
        await receive(wait=NOTHING)
        assert b'"success":true' in await api(nats_server, "STREAM.DELETE.AURORA")

        new = await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        assert new is True
        assert [each.data for each in await receive(wait=WAIT)] == [b'{"n":1}']

    @pytest.mark.parametrize(
        ("config", "fault"),
        [
            (b'{"name":"AURORA","subjects":["AURORA.>"],"max_msgs":100000}', "max_msgs=100000"),
            (b'{"name":"AURORA","subjects":["AURORA.alerts"]}', "no subject AURORA.audit"),
            (b'{"name":"AURORA","subjects":["AURORA.>"],"retention":"workqueue"}', "retention=workqueue"),
            (b'{"name":"OTHER","subjects":["AURORA.>"]}', "subjects overlap with an existing stream"),
        ],
    )
    async def test_a_stream_that_could_lose_messages_is_refused_and_left_alone(
        self, broker: NatsBroker, nats_server: NatsServer, config: bytes, fault: str
    ) -> None:
        name = "OTHER" if b"OTHER" in config else "AURORA"
        made = await api(nats_server, f"STREAM.CREATE.{name}", config)

        with pytest.raises(BrokerError, match=fault) as refused:
            await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        assert b'"created"' in made
        assert not refused.value.retryable

    async def test_wake_ups_that_nobody_fetched_for_an_hour_go_and_younger_ones_stay(
        self, nats_server: NatsServer, clock: ManualClock
    ) -> None:
        async with open_nats(nats_server.url, clock=clock) as broker:
            await broker.fetch(ALL, limit=8, wait=NOTHING)
            await broker.wake(Lane.BULK, [wake_up(n) for n in range(3)])
            await broker.trim()
            clock.advance(timedelta(minutes=59))
            await broker.trim()
            kept = (await broker.health()).entries
            await broker.wake(Lane.BULK, [wake_up("young")])
            clock.advance(timedelta(minutes=2))

            told = await broker.trim()

            assert told == ()
            assert kept == {Stream.AGENT_TASKS: 3}
            assert [each.data for each in await broker.fetch(ALL, limit=8, wait=NOTHING)] == [wake_up("young").data]

    async def test_lanes_without_workers_are_bounded_and_their_group_is_no_dead_one(
        self, nats_server: NatsServer, clock: ManualClock
    ) -> None:
        async with open_nats(nats_server.url, clock=clock, limits=Limits(max_entries=10)) as broker:
            await broker.fetch(ALL, limit=8, wait=NOTHING)
            await broker.wake(Lane.BULK, [wake_up(n) for n in range(30)])
            clock.advance(timedelta(days=8))

            told = await broker.trim()

            assert told == ()
            assert (await broker.health()).entries == {Stream.AGENT_TASKS: 10}

    async def test_a_group_that_asks_in_vain_for_weeks_is_alive_and_one_that_stops_is_not(
        self, nats_server: NatsServer, clock: ManualClock
    ) -> None:
        async with open_nats(nats_server.url, clock=clock) as broker:
            receive = partial(broker.receive, Stream.ALERTS, group="patient", consumer="one", limit=8, wait=NOTHING)
            for _ in range(15):
                await receive()
                clock.advance(timedelta(days=1))
            await broker.publish(Stream.ALERTS, encoded({"n": 1}))

            alive = await broker.trim()
            clock.advance(timedelta(days=7))
            silent = await broker.trim()

            assert alive == ()
            assert [(each.stream, each.group, each.pending) for each in silent] == [(Stream.ALERTS, "patient", 1)]

    async def test_a_server_that_holds_nothing_has_nothing_to_trim(self, broker: NatsBroker) -> None:
        assert await broker.trim() == ()
        health = await broker.health()

        assert health.server.startswith("nats 2.")
        assert health.entries == health.pending == {}

    async def test_of_more_groups_than_a_page_of_the_server_holds_none_is_overlooked(
        self, nats_server: NatsServer, clock: ManualClock
    ) -> None:
        async with open_nats(nats_server.url, clock=clock) as broker:
            for number in range(300):
                await broker.receive(Stream.ALERTS, group=f"g{number}", consumer="one", limit=8, wait=NOTHING)
            await broker.publish(Stream.ALERTS, encoded({"n": 1}))
            clock.advance(timedelta(days=8))

            dropped = await broker.trim()

            assert {each.group for each in dropped} == {f"g{number}" for number in range(300)}


class TestAccess:
    async def test_a_wrong_password_is_a_fault_that_no_retry_mends_and_is_not_shown(self) -> None:
        with running_nats(options='authorization { user: aurora, password: "r@gen/bogen" }') as server:
            wrong = server.url.replace("//", "//aurora:geheim@")
            right = server.url.replace("//", "//aurora:r%40gen%2Fbogen@")

            async with open_nats(wrong, clock=SystemClock()) as broker:
                with pytest.raises(BrokerError, match="[Aa]uthorization") as refused:
                    await broker.publish(Stream.ALERTS, encoded({"n": 1}))
            async with open_nats(right, clock=SystemClock()) as broker:
                assert await broker.publish(Stream.ALERTS, encoded({"n": 1})) is True

        assert not refused.value.retryable
        assert "geheim" not in f"{refused.value} {refused.value.__cause__!r} {refused.value.context}"

    async def test_a_token_is_taken_from_the_url(self) -> None:
        with running_nats(options='authorization { token: "t@ken" }') as server:
            async with open_nats(server.url.replace("//", "//t%40ken@"), clock=SystemClock()) as broker:
                assert await broker.publish(Stream.ALERTS, encoded({"n": 1})) is True

    async def test_a_missing_permission_is_named(self) -> None:
        user = '{ user: a, password: b, permissions: { publish: { deny: "AURORA.alerts" } } }'
        with running_nats(options=f"authorization {{ users: [{user}] }}") as server:
            async with open_nats(server.url.replace("//", "//a:b@"), clock=SystemClock()) as broker:
                with pytest.raises(BrokerError, match="(?i)permissions violation for publish to .aurora.alerts") as no:
                    await broker.publish(Stream.ALERTS, encoded({"n": 1}))
                assert await broker.publish(Stream.AUDIT, encoded({"n": 1})) is True

        assert not no.value.retryable

    async def test_an_account_without_jetstream_is_told_what_is_missing(self) -> None:
        with running_nats(options="accounts { A: { users: [ { user: a, password: b } ] } }") as server:
            async with open_nats(server.url.replace("//", "//a:b@"), clock=SystemClock()) as broker:
                with pytest.raises(BrokerError, match="no JetStream") as refused:
                    await broker.publish(Stream.ALERTS, encoded({"n": 1}))

        assert not refused.value.retryable

    async def test_a_password_is_not_sent_to_a_server_without_encryption_if_there_must_be_some(
        self, nats_server: NatsServer
    ) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"version":"2.12.0","headers":true,"max_payload":1048576,"auth_required":true}\r\n')
            heard.put_nowait(await reader.read())
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as eavesdropper:
            port = eavesdropper.sockets[0].getsockname()[1]
            async with open_nats(f"tls://a:geheim@127.0.0.1:{port}", clock=SystemClock()) as broker:
                with pytest.raises(BrokerError, match="secure connection not available") as refused:
                    await broker.publish(Stream.ALERTS, encoded({"n": 1}))
            sent = await heard.get()

        assert sent == b""
        assert not refused.value.retryable


async def test_what_could_not_be_published_is_not_sent_later(broker: NatsBroker, nats_server: NatsServer) -> None:
    receive = partial(broker.receive, Stream.ALERTS, group="api", consumer="one", limit=8)
    await receive(wait=NOTHING)
    nats_server.kill()
    with pytest.raises(BrokerUnavailable):
        await broker.publish(Stream.ALERTS, encoded({"n": 1}))

    nats_server.start()
    await broker.publish(Stream.ALERTS, encoded({"n": 2}))

    assert [each.data for each in await receive(wait=WAIT)] == [b'{"n":2}']


async def test_who_waits_on_many_lanes_gets_what_came_on_two_of_them(broker: NatsBroker) -> None:
    async def wake() -> None:
        await asyncio.sleep(0.05)
        await asyncio.gather(*(broker.wake(lane, [wake_up(lane)]) for lane in Lane))

    async def fetch() -> Any:
        return await collected(broker, partial(broker.fetch, ALL, limit=8, wait=timedelta(seconds=1)), count=4)

    found, _ = await asyncio.gather(fetch(), wake())

    assert sorted(each.data for each in found) == sorted(wake_up(lane).data for lane in Lane)
    assert not any(each.is_repeated for each in found)
