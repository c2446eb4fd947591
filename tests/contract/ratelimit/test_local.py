"""The limiter within one process."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aurora.security.ratelimit import Limit, LocalRateLimiter
from tests.contract.ratelimit.clauses import LOGIN, MINUTE, RateLimiterContract


@pytest.fixture
def is_shared():
    return False


@pytest.fixture
def make(clock):
    return lambda limit: LocalRateLimiter(limit, clock=clock)


class TestLocalRateLimiter(RateLimiterContract):
    async def test_keys_whose_calls_left_the_window_are_forgotten(self, make, clock):
        limiter = make(LOGIN)
        for number in range(100):
            await limiter.hit(f"subject {number}")
        clock.advance(MINUTE)

        await limiter.hit("mina")

        assert len(limiter._hits) == 1

    async def test_a_flood_of_keys_forgets_the_longest_idle_and_no_more(self, clock):
        limiter = LocalRateLimiter(Limit(name="login", calls=1, window=MINUTE), clock=clock, max_keys=10)
        for number in range(25):
            clock.advance(timedelta(milliseconds=1))
            await limiter.hit(f"subject {number}")

        assert len(limiter._hits) == 10
        assert not (await limiter.hit("subject 24")).allowed
        assert not (await limiter.hit("subject 15")).allowed
        assert (await limiter.hit("subject 14")).allowed

    async def test_who_called_again_is_not_idle(self, clock):
        limiter = LocalRateLimiter(Limit(name="login", calls=2, window=MINUTE), clock=clock, max_keys=2)
        for subject in ("mina", "noor", "mina"):
            await limiter.hit(subject)

        await limiter.hit("a third")

        assert not (await limiter.hit("mina")).allowed

    async def test_refused_calls_take_no_memory(self, make):
        limiter = make(LOGIN)

        for _ in range(1000):
            await limiter.hit("mina")

        assert [len(hits) for hits in limiter._hits.values()] == [3]
