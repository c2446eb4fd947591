"""The broker without a server: queues within one process; between processes, the database itself is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.local_stream import LocalStream
from aurora.dispatch.brokers.sqlite_watch import SqliteWatch
from aurora.dispatch.messages import Message, Stream, sized
from aurora.kernel.clock import Clock
from aurora.kernel.deadline import within
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import BrokerHealth, Delivery, DroppedGroup

WAKE_UPS = 10_000
"""Wake-ups that are kept at most. A process that only submits keeps those that nobody fetches: a few MiB."""

_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(milliseconds=10)
"""Between two looks at the file: short while something happens, then twice as long each time."""


@dataclass(frozen=True, slots=True)
class _Token:
    group: str
    number: int


class LocalBroker:
    """Implements `Broker` for one event loop. What it holds ends with the process; the database has the tasks.

    Args:
        clock: Time for waiting and repeating.
        limits: What is kept and repeated.
        watch: Notices what other processes write: `fetch` comes back early with nothing then.
    """

    name = "local"

    def __init__(self, *, clock: Clock, limits: Limits = LIMITS, watch: SqliteWatch | None = None) -> None:
        self._clock = clock
        self._watch = watch
        self._pause = _SHORTEST
        few = replace(limits, max_entries=min(limits.max_entries, WAKE_UPS))
        self._streams = {
            stream: LocalStream(few, is_of_wake_ups=True) if stream is Stream.AGENT_TASKS else LocalStream(limits)
            for stream in Stream
        }
        self._news = {stream: asyncio.Event() for stream in Stream}

    async def publish(self, stream: Stream, message: Message) -> bool:
        is_new = self._streams[stream].add_once(sized(message), now=self._clock.monotonic())
        self._tell(stream)
        return is_new

    async def wake(self, lane: Lane, messages: Sequence[Message]) -> None:
        for message in messages:
            sized(message)
        now = self._clock.monotonic()
        for message in messages:
            self._streams[Stream.AGENT_TASKS].add(message, lane=lane, now=now)
        self._tell(Stream.AGENT_TASKS)

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        served = [lane for lane in Lane if lane in lanes]
        return await self._read(
            Stream.AGENT_TASKS, "+".join(served), lanes=served, limit=limit, wait=wait, watch=self._watch
        )

    async def receive(
        self, stream: Stream, *, group: str, consumer: str, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        return await self._read(stream, group, lanes=tuple(Lane), limit=limit, wait=wait, watch=None)

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        now = self._clock.monotonic()
        for delivery in deliveries:
            token = delivery.token
            assert isinstance(token, _Token), "a delivery of another broker"
            self._streams[delivery.stream].confirm(token.group, token.number, now=now)

    async def trim(self) -> Sequence[DroppedGroup]:
        now = self._clock.monotonic()
        return tuple(
            DroppedGroup(stream, group, pending)
            for stream, kept in self._streams.items()
            for group, pending in kept.trim(now)
        )

    async def health(self) -> BrokerHealth:
        return BrokerHealth(
            server="local",
            entries={stream.value: len(kept) for stream, kept in self._streams.items()},
            pending={
                f"{stream.value}/{group}": pending
                for stream, kept in self._streams.items()
                for group, pending in kept.pending().items()
            },
        )

    def _tell(self, stream: Stream) -> None:
        """Wake who waits; whoever waits from now on waits for the next."""
        self._news[stream].set()
        self._news[stream] = asyncio.Event()

    async def _read(
        self,
        stream: Stream,
        group: str,
        *,
        lanes: Collection[Lane],
        limit: int,
        wait: timedelta,
        watch: SqliteWatch | None,
    ) -> Sequence[Delivery]:
        ends = self._clock.monotonic() + wait.total_seconds()
        while True:
            news, now = self._news[stream], self._clock.monotonic()
            found, is_repeated = self._streams[stream].read(group, limit=limit, lanes=lanes, now=now)
            has_changed = watch is not None and watch.has_changed()
            if found or has_changed:
                self._pause = _SHORTEST
            if found or has_changed or now >= ends:
                return tuple(Delivery(stream, data, _Token(group, number), is_repeated) for number, data in found)
            due = self._streams[stream].next_due(group)
            until = timedelta(seconds=min(ends, ends if due is None else due) - now)
            try:
                await within(until if watch is None else min(until, self._pause), news.wait, clock=self._clock)
            except TimeoutError:
                self._pause = min(2 * self._pause, _LONGEST)


@asynccontextmanager
async def open_local(
    *, clock: Clock, database: str | None = None, limits: Limits = LIMITS
) -> AsyncIterator[LocalBroker]:
    """Open the broker of this process.

    Args:
        clock: Time for waiting and repeating.
        database: URL of the ledger. Where that is a SQLite file, `fetch` notices what other processes write.
        limits: What is kept and repeated.

    Raises:
        ConfigError: the URL of the database cannot be used.
    """
    watch = None
    if database is not None:
        from aurora.storage.engine import file_of  # noqa: PLC0415 - SQLAlchemy takes its time to import

        path = file_of(database)
        watch = None if path is None else SqliteWatch(path)
    try:
        yield LocalBroker(clock=clock, limits=limits, watch=watch)
    finally:
        if watch is not None:
            watch.close()
