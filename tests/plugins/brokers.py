"""Brokers for contracts: one server a session, emptied for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer, find_redis, find_valkey, running
from tests.services import NatsServer, running_nats, running_valkey

if TYPE_CHECKING:
    from redis.asyncio import Redis


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A server that lives as long as the test session."""
    with running_valkey() as url:
        yield url


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Redis]:
    """A client of a server that holds nothing."""
    from redis.asyncio import Redis

    async with Redis.from_url(valkey_url) as client:
        await client.flushall()
        await client.script_flush()
        yield client


@pytest.fixture(scope="session")
def valkey_process() -> Iterator[RedisServer]:
    """A server of its own, for tests that kill it."""
    with running(find_valkey()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisServer]:
    """The same with Redis, where it is installed."""
    with running(find_redis()) as server:
        yield server


@pytest.fixture(scope="session")
def nats_process() -> Iterator[NatsServer]:
    """A server that lives as long as the test session."""
    with running_nats() as server:
        yield server


@pytest.fixture
def nats_server(nats_process: NatsServer) -> NatsServer:
    """A server that runs and holds nothing, whatever the test before has done to it."""
    nats_process.wipe()
    nats_process.start()
    return nats_process
