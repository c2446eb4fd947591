"""What a limiter says to the client, and what becomes of calls while Redis is away."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import redis.exceptions

from aurora.security.errors import LimiterAway
from aurora.security.ratelimit import Allowance, Limit, LocalRateLimiter
from aurora.security.ratelimit_redis import RedisRateLimiter, WhenAway
from tests.contract.ratelimit.fake_redis import FakeRedis

LIMIT = Limit(name="login", calls=2, window=timedelta(seconds=60))

AWAY = [
    redis.exceptions.ConnectionError("refused"),
    redis.exceptions.TimeoutError("no answer"),
    redis.exceptions.BusyLoadingError("loading"),
    redis.exceptions.ReadOnlyError("a replica"),
    redis.exceptions.OutOfMemoryError("full"),
    ConnectionResetError("reset"),
]


class Failing(FakeRedis):
    """A server that answers with `error` as long as there is one, or never while `hangs`."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        super().__init__()
        self.error = error
        self.hangs = hangs

    async def evalsha(self, *arguments):
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return await super().evalsha(*arguments)


def limiter(client, clock, when_away, **options):
    return RedisRateLimiter(client, LIMIT, when_away=when_away, clock=clock, counts_by_clock=True, **options)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_limit_that_refuses_lets_nobody_through_while_redis_is_away(clock, error):
    login = limiter(Failing(error), clock, WhenAway.REFUSE)

    with pytest.raises(LimiterAway, match=r"limit login.*Redis is away") as caught:
        await login.hit("mina")

    assert (caught.value.http_status, caught.value.retryable) == (503, True)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_limit_that_counts_locally_goes_on_counting_while_redis_is_away(clock, error):
    reads = limiter(Failing(error), clock, WhenAway.COUNT_LOCALLY)

    said = [await reads.hit("mina") for _ in range(3)]

    assert [each.allowed for each in said] == [True, True, False]
    assert not any(each.is_shared for each in said)


async def test_when_redis_is_back_it_counts_again(clock):
    client = Failing(redis.exceptions.ConnectionError("refused"))
    reads = limiter(client, clock, WhenAway.COUNT_LOCALLY)
    await reads.hit("mina")

    client.error = None
    said = await reads.hit("mina")

    assert (said.is_shared, said.remaining) == (True, 1)


@pytest.mark.parametrize("when_away", WhenAway)
async def test_a_server_that_never_answers_is_away(clock, when_away):
    hung = limiter(Failing(hangs=True), clock, when_away, timeout=timedelta(milliseconds=1))

    if when_away is WhenAway.REFUSE:
        with pytest.raises(LimiterAway, match="TimeoutError"):
            await hung.hit("mina")
    else:
        assert not (await hung.hit("mina")).is_shared


async def test_a_mistake_in_the_script_is_not_taken_for_an_outage(clock):
    broken = limiter(Failing(redis.exceptions.ResponseError("ERR compile")), clock, WhenAway.COUNT_LOCALLY)

    with pytest.raises(redis.exceptions.ResponseError):
        await broken.hit("mina")


async def test_a_cancelled_call_stays_cancelled(clock):
    hung = limiter(Failing(hangs=True), clock, WhenAway.COUNT_LOCALLY, timeout=timedelta(hours=1))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(hung.hit("mina"))
        await asyncio.sleep(0)
        task.cancel()

    assert task.cancelled()


def test_the_headers_say_what_is_left_in_whole_seconds_rounded_up():
    said = Allowance(
        allowed=True, policy=LIMIT, remaining=1, retry_after=timedelta(0), reset=timedelta(seconds=59, milliseconds=1)
    )

    assert said.headers() == {"RateLimit-Policy": '"login";q=2;w=60', "RateLimit": '"login";r=1;t=60'}


@pytest.mark.parametrize(("wait", "header"), [(0.001, "1"), (1.0, "1"), (1.001, "2"), (42.0, "42")])
def test_a_refusal_says_retry_after_and_never_zero(wait, header):
    said = Allowance(
        allowed=False,
        policy=LIMIT,
        remaining=0,
        retry_after=timedelta(seconds=wait),
        reset=timedelta(seconds=60),
    )

    assert said.headers()["Retry-After"] == header


@pytest.mark.parametrize("name", ["", "Login", 'a"b', "a\r\nSet-Cookie: x", "x" * 65])
def test_a_name_that_would_not_do_as_a_header_is_refused(name):
    with pytest.raises(ValueError, match="name="):
        Limit(name=name, calls=1, window=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("calls", "window"), [(0, timedelta(seconds=1)), (-1, timedelta(seconds=1)), (1, timedelta(0))]
)
def test_a_limit_that_lets_nothing_through_or_has_no_window_is_refused(calls, window):
    with pytest.raises(ValueError, match="must be"):
        Limit(name="login", calls=calls, window=window)


def test_a_local_limiter_wants_room_for_one_key(clock):
    with pytest.raises(ValueError, match="max_keys"):
        LocalRateLimiter(LIMIT, clock=clock, max_keys=0)
