"""How often somebody may call."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.security.ratelimit import Limit
from aurora.security.ratelimit_redis import RedisRateLimiter, WhenAway
from tests.contract.ratelimit.fake_redis import FakeRedis

LIMIT = Limit(name="api", calls=5, window=timedelta(minutes=1))


@pytest.fixture
def limiter(clock):
    return RedisRateLimiter(FakeRedis(), LIMIT, when_away=WhenAway.REFUSE, clock=clock, counts_by_clock=True)


async def test_a_call_under_the_limit_is_allowed(limiter):
    for left in (4, 3, 2, 1, 0):
        said = await limiter.hit("mina")

        assert (said.allowed, said.limit, said.remaining) == (True, 5, left)


async def test_a_call_over_the_limit_is_refused(limiter):
    for _ in range(5):
        await limiter.hit("mina")

    said = await limiter.hit("mina")

    assert (said.allowed, said.remaining, said.retry_after) == (False, 0, timedelta(minutes=1))


async def test_calls_at_once_do_not_slip_past_each_other(limiter):
    said = await asyncio.gather(*(limiter.hit("mina") for _ in range(50)))

    assert sum(each.allowed for each in said) == 5


async def test_the_client_may_be_replaced(limiter):
    for _ in range(6):
        await limiter.hit("mina")

    limiter._client = FakeRedis()

    assert (await limiter.hit("mina")).allowed
