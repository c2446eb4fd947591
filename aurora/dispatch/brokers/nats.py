"""Carries wake-ups and events over NATS JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from aurora.dispatch.brokers.limits import LIMITS, TIMEOUT, Limits
from aurora.dispatch.brokers.nats_connection import Connection, Request, body
from aurora.dispatch.brokers.nats_errors import ConnectionLost, Gone, told
from aurora.dispatch.brokers.nats_link import Link
from aurora.dispatch.brokers.nats_pull import Feed
from aurora.dispatch.brokers.nats_streams import Durable, Streams, of_group, of_lane, stream_of, subject
from aurora.dispatch.brokers.nats_trim import Trimmer, consumers, holdings
from aurora.dispatch.messages import MAX_BYTES
from aurora.dispatch.publisher import StreamPublisher
from aurora.kernel.errors import MessageInvalid
from aurora.kernel.ports.broker import BrokerHealth, Delivery, DroppedGroup, Message, Stream

if TYPE_CHECKING:
    from aurora.kernel.clock import Clock
    from aurora.kernel.models.task import Lane

T = TypeVar("T")


class NatsBroker:
    """Implements `Broker` on one JetStream stream. Open it with `open_nats`.

    A content is known again for two minutes (`KNOWN_AGAIN`), not longer. Where the connection broke during a
    `publish`, the answer may be that our own message is not new.

    Args:
        link: Owned by the caller.
        clock: Says how old a wake-up is and how long a group was silent.
        within: Time for one call.
    """

    name = "nats"

    def __init__(self, link: Link, *, clock: Clock, within: timedelta, limits: Limits) -> None:
        self._link = link
        self._clock = clock
        self._within = within
        self._patience = 2 * limits.redeliver_after
        self._streams = Streams(clock=clock, limits=limits)
        self._trimmer = Trimmer(clock=clock, limits=limits)
        self._heard_at: dict[tuple[Durable, ...], float] = {}

    async def publish(self, stream: Stream, message: Message) -> bool:
        (answer,) = await self._published([_request(subject(stream), message)])
        return not answer.get("duplicate", False)

    async def wake(self, lane: Lane, messages: Sequence[Message]) -> None:
        if messages:
            await self._published([_request(subject(Stream.AGENT_TASKS, lane), each) for each in messages])

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        return await self._pull(Stream.AGENT_TASKS, [of_lane(lane) for lane in lanes], limit=limit, wait=wait)

    async def receive(
        self, stream: Stream, *, group: str, consumer: str, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        return await self._pull(stream, [of_group(stream, group)], limit=limit, wait=wait)

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return

        # The acknowledgements of one consumer are taken in their order: the answer to the last one is for all.
        last: dict[str, str] = {}
        for each in deliveries:
            token = str(each.token)
            last[token.rsplit(".", 5)[0]] = token

        async def confirm(connection: Connection) -> None:
            for each in deliveries:
                if each.token not in last.values():
                    await connection.tell(str(each.token), b"+ACK")
            # Nobody answers for a consumer that is gone; its messages do not come again either.
            await connection.ask([(token, b"+ACK", None) for token in last.values()])

        await self._within_time(confirm)

    async def trim(self) -> Sequence[DroppedGroup]:
        return await self._within_time(self._trimmer.trim)

    async def health(self) -> BrokerHealth:
        async def ask(connection: Connection) -> BrokerHealth:
            entries: dict[str, int] = {}
            pending: dict[str, int] = {}
            for name, number in (await holdings(connection)).entries.items():
                if stream := stream_of(name):
                    entries[stream] = entries.get(stream, 0) + number
            for each in await consumers(connection):
                for stream in filter(None, map(stream_of, each.filters)):
                    pending[f"{stream}/{each.group}"] = each.pending
            return BrokerHealth(server=connection.server, entries=entries, pending=pending)

        return await self._within_time(ask)

    async def _published(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        async def publish(connection: Connection) -> list[dict[str, Any]]:
            await self._streams.have_stream(connection)
            return [body(answer) for answer in await connection.ask(requests)]

        return await self._within_time(publish)

    async def _pull(
        self, stream: Stream, durables: Sequence[Durable], *, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        if limit < 1:
            return ()
        key = tuple(durables)

        async def pull(connection: Connection) -> Sequence[Delivery]:
            for durable in durables:
                await self._streams.have_consumer(connection, durable)
            feed: Feed | None = connection.feeds.get(key)
            if feed is None:
                feed = connection.feeds[key] = Feed(connection, [each.name for each in durables])
            return await feed.take(stream, limit=limit, wait=wait)

        deliveries = await self._within_time(pull, more=wait)
        await self._watch(key, heard=bool(deliveries))
        return deliveries

    async def _watch(self, durables: tuple[Durable, ...], *, heard: bool) -> None:
        """Give up a connection over which nothing comes although there is something: subscriptions can go deaf.

        One that the server does not answer at all is given up when the next call runs out of time.
        """
        now = self._clock.monotonic()
        since = self._heard_at.setdefault(durables, now)
        if heard or now - since <= self._patience.total_seconds():
            if heard:
                self._heard_at[durables] = now
            return
        self._heard_at[durables] = now
        names = {each.name for each in durables}
        waiting = sum(each.unsent for each in await self._within_time(consumers) if each.name in names)
        if waiting:
            self._link.lose()

    async def _within_time(self, work: Callable[[Connection], Awaitable[T]], *, more: timedelta = timedelta()) -> T:
        """Do something over the connection; once again if that, the stream or a consumer turns out to be gone.

        A server that was restarted while nobody spoke to it is so no fault. Nothing here does harm twice.
        """
        try:
            async with asyncio.timeout((self._within + more).total_seconds()):
                try:
                    return await work(await self._link.connection())
                except (Gone, ConnectionLost):
                    connection = await self._link.connection()
                    connection.known.clear()
                    return await work(connection)
        except TimeoutError as error:
            # Whether the server or the way to it is stuck: a fresh connection is the best next try.
            self._link.lose()
            raise told(error) from error
        except MessageInvalid:
            raise
        except Exception as error:
            raise told(error) from error


class NatsPublisher(StreamPublisher):
    """Publishes to a `NatsBroker`. A content is known again for two minutes."""


@asynccontextmanager
async def open_nats(
    url: str, *, clock: Clock, within: timedelta = TIMEOUT, limits: Limits = LIMITS
) -> AsyncIterator[NatsBroker]:
    """Open a broker on a NATS server: `nats://` or `tls://`. Connects when it is first used.

    Raises:
        ConfigError: not such a URL. The password is not shown.
        MissingExtra: nats-py is not installed.
    """
    link = Link(url, within=within)
    try:
        yield NatsBroker(link, clock=clock, within=within, limits=limits)
    finally:
        await link.close()


def _request(where: str, message: Message) -> Request:
    if len(message.data) > MAX_BYTES:
        raise MessageInvalid(f"the message takes {len(message.data)} bytes, at most {MAX_BYTES} are allowed")
    # The window in which an id is known is the stream's, which is one for all subjects.
    return where, message.data, {"Nats-Msg-Id": f"{where}:{message.id}"}
