"""The broker on a real Redis, where one is installed: what holds on Valkey holds there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.contract.broker.clauses import BrokerContract
from tests.contract.broker.redis_clauses import RedisClauses
from tests.contract.broker.redis_house import RedisHouse, emptied
from tests.redis_server import RedisServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def server(redis_process: RedisServer) -> RedisServer:
    await emptied(redis_process)
    return redis_process


@pytest.fixture
async def house(server: RedisServer) -> AsyncIterator[RedisHouse]:
    async with AsyncExitStack() as stack:
        yield RedisHouse(server, stack)


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Any]:
    from redis.asyncio import Redis

    async with Redis.from_url(server.url) as client:
        yield client


class TestRedisBroker(BrokerContract):
    capabilities = frozenset({"restart", "wipe", "forge"})


class TestRedisStreams(RedisClauses):
    pass


def test_every_clause_is_held_to() -> None:
    assert TestRedisBroker.held_to() == 32
    assert sum(name.startswith("test_") for name in dir(TestRedisStreams)) == RedisClauses.clauses
