"""How a dependency is called: the order of the guards, pauses, places and the retry budget. All in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from aurora.dispatch.circuit import CircuitOpen, CircuitPolicy, Throttled
from aurora.dispatch.circuits import Circuits
from aurora.dispatch.policy import Allowance, AttemptTimeout, Crowded, Effort, Policy
from aurora.dispatch.retry_budget import RetryShare
from aurora.kernel.errors import DeadlinePassed, InputError, QuotaExceeded, StorageUnavailable
from aurora.testing import ManualClock
from tests.llm_kit import in_time

T = TypeVar("T")

KEY = "enricher:dns"
STEP = timedelta(milliseconds=100)


async def timed(clock: ManualClock, call: Awaitable[T], *, step: timedelta = STEP) -> T:
    """Return or raise what a call comes to, while time moves on whenever it waits."""
    outcome = await in_time(clock, asyncio.gather(call, return_exceptions=True), step=step)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


class Dependency:
    """Does one thing after the other, the last one again and again: waits, raises or answers."""

    def __init__(self, clock: ManualClock, *acts: Any) -> None:
        self._clock = clock
        self._acts = acts
        self.called: list[float] = []
        self.inside = self.most = 0

    async def __call__(self) -> str:
        self.called.append(self._clock.monotonic())
        act = self._acts[min(len(self.called), len(self._acts)) - 1]
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if isinstance(act, timedelta):
                await self._clock.sleep(act)
            elif act is not None:
                raise act
        finally:
            self.inside -= 1
        return "answer"


class Guarded:
    """A policy with its breakers."""

    def __init__(self, clock: ManualClock, **options: Any) -> None:
        circuit = CircuitPolicy(failure_threshold=3, recovery_timeout=timedelta(seconds=60), jitter=0.0)
        allowance = {"attempt": timedelta(seconds=10)} | options.pop("allowance", {})
        self.clock = clock
        self.circuits = Circuits(clock=clock, policy=options.pop("circuit", circuit))
        self.policy = Policy(
            circuits=self.circuits,
            clock=clock,
            generator=random.Random(3),
            allowance=Allowance(**allowance),
            **{"places": 4, **options},
        )

    async def call(self, work: Callable[[], Awaitable[str]], *, left: float | None = None, **options: Any) -> str:
        deadline = None if left is None else self.clock.now() + timedelta(seconds=left)
        return await self.policy.call(KEY, work, deadline=deadline, **options)

    @property
    def state(self) -> str:
        return self.circuits.snapshots()[KEY].state.value


@pytest.fixture
def guarded(clock: ManualClock) -> Callable[..., Guarded]:
    return lambda **options: Guarded(clock, **options)


async def test_a_failure_that_may_pass_is_tried_again_after_a_pause(clock: ManualClock, guarded: Any) -> None:
    dependency, effort = Dependency(clock, StorageUnavailable("x"), StorageUnavailable("x"), None), Effort()

    answer = await timed(clock, guarded().call(dependency, effort=effort), step=STEP)

    assert answer == "answer"
    first, second, third = dependency.called
    assert first < second < third
    assert (effort.attempts, effort.took) == (3, timedelta(seconds=third))


@pytest.mark.parametrize("error", [InputError("the caller's own"), KeyError("a fault")])
async def test_a_failure_that_stays_is_not_tried_again(clock: ManualClock, guarded: Any, error: Exception) -> None:
    dependency = Dependency(clock, error)

    with pytest.raises(type(error)):
        await timed(clock, guarded().call(dependency))

    assert len(dependency.called) == 1


async def test_no_attempt_begins_after_the_deadline(clock: ManualClock, guarded: Any) -> None:
    dependency = Dependency(clock, None)

    with pytest.raises(DeadlinePassed):
        await guarded().call(dependency, left=0)

    assert dependency.called == []


async def test_an_attempt_has_no_more_time_than_the_deadline_leaves(clock: ManualClock, guarded: Any) -> None:
    with pytest.raises(AttemptTimeout) as late:
        await timed(clock, guarded().call(Dependency(clock, timedelta(hours=1)), left=4), step=STEP)

    assert late.value.context["deadline_s"] == 4.0
    assert clock.monotonic() == pytest.approx(4.0)


async def test_a_pause_that_would_end_after_the_deadline_is_not_begun(clock: ManualClock, guarded: Any) -> None:
    dependency = Dependency(clock, QuotaExceeded("x", retry_after_s=30.0), None)

    with pytest.raises(QuotaExceeded):
        await timed(clock, guarded().call(dependency, left=20))

    assert clock.monotonic() == 0.0


async def test_an_open_breaker_takes_no_place_and_is_not_waited_for(clock: ManualClock, guarded: Any) -> None:
    """The breaker is asked before the bulkhead: a place that hangs must not delay a refusal."""
    each = guarded(places=1, counts=lambda error: isinstance(error, InputError))
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(each.call(Dependency(clock, timedelta(hours=1)), left=3))
        await asyncio.sleep(0)
        each.circuits.force_open(KEY)
        dependency = Dependency(clock, None)

        with pytest.raises(CircuitOpen):
            await asyncio.wait_for(each.call(dependency), 1)

        hanging.cancel()
    assert dependency.called == []
    assert each.circuits.snapshots()[KEY].refused == 1


async def test_a_breaker_that_opens_meanwhile_holds_for_those_that_wait(clock: ManualClock, guarded: Any) -> None:
    """It is asked again when the place is there."""
    each = guarded(places=1, allowance={"attempts": 1})
    waiting, hanging = Dependency(clock, None), Dependency(clock, timedelta(seconds=5))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(each.call(hanging))
        second = group.create_task(_error_of(each.call(waiting)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(3):
            breaker, permit = each.circuits.acquire(KEY)
            each.circuits.settle(KEY, breaker, permit, failed=True)
        await in_time(clock, asyncio.wait([first, second]), step=STEP)

    assert waiting.called == []
    assert isinstance(second.result(), CircuitOpen)


async def test_waiting_for_a_place_uses_up_nothing_of_a_probes_time(clock: ManualClock, guarded: Any) -> None:
    """The permit is taken with the place: a probe that stood in a queue is not taken for lost."""
    circuit = CircuitPolicy(
        failure_threshold=1,
        recovery_timeout=timedelta(seconds=1),
        probe_deadline=timedelta(seconds=5),
        jitter=0.0,
    )
    each = guarded(places=1, circuit=circuit, allowance={"attempt": timedelta(seconds=60), "attempts": 1})
    probe = Dependency(clock, timedelta(seconds=4))
    async with asyncio.TaskGroup() as group:
        long = group.create_task(each.call(Dependency(clock, timedelta(seconds=30))))
        await asyncio.sleep(0)
        breaker, permit = each.circuits.acquire(KEY)
        each.circuits.settle(KEY, breaker, permit, failed=True)
        clock.advance(timedelta(seconds=2))
        queued = group.create_task(each.call(probe))
        await in_time(clock, asyncio.wait([long, queued]), step=STEP)

    assert queued.result() == "answer"
    assert probe.called[0] >= 30.0
    assert each.state == "closed"


async def test_an_attempt_that_is_too_slow_is_a_failure_and_cancellation_is_none(
    clock: ManualClock, guarded: Any
) -> None:
    """The time-out is inside the breaker; what comes from outside says nothing about the dependency."""
    slow, cancelled = guarded(counts=lambda _: False, allowance={"attempts": 1}), guarded()

    for _ in range(3):
        with pytest.raises(AttemptTimeout):
            await timed(clock, slow.call(Dependency(clock, timedelta(hours=1))))
    for _ in range(9):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(cancelled.call(Dependency(clock, timedelta(hours=1))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()

    assert slow.state == "open"
    assert cancelled.state == "closed"
    assert cancelled.circuits.snapshots()[KEY].calls == 0


async def test_a_time_out_of_the_work_itself_is_told_as_it_is(clock: ManualClock, guarded: Any) -> None:
    with pytest.raises(TimeoutError, match="its own"):
        await guarded().call(Dependency(clock, TimeoutError("its own")))


async def test_places_bound_the_calls_under_way_and_pauses_hold_none(clock: ManualClock, guarded: Any) -> None:
    each = guarded(places=3)
    dependency = Dependency(clock, StorageUnavailable("x"), timedelta(seconds=1))

    await in_time(clock, asyncio.gather(*(each.call(dependency) for _ in range(10))), step=STEP)

    assert dependency.most == 3
    assert len(dependency.called) == 11


async def test_nobody_waits_for_a_place_for_ever(clock: ManualClock, guarded: Any) -> None:
    each = guarded(places=1, allowance={"attempt": timedelta(hours=1), "place": timedelta(seconds=7)})
    dependency = Dependency(clock, None)
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(each.call(Dependency(clock, timedelta(hours=1))))
        await asyncio.sleep(0)

        with pytest.raises(Crowded) as crowded:
            await timed(clock, each.call(dependency), step=STEP)
        with pytest.raises(Crowded):
            await timed(clock, each.call(dependency, left=2), step=STEP)

        hanging.cancel()
    assert crowded.value.context["waited_s"] == 7.0
    assert clock.monotonic() == pytest.approx(9.0)
    assert dependency.called == []
    assert await each.call(dependency) == "answer"


async def test_who_is_cancelled_while_waiting_leaves_the_place_to_the_next(clock: ManualClock, guarded: Any) -> None:
    each = guarded(places=1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(each.call(Dependency(clock, timedelta(seconds=5))))
        gone = group.create_task(each.call(Dependency(clock, None)))
        last = group.create_task(each.call(Dependency(clock, None)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone.cancel()
        await in_time(clock, asyncio.wait([first, gone, last]), step=STEP)

    assert (first.result(), last.result(), gone.cancelled()) == ("answer", "answer", True)
    assert await each.call(Dependency(clock, None)) == "answer"


async def test_retries_are_a_share_of_the_calls(clock: ManualClock, guarded: Any) -> None:
    share = RetryShare(ratio=0.2, per_second=0.0, reserve=0.0)
    each = guarded(share=share, counts=lambda _: False, allowance={"attempts": 3, "first_pause": timedelta()})
    dependency = Dependency(clock, StorageUnavailable("x"))

    for _ in range(100):
        with pytest.raises(StorageUnavailable):
            await timed(clock, each.call(dependency))

    assert 118 <= len(dependency.called) <= 120


async def test_a_dependency_that_asks_for_a_pause_is_left_alone_by_all_and_has_not_failed(
    clock: ManualClock, guarded: Any
) -> None:
    each = guarded()
    dependency, others = Dependency(clock, QuotaExceeded("x", retry_after_s=20.0), None), Dependency(clock, None)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(each.call(dependency))
        await in_time(clock, asyncio.wait([first], timeout=0), step=timedelta())
        later = [group.create_task(each.call(others)) for _ in range(3)]
        await in_time(clock, asyncio.wait([first, *later]), step=STEP)

    assert [task.result() for task in (first, *later)] == ["answer"] * 4
    assert min(*dependency.called[1:], *others.called) >= 20.0
    assert (each.state, each.circuits.snapshots()[KEY].failures) == ("closed", 0)


async def test_calls_wait_as_long_as_the_dependency_asked_or_fail_at_once(clock: ManualClock, guarded: Any) -> None:
    each = guarded(allowance={"attempts": 1})
    with pytest.raises(QuotaExceeded):
        await each.call(Dependency(clock, QuotaExceeded("x", retry_after_s=20.0)))
    patient, hurried = Dependency(clock, None), Dependency(clock, None)
    waiting = Guarded(clock)
    waiting.policy._circuits = each.circuits

    with pytest.raises(Throttled) as refused:
        await waiting.call(hurried, left=15)
    answer = await timed(clock, waiting.call(patient, left=60), step=STEP)

    assert refused.value.context == {"key": KEY, "retry_after_s": 20.0}
    assert (answer, hurried.called) == ("answer", [])
    assert patient.called[0] >= 20.0


async def test_keys_share_nothing(clock: ManualClock, guarded: Any) -> None:
    each = guarded(places=1)
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(each.call(Dependency(clock, timedelta(hours=1))))
        await asyncio.sleep(0)

        answer = await each.policy.call("enricher:whois", Dependency(clock, None))

        hanging.cancel()
    assert answer == "answer"


async def _error_of(call: Awaitable[Any]) -> Exception | None:
    try:
        await call
    except Exception as error:  # noqa: BLE001 - that is the question
        return error
    return None
