"""The share of calls that may be retries."""

from __future__ import annotations

import pytest

from aurora.dispatch.retry_budget import RetryBudget, RetryShare


def _taken(budget: RetryBudget, now: float, *, most: int = 1000) -> int:
    return sum(budget.retry(now) for _ in range(most))


def test_there_is_a_reserve_at_the_start_and_time_fills_it_again_to_the_same_mark():
    budget = RetryBudget(RetryShare(per_second=2.0, reserve=10.0))

    assert _taken(budget, 0.0) == 10
    assert _taken(budget, 3.0) == 6
    assert _taken(budget, 9000.0) == 10


def test_calls_save_up_a_share_and_no_more_than_the_most():
    budget = RetryBudget(RetryShare(ratio=0.2, per_second=0.0, reserve=0.0, most=50.0))

    for _ in range(100):
        budget.called(0.0)
    saved = _taken(budget, 0.0)
    for _ in range(10_000):
        budget.called(0.0)

    assert saved in {19, 20}  # a fifth, but for the rounding of a hundred sums
    assert _taken(budget, 0.0) == 50


def test_time_does_not_take_away_what_calls_have_saved():
    budget = RetryBudget(RetryShare(ratio=1.0, per_second=1.0, reserve=5.0))
    for _ in range(20):
        budget.called(0.0)

    assert budget.left(100.0) == 25.0


def test_a_clock_that_is_set_back_gives_nothing():
    budget = RetryBudget(RetryShare(per_second=1.0, reserve=10.0))
    _taken(budget, 100.0)

    assert _taken(budget, 50.0) == 0
    assert _taken(budget, 101.0) == 1


@pytest.mark.parametrize("fault", [{"ratio": -0.1}, {"per_second": -1.0}, {"reserve": 200.0}])
def test_numbers_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValueError, match="must not be negative"):
        RetryShare(**fault)
