"""Health checks tell the truth."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aurora.observability.health import ASKED_LIMIT, LOOK_LIMIT, LOOP_LIMIT, livez, readyz
from aurora.observability.vitals import Circuit, Sign, Vitals

SECOND = timedelta(seconds=1)


@pytest.fixture
def vitals(clock) -> Vitals:
    """A worker that has just shown all signs of life, with a database and a broker."""
    vitals = Vitals(clock=clock)
    _refresh(vitals)
    return vitals


def _refresh(vitals: Vitals) -> None:
    for sign in Sign:
        vitals.show(sign)
    vitals.found("database", is_up=True, is_needed=True)
    vitals.found("broker:redis", is_up=True, detail="valkey 9.1.2")


def test_a_worker_that_shows_life_is_live_and_ready(vitals):
    assert livez(vitals) == (True, {"status": "live"})
    is_ready, document = readyz(vitals)
    assert is_ready
    assert document["status"] == "ready"
    assert document["checks"]["broker:redis"] == {
        "status": "up",
        "needed": False,
        "asked_s_ago": 0.0,
        "detail": "valkey 9.1.2",
    }


@pytest.mark.parametrize(
    ("sign", "limit", "reason"),
    [
        (Sign.LOOP, LOOP_LIMIT, "the event loop did not come round for 11 s"),
        (Sign.LOOK, LOOK_LIMIT, "nobody looked for work in the ledger for 31 s"),
    ],
)
def test_a_part_that_shows_no_life_makes_it_not_live_and_not_ready(vitals, clock, sign, limit, reason):
    clock.advance(limit)
    at_the_limit, _ = livez(vitals)
    clock.advance(SECOND)
    for other in set(Sign) - {sign}:
        vitals.show(other)
    vitals.found("database", is_up=True, is_needed=True)

    assert at_the_limit or sign is Sign.LOOK  # the loop was silent for longer by then
    assert livez(vitals) == (False, {"status": "not live", "reasons": [reason]})
    assert readyz(vitals)[0] is False
    assert readyz(vitals)[1]["checks"]["process"]["detail"] == reason


def test_one_that_never_came_so_far_is_given_as_long_as_one_that_stopped(clock):
    vitals = Vitals(clock=clock)
    clock.advance(LOOP_LIMIT)
    young, _ = livez(vitals)
    clock.advance(SECOND)

    assert (young, livez(vitals)[0]) == (True, False)


def test_a_database_that_is_away_makes_it_not_ready_but_leaves_it_live(vitals):
    vitals.found("database", is_up=False, is_needed=True, detail="aurora.storage.unavailable")

    is_ready, document = readyz(vitals)

    assert livez(vitals)[0]
    assert (is_ready, document["status"]) == (False, "not ready")
    assert document["checks"]["database"]["detail"] == "aurora.storage.unavailable"


def test_a_database_that_nobody_asked_yet_is_not_taken_for_ready(clock):
    vitals = Vitals(clock=clock)

    assert readyz(vitals)[0] is False
    assert readyz(vitals)[1]["checks"]["database"]["status"] == "unknown"


def test_an_old_answer_of_the_database_is_not_told_as_the_truth(vitals, clock):
    clock.advance(ASKED_LIMIT + SECOND)
    for sign in Sign:
        vitals.show(sign)

    assert readyz(vitals)[0] is False
    assert readyz(vitals)[1]["checks"]["database"]["status"] == "unknown"


def test_a_broker_that_is_away_is_told_but_work_goes_on_without_it(vitals):
    vitals.found("broker:redis", is_up=False, detail="aurora.broker.unavailable")
    vitals.circuits = {"broker:redis": Circuit("open")}

    is_ready, document = readyz(vitals)

    assert is_ready
    assert document["checks"]["broker:redis"]["status"] == "down"
    assert document["checks"]["broker:redis"]["circuit"] == "open"


def test_a_draining_worker_is_live_and_not_ready_however_long_it_does_not_look_for_work(vitals, clock):
    vitals.is_draining = True
    clock.advance(LOOK_LIMIT + SECOND)
    vitals.show(Sign.LOOP)
    vitals.found("database", is_up=True, is_needed=True)

    assert livez(vitals)[0]
    assert readyz(vitals)[0] is False
    assert readyz(vitals)[1]["status"] == "draining"
