"""Connections to Redis or Valkey: some for short calls, others for those that wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from aurora.kernel.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECTIONS = 8
"""Connections for short calls at most; a burst waits for one. redis-py's own pool refuses the 101st at once."""

READERS = 64
"""Connections that wait for entries at most: one for wake-ups, one for each consumer of events."""

BLOCK = timedelta(seconds=2)
"""Longest time that the server is asked to wait: after that it is asked again, so that a dead one is noticed."""


@asynccontextmanager
async def open_clients(url: str, *, within: timedelta) -> AsyncIterator[tuple[Redis, Redis]]:
    """Open a client for short calls and one for those that wait. They connect when they are first used.

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
            "this broker needs the package 'redis': pip install 'aurora-soc[redis]'", package="redis"
        ) from missing

    def client(connections: int, patience: timedelta) -> Redis:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=within.total_seconds(),
            socket_timeout=patience.total_seconds(),
            socket_connect_timeout=within.total_seconds(),
            retry=Retry(NoBackoff(), 1),  # once: for a pooled connection that the server has closed meanwhile
            protocol=2,  # answers have one shape then, whatever the server
        )
        return Redis.from_pool(pool)

    async with AsyncExitStack() as stack:
        try:
            calls, readers = client(CONNECTIONS, within), client(READERS, BLOCK + within)
        except ValueError:
            raise ConfigError(
                "the broker URL cannot be read; expected e.g. redis://host:6379/0 or unix:///path/to/socket"
            ) from None
        yield await stack.enter_async_context(calls), await stack.enter_async_context(readers)
