"""Publishes to Redis (or Valkey) streams, each content once. Needs no command newer than Redis 6.2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.errors import BrokerError, BrokerUnavailable, ConfigError, MissingExtra

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT = timedelta(seconds=2)
"""For one message, a reconnection included: a publisher is called in passing and must not hold its caller up."""

REMEMBERED = timedelta(days=8)
"""How long a content is known again: a day longer than a message may lie in a stream (7 days)."""

CONNECTIONS = 8
"""Connections of one publisher at most; a burst waits for one. redis-py's own pool refuses the 101st at once."""

MAX_ENTRIES = 100_000
"""Entries of a stream, about: beyond that the oldest go. Who missed them finds their rows in the database."""

# One atomic step: of many that publish the same content at once, one adds it. The entry comes before the mark:
# if the server has no memory left for the second write, a message may come twice, but none is lost.
_ADD_ONCE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'id', ARGV[1], 'data', ARGV[2])
redis.call('SET', KEYS[2], '', 'EX', ARGV[4])
return 1
"""


class RedisPublisher:
    """Implements `Publisher`. Entries have the fields `id` (of the content) and `data` (JSON).

    Args:
        client: Owned by the caller, as `open_redis_publisher` does. Its socket time-out must be longer than
            any BLOCK of its user; redis-py's own default of 5 s makes a longer one fail.
        remember_for: How long a repeated content is known.
        max_entries: About how many entries a stream keeps.
        within: Time for one message.
    """

    def __init__(
        self,
        client: Redis,
        *,
        remember_for: timedelta = REMEMBERED,
        max_entries: int = MAX_ENTRIES,
        within: timedelta = TIMEOUT,
    ) -> None:
        self._client = client
        self._add_once = client.register_script(_ADD_ONCE)
        self._remember_s = max(1, round(remember_for.total_seconds()))
        self._max_entries = max_entries
        self._within = within

    async def publish_audit(self, message: Mapping[str, Any]) -> bool:
        return await self._publish(Stream.AUDIT, message)

    async def publish_alert(self, message: Mapping[str, Any]) -> bool:
        return await self._publish(Stream.ALERTS, message)

    async def publish_agent_task(self, message: Mapping[str, Any]) -> bool:
        return await self._publish(Stream.AGENT_TASKS, message)

    async def publish_agent_result(self, message: Mapping[str, Any]) -> bool:
        return await self._publish(Stream.AGENT_RESULTS, message)

    async def _publish(self, stream: Stream, content: Mapping[str, Any]) -> bool:
        message = encoded(content)
        # The braces put the mark into the cluster slot of its stream: a script may touch one slot only.
        keys = [stream.value, f"{{{stream.value}}}:seen:{message.id}"]
        values: list[str | bytes | int] = [message.id, message.data, self._max_entries, self._remember_s]
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                return bool(await self._add_once(keys=keys, args=values))
        except Exception as error:
            raise _told(error, stream) from error


@asynccontextmanager
async def open_redis_publisher(url: str, *, within: timedelta = TIMEOUT) -> AsyncIterator[RedisPublisher]:
    """Open a publisher on a server: `redis://`, `rediss://` or `unix://`. Connects when it first publishes.

    Raises:
        ConfigError: not such a URL. The password is not shown.
        MissingExtra: redis-py is not installed.
    """
    try:
        from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - optional, and 0.2 s to import
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise MissingExtra(
            "publishing to Redis needs the package 'redis': pip install 'aurora-soc[redis]'", package="redis"
        ) from missing
    seconds = within.total_seconds()
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=seconds,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 1),  # once: for a pooled connection that the server has closed meanwhile
        )
    except ValueError:
        raise ConfigError(
            "the broker URL cannot be read; expected e.g. redis://host:6379/0 or unix:///path/to/socket"
        ) from None
    async with Redis.from_pool(pool) as client:
        yield RedisPublisher(client, within=within)


def _told(error: Exception, stream: Stream) -> BrokerError:
    """Return our error for one of redis-py's: what passes by itself may be tried again."""
    from redis import exceptions as theirs  # noqa: PLC0415 - whoever made the client has imported it

    by_people = (theirs.AuthenticationError, theirs.AuthorizationError)
    passing = (
        theirs.ConnectionError,
        theirs.TimeoutError,
        theirs.OutOfMemoryError,
        theirs.ReadOnlyError,
        theirs.ClusterDownError,
        theirs.TryAgainError,
        OSError,  # TimeoutError is one
    )
    kind = type(error).__name__
    refused = any(isinstance(each, by_people) for each in (error, error.__cause__))  # some arrive as the cause
    if isinstance(error, passing) and not refused:
        return BrokerUnavailable(f"the broker cannot be reached or is overloaded ({kind})", stream=stream.value)
    return BrokerError(f"the broker refused: {next(iter(str(error).splitlines()), kind)}", stream=stream.value)
