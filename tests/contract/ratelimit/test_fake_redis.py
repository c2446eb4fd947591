"""The shared limiter on a client that answers as a server would."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aurora.security.ratelimit_redis import RedisRateLimiter, WhenAway
from tests.contract.ratelimit.clauses import LOGIN, RateLimiterContract
from tests.contract.ratelimit.fake_redis import FakeRedis


@pytest.fixture
def is_shared():
    return True


@pytest.fixture
def client():
    return FakeRedis()


@pytest.fixture
def make(client, clock):
    return lambda limit: RedisRateLimiter(
        client,
        limit,
        when_away=WhenAway.REFUSE,
        clock=clock,
        timeout=timedelta(seconds=10),
        counts_by_clock=True,
    )


class TestRedisRateLimiter(RateLimiterContract):
    async def test_the_script_is_sent_once_and_called_by_its_hash_from_then_on(self, make, client):
        limiter = make(LOGIN)

        for _ in range(5):
            await limiter.hit("mina")

        assert client.evaluated == 1

    async def test_a_server_that_forgot_the_script_gets_it_again(self, make, client):
        limiter = make(LOGIN)
        await limiter.hit("mina")

        client.restart()
        said = await limiter.hit("mina")

        assert (said.remaining, client.evaluated) == (1, 2)

    async def test_the_server_learns_no_subject(self, make, client):
        await make(LOGIN).hit("mina@example.test")

        (key,) = client.windows
        assert key.startswith("aurora:limit:login:")
        assert "mina" not in key
