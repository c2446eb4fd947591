"""The circuit breaker of the founding contract."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aurora.dispatch.circuit import CircuitBreaker, CircuitPolicy, CircuitState


def _opened(breaker: CircuitBreaker, *, at: float = 0.0, draw: float = 0.0) -> float:
    """Fail until it opens; return the moment at which its rest is over."""
    while breaker.state is CircuitState.CLOSED:
        breaker.failed(breaker.acquire(at), at, draw=draw)
    return at + breaker.wait(at).total_seconds()


class TestCircuitBreaker:
    def test_starts_closed(self) -> None:
        breaker = CircuitBreaker()

        assert breaker.state == "closed"
        assert breaker.acquire(0.0) is not None
        assert (breaker.policy.failure_threshold, breaker.policy.recovery_timeout) == (5, timedelta(seconds=60))

    def test_stays_closed_below_the_threshold(self) -> None:
        breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=30.0)

        for _ in range(2):
            breaker.failed(breaker.acquire(1.0), 1.0)

        assert (breaker.state, breaker.failure_count, breaker.last_failure_time) == ("closed", 2, 1.0)
        assert breaker.acquire(1.0) is not None

    def test_opens_at_the_threshold_and_refuses(self) -> None:
        breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=30.0)

        for _ in range(3):
            breaker.failed(breaker.acquire(1.0), 1.0)

        assert breaker.state == "open"
        assert breaker.wait(21.0) == timedelta(seconds=10)
        assert breaker.acquire(30.999) is None

    def test_a_success_between_failures_starts_the_count_again(self) -> None:
        breaker = CircuitBreaker(failure_threshold=2)

        for _ in range(4):
            breaker.failed(breaker.acquire(0.0), 0.0)
            breaker.succeeded(breaker.acquire(0.0), 0.0)

        assert breaker.state == "closed"

    def test_half_open_after_the_timeout_admits_one_probe_of_a_hundred_callers(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=30.0)
        rested = _opened(breaker)

        permits = [breaker.acquire(rested) for _ in range(100)]

        assert breaker.state == "half_open"
        assert sum(permit is not None for permit in permits) == 1

    def test_a_successful_probe_closes(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        rested = _opened(breaker)

        breaker.succeeded(breaker.acquire(rested), rested + 1)

        assert (breaker.state, breaker.failure_count) == ("closed", 0)
        assert breaker.acquire(rested + 1) is not None

    def test_a_failed_probe_reopens_for_longer(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=timedelta(seconds=30))
        rested = _opened(breaker)

        breaker.failed(breaker.acquire(rested), rested)

        assert (breaker.state, breaker.wait(rested)) == ("open", timedelta(seconds=60))


class TestRates:
    def test_half_of_the_window_failed_opens_without_a_row_of_failures(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(minimum_calls=10))

        for number in range(9):
            settle = breaker.failed if number % 2 else breaker.succeeded
            settle(breaker.acquire(0.0), 0.0)
        before = breaker.state
        breaker.failed(breaker.acquire(0.0), 0.0)

        assert (before, breaker.state) == ("closed", "open")
        assert breaker.take_events()[-1].reason == "failure_rate"

    def test_slow_calls_open_though_each_succeeds(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(minimum_calls=4, slow_call=timedelta(seconds=2), slow_rate=0.5))

        permits = [breaker.acquire(0.0) for _ in range(4)]
        for permit, ended in zip(permits, (1.9, 1.9, 2.0, 2.0), strict=True):
            breaker.succeeded(permit, ended)

        assert breaker.take_events()[-1].reason == "slow_rate"

    def test_calls_that_ended_long_ago_weigh_nothing(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(minimum_calls=4, window=timedelta(seconds=10), failure_threshold=9))

        for now in (0.0, 0.0, 10.0, 10.0):
            breaker.failed(breaker.acquire(now), now)

        assert (breaker.state, breaker.snapshot(10.0).calls) == ("closed", 2)

    def test_the_window_holds_no_more_calls_than_it_may(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(minimum_calls=2, window_calls=4, failure_rate=0.75))

        for _ in range(3):
            breaker.succeeded(breaker.acquire(0.0), 0.0)
        for _ in range(3):
            breaker.failed(breaker.acquire(0.0), 0.0)

        assert breaker.take_events()[-1].reason == "failure_rate"


class TestLateAndLostResults:
    def test_a_success_that_began_before_the_opening_does_not_close(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        early = breaker.acquire(0.0)
        _opened(breaker)

        assert breaker.succeeded(early, 1.0) is False
        assert breaker.state == "open"

    def test_a_failure_that_began_before_the_opening_does_not_fail_the_probe(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        early = breaker.acquire(0.0)
        rested = _opened(breaker)
        probe = breaker.acquire(rested)

        assert breaker.failed(early, rested) is False
        assert breaker.succeeded(probe, rested) is True
        assert breaker.state == "closed"

    def test_a_result_counts_once(self) -> None:
        breaker = CircuitBreaker(failure_threshold=2)
        permit = breaker.acquire(0.0)

        assert [breaker.failed(permit, 0.0) for _ in range(3)] == [True, False, False]
        assert breaker.state == "closed"

    def test_cancellations_never_open(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)

        for _ in range(20):
            breaker.cancelled(breaker.acquire(0.0), 0.0)

        assert (breaker.state, breaker.snapshot(0.0).calls) == ("closed", 0)

    def test_a_cancelled_probe_makes_room_for_the_next(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        rested = _opened(breaker)

        breaker.cancelled(breaker.acquire(rested), rested)

        assert breaker.acquire(rested) is not None

    def test_a_probe_that_never_comes_back_has_failed(self) -> None:
        """Its holder was killed: the breaker must neither stay half-open for ever nor believe a late success."""
        breaker = CircuitBreaker(CircuitPolicy(failure_threshold=1, probe_deadline=timedelta(seconds=5)))
        rested = _opened(breaker)
        probe = breaker.acquire(rested)

        assert breaker.acquire(rested + 4.9) is None
        assert breaker.succeeded(probe, rested + 5) is False
        assert breaker.state == "open"
        assert breaker.acquire(rested + 5 + 120) is not None

    def test_a_slow_probe_does_not_close(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(failure_threshold=1, slow_call=timedelta(seconds=3)))
        rested = _opened(breaker)

        breaker.succeeded(breaker.acquire(rested), rested + 3)

        assert breaker.state == "open"

    def test_several_probes_must_succeed_one_after_the_other(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(failure_threshold=1, probes=3))
        rested = _opened(breaker)

        states = []
        for _ in range(3):
            probe, second = breaker.acquire(rested), breaker.acquire(rested)
            assert second is None
            breaker.succeeded(probe, rested)
            states.append(breaker.state.value)

        assert states == ["half_open", "half_open", "closed"]


class TestOpenPeriods:
    def test_they_double_up_to_the_longest(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(failure_threshold=1, longest=timedelta(minutes=5)))
        now, periods = _opened(breaker), []

        for _ in range(4):
            breaker.failed(breaker.acquire(now), now)
            periods.append(breaker.wait(now).total_seconds())
            now += periods[-1]

        assert periods == [120, 240, 300, 300]

    def test_a_breaker_that_came_to_rest_starts_with_a_short_period_again(self) -> None:
        breaker = CircuitBreaker(CircuitPolicy(failure_threshold=1, calm=timedelta(minutes=5)))
        rested = _opened(breaker)
        breaker.succeeded(breaker.acquire(rested), rested)

        soon, late = rested + 299, rested + 2000
        at_once = _opened(breaker, at=soon) - soon
        breaker.succeeded(breaker.acquire(soon + 120), soon + 120)
        after_calm = _opened(breaker, at=late) - late

        assert (at_once, after_calm) == (120, 60)

    @pytest.mark.parametrize(("draw", "period"), [(0.0, 60.0), (0.5, 66.0)])
    def test_the_draw_lengthens_them(self, draw: float, period: float) -> None:
        assert _opened(CircuitBreaker(failure_threshold=1), draw=draw) == pytest.approx(period)

    @pytest.mark.parametrize("draw", [-0.1, 1.0, float("nan")])
    def test_a_draw_outside_its_range_is_refused(self, draw: float) -> None:
        breaker = CircuitBreaker(failure_threshold=1)

        with pytest.raises(ValueError, match="draw"):
            breaker.failed(breaker.acquire(0.0), 0.0, draw=draw)


class TestManualControl:
    def test_forced_open_stays_so_whatever_time_passes(self) -> None:
        breaker = CircuitBreaker()

        breaker.force_open(0.0)

        assert breaker.acquire(1e9) is None
        assert breaker.wait(1e9) is None

    def test_disabled_admits_and_counts_nothing(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)

        breaker.disable(0.0)
        for _ in range(9):
            breaker.failed(breaker.acquire(0.0), 0.0)

        assert (breaker.state, breaker.failure_count) == ("disabled", 0)
        assert breaker.acquire(0.0) is not None

    def test_reset_closes_and_forgets(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        rested = _opened(breaker)
        breaker.failed(breaker.acquire(rested), rested)

        breaker.reset(rested)

        assert breaker.acquire(rested) is not None
        assert _opened(breaker, at=rested) - rested == 60

    def test_every_change_is_told_once(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        rested = _opened(breaker)
        breaker.succeeded(breaker.acquire(rested), rested + 1)

        told = [(each.at, each.before, each.after, each.reason, each.open_s) for each in breaker.take_events()]

        assert told == [
            (0.0, "closed", "open", "consecutive_failures", 60.0),
            (60.0, "open", "half_open", "rested", None),
            (61.0, "half_open", "closed", "recovered", None),
        ]
        assert breaker.take_events() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"minimum_calls": 5, "window_calls": 4},
        {"failure_rate": 0.0},
        {"slow_rate": 1.01},
        {"recovery_timeout": timedelta()},
        {"growth": 0.5},
        {"jitter": 2.0},
        {"failure_rate": float("nan")},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CircuitPolicy(**wrong)
