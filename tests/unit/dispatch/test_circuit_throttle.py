"""A dependency that asks to be left alone is left alone, and has not failed for it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from aurora.dispatch.circuit import CircuitBreaker, CircuitOpen, CircuitPolicy, CircuitState, Throttled
from aurora.dispatch.circuits import Circuits
from aurora.kernel.errors import QuotaExceeded
from aurora.testing import ManualClock

KEY = "model:openai"


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(CircuitPolicy(failure_threshold=2, longest=timedelta(seconds=60)), recovery_timeout=10.0)


def _throttle(breaker: CircuitBreaker, now: float, seconds: float) -> None:
    assert breaker.throttled(breaker.acquire(now), now, seconds=seconds)


def test_nobody_is_admitted_until_then_and_nothing_failed(breaker: CircuitBreaker) -> None:
    _throttle(breaker, 0.0, 30.0)

    assert (breaker.wait(10.0), breaker.acquire(29.9)) == (timedelta(seconds=20), None)
    assert (breaker.state, breaker.failure_count, breaker.snapshot(1.0).failures) == ("closed", 0, 0)
    assert breaker.acquire(30.0) is not None


def test_the_later_of_two_moments_holds(breaker: CircuitBreaker) -> None:
    first, second = breaker.acquire(0.0), breaker.acquire(0.0)
    breaker.throttled(first, 0.0, seconds=30.0)
    breaker.throttled(second, 1.0, seconds=2.0)

    assert breaker.wait(1.0) == timedelta(seconds=29)


def test_who_asks_for_a_week_is_asked_again_before(breaker: CircuitBreaker) -> None:
    _throttle(breaker, 0.0, 7 * 86400.0)

    assert breaker.wait(0.0) == timedelta(seconds=60)


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")])
def test_a_pause_that_is_none_is_none(breaker: CircuitBreaker, seconds: float) -> None:
    _throttle(breaker, 0.0, seconds)

    assert breaker.acquire(0.0) is not None


def test_a_probe_that_is_asked_to_wait_leaves_its_place_to_the_next(breaker: CircuitBreaker) -> None:
    for _ in range(2):
        breaker.failed(breaker.acquire(0.0), 0.0)
    _throttle(breaker, 10.0, 5.0)

    assert (breaker.state, breaker.acquire(14.0)) == (CircuitState.HALF_OPEN, None)
    breaker.succeeded(breaker.acquire(15.0), 15.0)
    assert breaker.state is CircuitState.CLOSED


def test_a_late_answer_of_an_older_generation_throttles_nobody(breaker: CircuitBreaker) -> None:
    late = breaker.acquire(0.0)
    breaker.reset(1.0)

    assert not breaker.throttled(late, 1.0, seconds=30.0)
    assert breaker.acquire(1.0) is not None


@pytest.mark.parametrize("by_hand", [CircuitBreaker.reset, CircuitBreaker.disable])
def test_a_person_ends_it(breaker: CircuitBreaker, by_hand) -> None:
    _throttle(breaker, 0.0, 30.0)

    by_hand(breaker, 1.0)

    assert breaker.acquire(1.0) is not None


def test_time_that_a_caller_asked_to_wait_makes_no_call_slow() -> None:
    breaker = CircuitBreaker(CircuitPolicy(slow_call=timedelta(seconds=1)))
    for at, idle in ((0.0, 4.5), (10.0, 3.0)):
        permit = breaker.acquire(at)
        permit.idle_s = idle
        breaker.succeeded(permit, at + 5.0)

    assert (breaker.snapshot(15.0).calls, breaker.snapshot(15.0).slow) == (2, 1)


async def test_an_error_says_it_through_the_guard_and_those_who_come_are_told_when(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock, generator=random.Random(1))
    with pytest.raises(QuotaExceeded):
        async with circuits.permit(KEY):
            raise QuotaExceeded("x", retry_after_s=30.0)
    clock.advance(timedelta(seconds=10))

    with pytest.raises(Throttled, match="asked to be left alone; try again in 20 s") as refused:
        circuits.acquire(KEY)
    with pytest.raises(Throttled):
        circuits.check(KEY)

    assert (circuits.rests(KEY), circuits.snapshots()[KEY].refused) == (True, 2)
    assert refused.value.context == {"key": KEY, "retry_after_s": 20.0}


async def test_an_error_that_is_the_callers_own_throttles_nobody(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock)
    for error in (CircuitOpen("another rests", retry_after_s=30.0), QuotaExceeded("x", retry_after_s=True)):
        with pytest.raises(type(error)):
            async with circuits.permit(KEY):
                raise error

    assert not circuits.rests(KEY)


def test_a_look_at_a_breaker_makes_none_and_counts_nothing(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock)

    assert (circuits.rests(KEY), circuits.state(KEY), len(circuits)) == (False, "closed", 0)
