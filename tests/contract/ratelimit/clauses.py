"""What every rate limiter keeps to. Subclass it, and provide `make`, which builds one on an empty store."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.security.errors import RateLimited
from aurora.security.ratelimit import Limit

MINUTE = timedelta(minutes=1)
LOGIN = Limit(name="login", calls=3, window=MINUTE)


class RateLimiterContract:
    async def test_calls_are_let_through_up_to_the_limit(self, make):
        limiter = make(LOGIN)

        said = [await limiter.hit("mina") for _ in range(4)]

        assert [each.allowed for each in said] == [True, True, True, False]
        assert [each.remaining for each in said] == [2, 1, 0, 0]

    async def test_fifty_calls_at_once_never_exceed_the_limit(self, make):
        limiter = make(Limit(name="read", calls=20, window=MINUTE))

        said = await asyncio.gather(*(limiter.hit("mina") for _ in range(50)))

        assert sum(each.allowed for each in said) == 20
        assert sorted(each.remaining for each in said if each.allowed) == list(range(20)), "one place, one call"

    async def test_fifty_calls_of_two_limiters_on_one_store_never_exceed_the_limit(self, make, is_shared):
        limit = Limit(name="read", calls=20, window=MINUTE)
        limiters = (make(limit), make(limit))

        said = await asyncio.gather(*(limiters[n % 2].hit("mina") for n in range(100)))

        assert sum(each.allowed for each in said) == (20 if is_shared else 40)
        assert {each.is_shared for each in said} == {is_shared}

    async def test_a_place_is_free_when_its_call_leaves_the_window(self, make, clock):
        limiter = make(LOGIN)
        for _ in range(3):
            await limiter.hit("mina")
            clock.advance(timedelta(seconds=10))

        clock.advance(timedelta(seconds=29, microseconds=999_000))
        assert not (await limiter.hit("mina")).allowed, "the first call was 59.999 s ago"
        clock.advance(timedelta(milliseconds=1))

        assert (await limiter.hit("mina")).allowed
        assert not (await limiter.hit("mina")).allowed, "the window slides: one left, one came"

    async def test_refused_calls_do_not_keep_anybody_out_longer(self, make, clock):
        limiter = make(LOGIN)
        for _ in range(3):
            await limiter.hit("mina")
        for _ in range(59):
            clock.advance(timedelta(seconds=1))
            assert not (await limiter.hit("mina")).allowed

        clock.advance(timedelta(seconds=1))

        assert (await limiter.hit("mina")).allowed

    async def test_a_refusal_says_when_to_come_back_and_means_it(self, make, clock):
        limiter = make(LOGIN)
        await limiter.hit("mina")
        clock.advance(timedelta(seconds=20))
        await limiter.hit("mina")
        await limiter.hit("mina")

        refused = await limiter.hit("mina")
        clock.advance(refused.retry_after)

        assert (refused.retry_after, refused.reset) == (timedelta(seconds=40), timedelta(seconds=60))
        assert (await limiter.hit("mina")).allowed

    async def test_a_window_is_kept_to_the_microsecond(self, make, clock):
        limiter = make(Limit(name="login", calls=1, window=MINUTE))
        clock.advance(timedelta(microseconds=123_457))
        await limiter.hit("mina")

        clock.advance(MINUTE - timedelta(microseconds=1))
        refused = await limiter.hit("mina")
        clock.advance(timedelta(microseconds=1))

        assert (refused.allowed, refused.retry_after) == (False, timedelta(microseconds=1))
        assert (await limiter.hit("mina")).allowed

    async def test_who_is_let_through_need_not_wait(self, make):
        limiter = make(LOGIN)

        first, _, third = [await limiter.hit("mina") for _ in range(3)]

        assert (first.retry_after, first.reset) == (timedelta(0), MINUTE)
        assert third.retry_after == MINUTE, "the next call has to wait"

    async def test_subjects_do_not_use_up_each_others_calls(self, make):
        limiter = make(LOGIN)
        for _ in range(3):
            await limiter.hit("mina")

        assert (await limiter.hit("noor")).allowed

    async def test_limits_do_not_use_up_each_others_calls(self, make):
        read = make(Limit(name="read", calls=1, window=MINUTE))
        write = make(Limit(name="write", calls=1, window=MINUTE))

        assert (await read.hit("mina")).allowed
        assert (await write.hit("mina")).allowed

    async def test_a_window_shorter_than_a_second_slides_too(self, make, clock):
        limiter = make(Limit(name="burst", calls=1, window=timedelta(milliseconds=5)))
        await limiter.hit("mina")

        clock.advance(timedelta(milliseconds=4))
        assert not (await limiter.hit("mina")).allowed
        clock.advance(timedelta(milliseconds=1))

        assert (await limiter.hit("mina")).allowed

    @pytest.mark.parametrize("key", ["", "a b\r\nDEL x", "{slot}", "\ud800", "é" * 5000])
    async def test_a_key_may_be_whatever_somebody_typed(self, make, key):
        limiter = make(Limit(name="login", calls=1, window=MINUTE))

        assert [(await limiter.hit(key)).allowed for _ in range(2)] == [True, False]

    async def test_a_refusal_becomes_an_error_with_status_429(self, make):
        limiter = make(Limit(name="login", calls=1, window=MINUTE))
        (await limiter.hit("mina")).require()

        with pytest.raises(RateLimited, match="try again in 60 s") as caught:
            (await limiter.hit("mina")).require()

        assert (caught.value.http_status, caught.value.retry_after) == (429, MINUTE)
