"""Ids."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aurora.kernel.ids import Uuid7Factory, case_id_of
from aurora.testing import ManualClock
from tests.conftest import NOON


def _factory(clock: ManualClock, seed: int = 1) -> Uuid7Factory:
    return Uuid7Factory(clock=clock, generator=random.Random(seed))


def test_ids_are_version_7_with_the_time_in_front() -> None:
    made = _factory(ManualClock(NOON))()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert datetime.fromtimestamp((made.int >> 80) / 1000, UTC) == NOON


def test_ids_grow_also_within_one_moment_and_when_the_clock_goes_back() -> None:
    clock = ManualClock(NOON)
    factory = _factory(clock)

    made = [factory() for _ in range(10_000)]
    clock.advance(-timedelta(hours=1))
    made += [factory() for _ in range(100)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(each.version == 7 for each in made)


def test_the_same_seed_makes_the_same_ids_and_another_seed_others() -> None:
    one, same, other = (_factory(ManualClock(NOON), seed) for seed in (1, 1, 2))

    assert one() == same() != other()


def test_the_case_of_a_group_has_one_id_whoever_opens_it() -> None:
    factory = _factory(ManualClock(NOON))
    group, another = factory(), factory()

    case = case_id_of(group)

    assert case == case_id_of(UUID(str(group)))
    assert case not in {group, case_id_of(another)}
    assert (case.version, case.variant, case.int >> 80) == (7, "specified in RFC 4122", group.int >> 80)
