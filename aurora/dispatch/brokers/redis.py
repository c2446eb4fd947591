"""The broker on Redis or Valkey streams. Needs no command newer than Redis 6.2."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from aurora.dispatch.brokers.limits import LIMITS, TIMEOUT, Limits
from aurora.dispatch.brokers.redis_client import BLOCK, open_clients
from aurora.dispatch.brokers.redis_errors import told
from aurora.dispatch.brokers.redis_groups import Entry, RedisGroups
from aurora.dispatch.brokers.redis_health import look, readable
from aurora.dispatch.brokers.redis_scripts import ADD_ONCE, TRIM, WAKE
from aurora.dispatch.messages import MAX_BYTES, Message, Stream, sized
from aurora.dispatch.publisher import StreamPublisher
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import BrokerHealth, Delivery, DroppedGroup

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

WORKERS = "aurora-agents"
"""Group of the workers that serve all lanes. Others have one of their own: `aurora-agents:critical+high`."""

_CHUNK = 500
"""Wake-ups in one call: the server does nothing else meanwhile, for about a millisecond."""

_MOMENT = timedelta(milliseconds=1)
"""What a batch without anything for us counts as at least, of the time to wait."""


@dataclass(frozen=True, slots=True)
class _Token:
    group: str
    entry: bytes


class RedisBroker:
    """Implements `Broker`. Entries have the fields `id` (of the content), `data` (JSON) and, wake-ups, `lane`.

    Entries that are not made so are confirmed and counted in `rejected`; nobody sees them. Belongs to one event loop.

    Args:
        calls: Client for short calls.
        readers: Client for those that wait.
        clock: Says when to look for what was not confirmed; the server's own time decides what that is.
        within: Time for one call.
        limits: What is kept and repeated.
    """

    name = "redis"

    def __init__(
        self, calls: Redis, readers: Redis, *, clock: Clock, within: timedelta = TIMEOUT, limits: Limits = LIMITS
    ) -> None:
        self._client = calls
        self._add_once = calls.register_script(ADD_ONCE)
        self._wake = calls.register_script(WAKE)
        self._trim = calls.register_script(TRIM)
        self._groups = RedisGroups(readers, clock=clock, limits=limits, within=within)
        self._clock = clock
        self._worker = uuid4().hex  # of no meaning beyond being nobody else's
        self._within = within
        self._limits = limits
        self.rejected = 0
        """Entries that were not ours, since the start."""

    async def publish(self, stream: Stream, message: Message) -> bool:
        sized(message)
        # The braces put the marks into the cluster slot of their stream: a script may touch one slot only.
        keys = [stream.value, f"{{{stream.value}}}:seen"]
        limits = [self._limits.max_entries, _ms(self._limits.remembered)]
        args: list[str | bytes | int] = [message.id, message.data, *limits]
        return bool(await self._asked(partial(self._add_once, keys, args), stream))

    async def wake(self, lane: Lane, messages: Sequence[Message]) -> None:
        for message in messages:
            sized(message)
        for start in range(0, len(messages), _CHUNK):
            entries = [part for each in messages[start : start + _CHUNK] for part in (each.id, each.data)]
            args = [lane.value, self._limits.max_entries, *entries]
            await self._asked(partial(self._wake, [Stream.AGENT_TASKS.value], args), Stream.AGENT_TASKS)

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        served = [lane for lane in Lane if lane in lanes]
        group = WORKERS if len(served) == len(Lane) else f"{WORKERS}:{'+'.join(served)}"
        return await self._read(
            Stream.AGENT_TASKS, group, self._worker, limit=limit, wait=wait, begins_at="0", lanes=frozenset(served)
        )

    async def receive(
        self, stream: Stream, *, group: str, consumer: str, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        return await self._read(stream, group, consumer, limit=limit, wait=wait, begins_at="$", lanes=frozenset(Lane))

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        by_group: dict[tuple[Stream, str], list[bytes]] = defaultdict(list)
        for delivery in deliveries:
            token = delivery.token
            assert isinstance(token, _Token), "a delivery of another broker"
            by_group[delivery.stream, token.group].append(token.entry)
        for (stream, group), entries in by_group.items():
            await self._confirm(stream, group, entries)

    async def trim(self) -> Sequence[DroppedGroup]:
        dropped = []
        for stream in Stream:
            stale_ms = _ms(self._limits.wake_ups_for) if stream is Stream.AGENT_TASKS else 0
            limits = [_ms(self._limits.retention), self._limits.max_entries, stale_ms, _ms(self._limits.wake_ups_for)]
            given_up = await self._asked(partial(self._trim, [stream.value], limits), stream)
            dropped += [DroppedGroup(stream, readable(group), pending) for group, pending in given_up]
        return tuple(dropped)

    async def health(self) -> BrokerHealth:
        return await self._asked(partial(look, self._client))

    async def _read(
        self,
        stream: Stream,
        group: str,
        consumer: str,
        *,
        limit: int,
        wait: timedelta,
        begins_at: str,
        lanes: frozenset[Lane],
    ) -> Sequence[Delivery]:
        left = wait
        while True:
            block = max(timedelta(), min(left, BLOCK, self._limits.redeliver_after / 2))
            began = self._clock.monotonic()
            entries, is_repeated = await self._groups.read(
                stream, group, consumer, limit=limit, block=block, begins_at=begins_at
            )
            found = await self._ours(stream, group, entries, is_repeated=is_repeated, lanes=lanes)
            took = timedelta(seconds=self._clock.monotonic() - began)  # servers end a wait up to 0.1 s late
            left -= max(took, _MOMENT if entries else block, _MOMENT)
            if found or left <= timedelta():
                return found

    async def _ours(
        self, stream: Stream, group: str, entries: Iterable[Entry], *, is_repeated: bool, lanes: frozenset[Lane]
    ) -> Sequence[Delivery]:
        """Return what is for us; the rest is confirmed, so that it does not come again."""
        found, others = [], []
        for entry, fields in entries:
            data, lane = fields.get(b"data"), fields.get(b"lane")
            is_sound = data is not None and 0 < len(data) <= MAX_BYTES and (lane is None or lane in _LANES)
            self.rejected += not is_sound
            if data is not None and is_sound and (lane is None or _LANES[lane] in lanes):
                found.append(Delivery(stream, data, _Token(group, entry), is_repeated))
            else:
                others.append(entry)
        if others:
            await self._confirm(stream, group, others)
        return tuple(found)

    async def _confirm(self, stream: Stream, group: str, entries: Sequence[bytes]) -> None:
        await self._asked(partial(self._client.xack, stream.value, group, *entries), stream)

    async def _asked(self, call: Callable[[], Awaitable[T]], stream: Stream | None = None) -> T:
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                return await call()
        except Exception as error:
            raise told(error, stream) from error


class RedisPublisher(StreamPublisher):
    """The four streams that the rest of Aurora publishes on, on Redis or Valkey."""


@asynccontextmanager
async def open_redis(
    url: str, *, clock: Clock, within: timedelta = TIMEOUT, limits: Limits = LIMITS
) -> AsyncIterator[RedisBroker]:
    """Open the broker on a server: `redis://`, `rediss://` or `unix://`. Connects when it is first used.

    Raises:
        ConfigError: not such a URL. The password is not shown.
        MissingExtra: redis-py is not installed.
    """
    async with open_clients(url, within=within) as (calls, readers):
        yield RedisBroker(calls, readers, clock=clock, within=within, limits=limits)


@asynccontextmanager
async def open_redis_publisher(url: str, *, within: timedelta = TIMEOUT) -> AsyncIterator[RedisPublisher]:
    """Open a publisher on a server, as `open_redis` does."""
    async with open_redis(url, clock=SystemClock(), within=within) as broker:
        yield RedisPublisher(broker)


_LANES = {lane.value.encode(): lane for lane in Lane}


def _ms(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds() * 1000))
