"""A budget is counted from what is told to it, and names the limit that is reached."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aurora.llm.budget import Budget
from aurora.llm.errors import BudgetExceeded
from aurora.settings import BudgetSettings

LIMITS = BudgetSettings(steps=3, tokens=1000, usd=Decimal("0.10"), wall=timedelta(seconds=10))


@pytest.mark.parametrize(
    ("limit", "spent"),
    [
        ("steps", {"calls": 3}),
        ("steps", {"rounds": 3}),
        ("tokens", {"tokens": 1000}),
        ("usd", {"usd": Decimal("0.10")}),
        ("wall", {"took": timedelta(seconds=10)}),
    ],
)
def test_a_limit_that_is_reached_is_named(limit: str, spent: Any) -> None:
    budget = Budget(LIMITS)
    budget.check()

    budget.spend(**spent)

    with pytest.raises(BudgetExceeded, match=f"AURORA_BUDGET__{limit.upper()}") as caught:
        budget.check()
    assert caught.value.context == {"limit": limit}


def test_just_below_every_limit_one_more_call_may_be_made() -> None:
    budget = Budget(LIMITS)

    budget.spend(calls=2, rounds=2, tokens=999, usd=Decimal("0.09"), took=timedelta(seconds=9))

    budget.check()
    assert budget.wall_left == timedelta(seconds=1)


def test_no_money_means_that_only_models_without_a_price_may_be_asked() -> None:
    budget = Budget(BudgetSettings(usd=Decimal(0)))
    budget.check()
    budget.spend(usd=None, calls=1)
    budget.check()

    budget.spend(usd=Decimal("0.000001"))

    with pytest.raises(BudgetExceeded, match="usd"):
        budget.check()
