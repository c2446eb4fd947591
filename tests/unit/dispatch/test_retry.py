"""When a task that failed is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.dispatch.retry import RetryPolicy

ALMOST_ONE = 1 - 2**-53


def test_the_ceiling_doubles_from_a_second_until_attempts_are_used_up():
    policy = RetryPolicy()

    delays = [policy.delay(attempt, draw=0.5) for attempt in range(1, 6)]

    assert delays == [timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4)] + [None]


def test_no_delay_is_longer_than_the_cap():
    policy = RetryPolicy(max_attempts=1000, cap=timedelta(minutes=1))

    assert policy.delay(7, draw=0.5) == timedelta(seconds=30)
    assert policy.delay(999, draw=0.5) == timedelta(seconds=30), "many attempts overflow nothing"
    assert policy.delay(1000, draw=0.5) is None


def test_one_attempt_is_never_repeated():
    assert RetryPolicy(max_attempts=1).delay(1, draw=0.0) is None


@pytest.mark.parametrize(("attempt", "draw"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1), (1, float("nan"))])
def test_what_makes_no_sense_is_refused(attempt: int, draw: float):
    with pytest.raises(ValueError, match="attempt="):
        RetryPolicy().delay(attempt, draw=draw)


@given(
    attempt=st.integers(1, 99),
    draw=st.floats(0, ALMOST_ONE),
    base_s=st.floats(0.001, 1000),
    cap_s=st.floats(0.001, 10_000),
)
def test_jitter_is_full(attempt: int, draw: float, base_s: float, cap_s: float):
    """From nothing up to the ceiling, in proportion to the draw: so that many that failed together do not meet."""
    policy = RetryPolicy(max_attempts=100, base=timedelta(seconds=base_s), cap=timedelta(seconds=cap_s))

    delay = policy.delay(attempt, draw=draw)

    ceiling = min(policy.cap, policy.base * 2 ** min(attempt - 1, 24))
    assert policy.delay(attempt, draw=0.0) == timedelta()
    assert delay is not None
    assert timedelta() <= delay <= policy.cap
    assert attempt > 24 or abs(delay - ceiling * draw) <= timedelta(microseconds=1)
