"""What processes tell of their breakers, and what people decide about them."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from aurora.dispatch.circuit import CircuitPolicy, CircuitState
from aurora.dispatch.circuits import Circuits
from aurora.services.breakers import TOLD, apply_decisions, breakers_document
from aurora.storage.repositories.circuits import CircuitDecision, Decided
from aurora.testing import ManualClock
from tests.conftest import NOON

KEY = "broker:redis"


@pytest.fixture
def circuits(clock: ManualClock) -> Circuits:
    return Circuits(clock=clock, generator=random.Random(1), policy=CircuitPolicy(failure_threshold=2, jitter=0.0))


def _decision(serial: int, state: Decided, *, key: str = KEY) -> CircuitDecision:
    return CircuitDecision(key=key, state=state, serial=serial, reason="why", decided_by="ana", decided_at=NOON)


async def _fail(circuits: Circuits, key: str = KEY) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            async with circuits.permit(key):
                raise OSError("gone")


async def test_a_process_tells_how_its_breakers_are(circuits: Circuits, clock: ManualClock) -> None:
    await _fail(circuits)
    async with circuits.permit("model:openai"):
        pass
    circuits.force_open("broker:nats")
    clock.advance(timedelta(seconds=20))

    assert breakers_document(circuits) == {
        "broker:nats": {**_ZERO, "state": "forced_open", "wait_s": None},
        "broker:redis": {
            **_ZERO,
            "state": "open",
            "calls": 2,
            "failures": 2,
            "openings": 1,
            "admitted": 2,
            "wait_s": 40.0,
        },
        "model:openai": {**_ZERO, "state": "closed", "calls": 1, "admitted": 1, "wait_s": 0.0},
    }


_ZERO = {"calls": 0, "failures": 0, "slow": 0, "openings": 0, "admitted": 0, "refused": 0}


async def test_of_very_many_those_that_rest_are_told(circuits: Circuits) -> None:
    for number in range(TOLD + 50):
        async with circuits.permit(f"enricher:{number:03}"):
            pass
    await _fail(circuits, "enricher:149")

    told = breakers_document(circuits)

    assert (len(told), told["enricher:149"]["state"]) == (TOLD, "open")


def test_each_decision_is_obeyed_once(circuits: Circuits) -> None:
    first = apply_decisions(circuits, [_decision(1, Decided.FORCED_OPEN)])
    circuits.reset(KEY)

    again = apply_decisions(circuits, [_decision(1, Decided.FORCED_OPEN)])

    assert (first, again) == (1, 0)
    assert (circuits.state(KEY), circuits.obeyed) == (CircuitState.CLOSED, 1)


def test_decisions_are_obeyed_in_their_order(circuits: Circuits) -> None:
    apply_decisions(circuits, [_decision(3, Decided.DISABLED), _decision(2, Decided.FORCED_OPEN)])

    assert circuits.state(KEY) is CircuitState.DISABLED


async def test_a_reset_closes_what_opened_by_itself(circuits: Circuits) -> None:
    apply_decisions(circuits, [_decision(1, Decided.DISABLED, key="broker:nats")])
    await _fail(circuits)

    apply_decisions(circuits, [_decision(2, Decided.RESET)])

    assert circuits.state(KEY) is CircuitState.CLOSED


async def test_what_was_forced_survives_a_restart_and_an_old_reset_resets_nothing(circuits: Circuits) -> None:
    await _fail(circuits)
    standing = [
        _decision(4, Decided.RESET),
        _decision(5, Decided.FORCED_OPEN, key="model:openai"),
        _decision(6, Decided.DISABLED, key="broker:nats"),
    ]

    carried_out = apply_decisions(circuits, standing)

    assert carried_out == 2
    assert {key: circuits.state(key).value for key in circuits} == {
        KEY: "open",
        "model:openai": "forced_open",
        "broker:nats": "disabled",
    }
    assert circuits.obeyed == 6
