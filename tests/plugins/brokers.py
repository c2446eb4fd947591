"""Brokers for contracts: one server a session, emptied for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.services import running_valkey

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
