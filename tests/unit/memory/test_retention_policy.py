"""What a policy lets go of, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memory.forgetting import PolicyInvalid, RetentionPolicy
from memory.items import Tier

DAY = timedelta(days=1)


def test_an_item_counts_half_after_each_half_life_of_its_kind() -> None:
    policy = RetentionPolicy(half_lives={(Tier.EPISODIC, None): 90 * DAY, (Tier.EPISODIC, "run"): 30 * DAY})

    weights = [
        policy.weight(Tier.EPISODIC, kind, importance=0.8, age=days * DAY)
        for kind, days in (("case", 0), ("case", 90), ("case", 180), ("run", 30), ("run", 90))
    ]

    assert weights == pytest.approx([0.8, 0.4, 0.2, 0.4, 0.1])


@pytest.mark.parametrize(("kind", "tier"), [("outcome", Tier.EPISODIC), ("note", Tier.PROCEDURAL)])
def test_what_people_said_does_not_decay(kind: str, tier: Tier) -> None:
    assert not RetentionPolicy().has_decayed(tier, kind, importance=0.1, age=36_500 * DAY)


def test_an_important_item_outlives_one_that_is_not() -> None:
    policy = RetentionPolicy()
    age = 400 * DAY

    assert policy.has_decayed(Tier.EPISODIC, "case", importance=0.4, age=age)
    assert not policy.has_decayed(Tier.EPISODIC, "case", importance=0.9, age=age)


def test_what_was_never_important_lives_for_one_half_life() -> None:
    policy = RetentionPolicy()

    decayed = [policy.has_decayed(Tier.EPISODIC, "run", importance=0.0, age=days * DAY) for days in (0, 30, 31)]

    assert decayed == [False, False, True]


def test_an_item_of_the_future_counts_what_a_new_one_does() -> None:
    assert RetentionPolicy().weight(Tier.EPISODIC, "case", importance=0.5, age=-DAY) == 0.5


def test_nothing_is_overdue_unless_a_limit_is_named_and_the_kinds_own_goes_first() -> None:
    policy = RetentionPolicy(keep={(Tier.EPISODIC, None): 10 * DAY, (Tier.EPISODIC, "case"): 20 * DAY})

    overdue = [
        policy.is_overdue(tier, kind, age=15 * DAY)
        for tier, kind in ((Tier.EPISODIC, "run"), (Tier.EPISODIC, "case"), (Tier.SEMANTIC, "fact"))
    ]

    assert overdue == [True, False, False]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("floor", {"floor": 1.0}),
        ("half_lives", {"half_lives": {(Tier.EPISODIC, None): timedelta()}}),
        ("keep", {"keep": {(Tier.EPISODIC, None): -DAY}}),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_and_the_field_named(field: str, options: dict) -> None:
    with pytest.raises(PolicyInvalid, match=field):
        RetentionPolicy(**options)
