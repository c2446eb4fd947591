"""Brokers on a Redis or Valkey server, each with connections of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.redis import RedisBroker, open_redis
from aurora.dispatch.messages import Stream
from aurora.kernel.clock import SystemClock
from tests.contract.broker.house import RealTime
from tests.redis_server import RedisServer


class RedisHouse(RealTime):
    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack

    @property
    def url(self) -> str:
        return self._server.url

    async def open(self, limits: Limits = LIMITS) -> RedisBroker:
        return await self._stack.enter_async_context(open_redis(self.url, clock=SystemClock(), limits=limits))

    async def forge(self, stream: Stream, data: bytes) -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(self.url) as stranger:
            await stranger.xadd(stream.value, {"lane": "sideways", "data": data})
            await stranger.xadd(stream.value, {data or b"nothing": data})
            await stranger.xadd(stream.value, {"data": data})

    async def stop(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        self._server.start()

    async def wipe(self) -> None:
        self._server.wipe()
        self._server.start()


async def emptied(server: RedisServer) -> None:
    """Make it run and hold nothing, whatever the test before has done to it."""
    from redis.asyncio import Redis

    server.start()
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        await client.script_flush()
