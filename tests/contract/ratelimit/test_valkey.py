"""The shared limiter on a real Valkey: what the script says is what the contract wants."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.security.ratelimit import Limit
from aurora.security.ratelimit_redis import RedisRateLimiter, WhenAway
from tests.contract.ratelimit.clauses import LOGIN, MINUTE, RateLimiterContract

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)


@pytest.fixture
def client(valkey):
    return valkey


@pytest.fixture
def is_shared():
    return True


@pytest.fixture
def make(client, clock):
    def limiter(limit: Limit, *, by_clock: bool = True) -> RedisRateLimiter:
        return RedisRateLimiter(
            client,
            limit,
            when_away=WhenAway.REFUSE,
            clock=clock,
            timeout=timedelta(seconds=10),
            counts_by_clock=by_clock,
        )

    return limiter


class TestValkeyRateLimiter(RateLimiterContract):
    async def test_by_the_servers_own_time_fifty_calls_at_once_never_exceed_the_limit(self, make):
        limiters = [make(Limit(name="read", calls=20, window=HOUR), by_clock=False) for _ in range(5)]

        said = await asyncio.gather(*(limiters[n % 5].hit("mina") for n in range(50)))

        assert sum(each.allowed for each in said) == 20
        assert all(timedelta(0) < each.retry_after <= HOUR for each in said if not each.allowed)

    async def test_the_clock_of_the_machine_means_nothing_to_the_servers_time(self, make, clock):
        limiter = make(Limit(name="read", calls=1, window=HOUR), by_clock=False)
        await limiter.hit("mina")

        clock.advance(timedelta(days=1))

        assert not (await limiter.hit("mina")).allowed

    async def test_an_idle_key_expires_with_its_window_and_refused_calls_do_not_prolong_it(self, make, client):
        limiter = make(LOGIN)
        for _ in range(3):
            await limiter.hit("mina")
        (key,) = await client.keys()
        await client.pexpire(key, 30_000)

        await limiter.hit("mina")

        assert 0 < await client.pttl(key) <= 30_000

    async def test_at_most_as_many_members_are_kept_as_calls_are_allowed(self, make, client):
        limiter = make(LOGIN)

        for _ in range(20):
            await limiter.hit("mina")

        (key,) = await client.keys()
        assert await client.zcard(key) == 3

    async def test_a_lowered_limit_frees_a_place_when_enough_calls_have_left(self, make, clock):
        before = make(Limit(name="read", calls=5, window=MINUTE))
        for _ in range(5):
            await before.hit("mina")
            clock.advance(timedelta(seconds=1))

        after = make(Limit(name="read", calls=2, window=MINUTE))
        refused = await after.hit("mina")
        clock.advance(refused.retry_after - timedelta(microseconds=1))
        assert not (await after.hit("mina")).allowed
        clock.advance(timedelta(microseconds=1))

        assert refused.retry_after == timedelta(seconds=58), "four of the five calls have to leave"
        assert (await after.hit("mina")).allowed

    async def test_calls_count_while_the_servers_clock_stands_or_goes_back(self, make, clock):
        limiter = make(LOGIN)
        said = []

        for _ in range(4):
            said.append((await limiter.hit("mina")).allowed)
            clock.advance(timedelta(seconds=-5))

        assert said == [True, True, True, False]

    async def test_calls_of_the_same_moment_count_even_if_it_comes_twice(self, make, clock):
        limiter = make(Limit(name="read", calls=4, window=MINUTE))
        await limiter.hit("mina")
        await limiter.hit("mina")
        clock.advance(timedelta(seconds=1))
        await limiter.hit("mina")
        clock.advance(timedelta(seconds=59))
        await limiter.hit("mina")

        clock.advance(timedelta(seconds=-59))
        said = [(await limiter.hit("mina")).allowed for _ in range(4)]

        assert said == [True, True, False, False], "two of the four calls had left"

    async def test_a_clock_set_back_by_more_than_the_window_keeps_nobody_out(self, make, clock):
        limiter = make(LOGIN)
        for _ in range(3):
            await limiter.hit("mina")

        clock.advance(timedelta(days=-1))

        assert (await limiter.hit("mina")).allowed

    async def test_a_server_that_forgot_its_scripts_goes_on_counting(self, make, client):
        limiter = make(LOGIN)
        await limiter.hit("mina")

        await client.script_flush()

        assert (await limiter.hit("mina")).remaining == 1
