"""Breakers by key: the clock, the generator, the guard of a call and the cap."""

from __future__ import annotations

import asyncio
import pickle
import random
from datetime import timedelta

import pytest

from aurora.dispatch.circuit import CircuitOpen, CircuitPolicy, Transition
from aurora.dispatch.circuits import Circuits
from aurora.kernel.errors import InputError, StorageUnavailable
from aurora.testing import ManualClock

KEY = "model:openai"


@pytest.fixture
def circuits(clock: ManualClock) -> Circuits:
    return Circuits(clock=clock, generator=random.Random(7), policy=CircuitPolicy(failure_threshold=2, jitter=0.0))


async def _call(circuits: Circuits, error: BaseException | None = None, *, key: str = KEY, **options) -> None:
    async with circuits.permit(key, **options):
        if error is not None:
            raise error


async def _fail(circuits: Circuits, key: str = KEY, *, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(OSError, match="gone"):
            await _call(circuits, OSError("gone"), key=key)


def _state(circuits: Circuits, key: str = KEY) -> str:
    return circuits.snapshots()[key].state.value


async def test_an_open_circuit_refuses_before_the_body_runs_and_says_when_to_try_again(
    circuits: Circuits, clock: ManualClock
) -> None:
    await _fail(circuits)
    clock.advance(timedelta(seconds=20))

    with pytest.raises(CircuitOpen, match=r"model:openai .* try again in 40 s") as refused:
        await _call(circuits, AssertionError("the body ran"))

    assert refused.value.retryable
    assert refused.value.context == {"key": KEY, "retry_after_s": 40.0}
    assert pickle.loads(pickle.dumps(refused.value)).context == refused.value.context


async def test_one_dependency_does_not_open_for_another(circuits: Circuits) -> None:
    await _fail(circuits)

    await _call(circuits, key="model:local")

    assert (_state(circuits), _state(circuits, "model:local")) == ("open", "closed")


async def test_it_recovers_through_a_single_probe(circuits: Circuits, clock: ManualClock) -> None:
    await _fail(circuits)
    clock.advance(timedelta(seconds=60))
    admitted, answer = [], asyncio.Event()

    async def probe(number: int) -> None:
        async with circuits.permit(KEY):
            admitted.append(number)
            await answer.wait()

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(_refused(probe(number))) for number in range(20)]
        for _ in range(3):
            await asyncio.sleep(0)
        answer.set()

    assert sum(call.result() for call in calls) == 19
    assert len(admitted) == 1
    assert _state(circuits) == "closed"


async def _refused(call) -> bool:
    try:
        await call
    except CircuitOpen:
        return True
    return False


@pytest.mark.parametrize(
    "error", [InputError("the caller's own"), CircuitOpen("another rests"), asyncio.CancelledError(), KeyError("known")]
)
async def test_errors_that_are_not_its_fault_do_not_count(circuits: Circuits, error: BaseException) -> None:
    for _ in range(5):
        with pytest.raises(type(error)):
            await _call(circuits, error, excluded=(KeyError,))

    assert (_state(circuits), circuits.snapshots()[KEY].calls) == ("closed", 0)


@pytest.mark.parametrize("error", [StorageUnavailable("away"), TimeoutError(), ConnectionResetError()])
async def test_errors_that_are_its_fault_open_it(circuits: Circuits, error: Exception) -> None:
    for _ in range(2):
        with pytest.raises(type(error)):
            await _call(circuits, error)

    assert _state(circuits) == "open"


async def test_a_call_that_is_cancelled_while_it_probes_leaves_room_for_the_next(
    circuits: Circuits, clock: ManualClock
) -> None:
    await _fail(circuits)
    clock.advance(timedelta(seconds=60))
    with pytest.raises(asyncio.CancelledError):
        await _call(circuits, asyncio.CancelledError())

    await _call(circuits)

    assert _state(circuits) == "closed"


async def test_a_policy_is_chosen_by_key_then_by_kind(clock: ManualClock) -> None:
    policies = {"model": CircuitPolicy(failure_threshold=3), "model:local": CircuitPolicy(failure_threshold=1)}
    circuits = Circuits(clock=clock, policies=policies)

    for key in ("model:local", "model:openai", "broker:redis"):
        await _fail(circuits, key, times=1)
    await _fail(circuits, "model:openai", times=2)

    assert {key: _state(circuits, key) for key in circuits} == {
        "model:local": "open",
        "model:openai": "open",
        "broker:redis": "closed",
    }


async def test_the_cap_drops_the_least_recently_used_and_keeps_what_is_open_or_set_by_hand(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock, policy=CircuitPolicy(failure_threshold=1), cap=3)
    await _fail(circuits, "failing", times=1)
    circuits.force_open("isolated")

    for number in range(50):
        await _call(circuits, key=f"tenant-{number}")

    assert list(circuits) == ["failing", "isolated", "tenant-49"]


async def test_what_was_used_lately_outlives_what_was_not(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock, cap=2)

    for key in ("often", "once", "often", "new"):
        await _call(circuits, key=key)

    assert list(circuits) == ["often", "new"]


async def test_the_cap_holds_when_every_dependency_is_down(clock: ManualClock) -> None:
    circuits = Circuits(clock=clock, policy=CircuitPolicy(failure_threshold=1), cap=3)

    for number in range(20):
        await _fail(circuits, f"host-{number}", times=1)

    assert list(circuits) == ["host-17", "host-18", "host-19"]


async def test_a_person_opens_switches_off_and_resets(circuits: Circuits, clock: ManualClock) -> None:
    circuits.force_open(KEY)
    clock.advance(timedelta(days=9))
    with pytest.raises(CircuitOpen, match="by a person") as refused:
        await _call(circuits)
    assert refused.value.context["retry_after_s"] is None

    circuits.disable(KEY)
    await _fail(circuits, times=9)
    assert _state(circuits) == "disabled"

    circuits.reset(KEY)
    await _call(circuits)
    assert _state(circuits) == "closed"


async def test_changes_are_logged_and_told(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, Transition]] = []
    circuits = Circuits(
        clock=clock,
        policy=CircuitPolicy(failure_threshold=1, jitter=0.0),
        listener=lambda key, change: heard.append((key, change)),
    )

    await _fail(circuits, times=1)

    ((key, change),) = heard
    assert (key, change.after, change.open_s) == (KEY, "open", 60.0)
    (record,) = caplog.records
    assert (record.msg, record.levelname, record.circuit, record.after) == ("circuit.changed", "WARNING", KEY, "open")
