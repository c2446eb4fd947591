"""What a circuit breaker costs a call, closed and open, and how many of a hundred callers it lets probe.

Peers that are not installed are left out, and it is said which: `pip install pybreaker aiobreaker circuitbreaker
purgatory` makes them all take part.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aurora.dispatch.circuit import CircuitBreaker, CircuitPolicy
from aurora.dispatch.circuits import Circuits
from aurora.kernel.clock import SystemClock
from tests.bench.measurement import Measurement

CALLS = 20_000
ROUNDS = 7
CALLERS = 100
FAILURES = 3
REST = timedelta(milliseconds=200)

Work = Callable[[], Awaitable[None]]
Call = Callable[[Work], Awaitable[Any]]
"""Makes one call through a breaker."""


@dataclass(frozen=True)
class Contender:
    """A breaker that opens after `FAILURES` and rests for so long."""

    make: Callable[[timedelta], Call]


def pybreaker(rest: timedelta) -> Call:
    """Made for threads. Its `call_async` wants tornado, so this drives it as its context manager does."""
    import pybreaker as peer

    breaker = peer.CircuitBreaker(fail_max=FAILURES, reset_timeout=rest.total_seconds())

    async def call(work: Work) -> None:
        with breaker.calling():
            await work()

    return call


def aiobreaker(rest: timedelta) -> Call:
    """Return a call through aiobreaker."""
    import aiobreaker as peer

    breaker = peer.CircuitBreaker(fail_max=FAILURES, timeout_duration=rest)
    return breaker.call_async


def circuitbreaker(rest: timedelta) -> Call:
    """Return a call through circuitbreaker."""
    import circuitbreaker as peer

    breaker = peer.CircuitBreaker(failure_threshold=FAILURES, recovery_timeout=rest.total_seconds())

    async def call(work: Work) -> None:
        await work()

    return breaker(call)  # its `call_async` alone lets everything through


def purgatory(rest: timedelta) -> Call:
    """Return a call through purgatory."""
    import purgatory as peer

    factory = peer.AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=rest.total_seconds())
    breaker: Any = None

    async def call(work: Work) -> None:
        nonlocal breaker
        if breaker is None:
            breaker = await factory.get_breaker("peer")
        async with breaker:
            await work()

    return call


PEERS = {each.__name__: each for each in (pybreaker, aiobreaker, circuitbreaker, purgatory)}


def breaker_alone(rest: timedelta) -> Call:
    """Return a call through our breaker and nothing else: what the goal of one microsecond is about."""
    breaker = CircuitBreaker(CircuitPolicy(failure_threshold=FAILURES, recovery_timeout=rest, jitter=0.0))

    async def call(work: Work) -> None:
        permit = breaker.acquire(time.monotonic())
        if permit is None:
            raise ConnectionRefusedError
        try:
            await work()
        except OSError:
            breaker.failed(permit, time.monotonic())
            raise
        breaker.succeeded(permit, time.monotonic())

    return call


def registry(rest: timedelta) -> Call:
    """Return a call as Aurora makes them: by key, guarded, with clock, jitter and log."""
    policy = CircuitPolicy(failure_threshold=FAILURES, recovery_timeout=rest, jitter=0.0)
    circuits = Circuits(clock=SystemClock(), policy=policy)

    async def call(work: Work) -> None:
        async with circuits.permit("broker:bench"):
            await work()

    return call


async def bare(work: Work) -> None:
    """Call without any breaker."""
    await work()


async def _nothing() -> None:
    pass


async def _fail() -> None:
    raise ConnectionResetError


async def _swallow(call: Call, work: Work) -> bool:
    """Return whether the call went through without an error."""
    try:
        await call(work)
    except Exception:  # noqa: BLE001 - each peer has its own
        return False
    return True


async def _nanoseconds(call: Call) -> float:
    began = time.perf_counter_ns()
    for _ in range(CALLS):
        await call(_nothing)
    return (time.perf_counter_ns() - began) / CALLS


async def _refused_nanoseconds(call: Call) -> float:
    for _ in range(FAILURES):
        await _swallow(call, _fail)
    began = time.perf_counter_ns()
    refused = 0
    for _ in range(CALLS):
        try:
            await call(_nothing)
        except Exception:  # noqa: BLE001 - each peer has its own
            refused += 1
    took = (time.perf_counter_ns() - began) / CALLS
    if refused != CALLS:
        raise AssertionError(f"an open breaker let {CALLS - refused} calls through")
    return took


async def _probes(call: Call) -> int:
    """Return how many of the callers that come at once reach a dependency that was down."""
    for _ in range(FAILURES):
        await _swallow(call, _fail)
    await asyncio.sleep(REST.total_seconds() * 1.5)
    reached = 0
    answer = asyncio.Event()

    async def probe() -> None:
        nonlocal reached
        reached += 1
        await answer.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(_swallow(call, probe))
        for _ in range(10):
            await asyncio.sleep(0)
        answer.set()
    return reached


def installed() -> dict[str, Callable[[timedelta], Call]]:
    """Return the peers that can be imported; say on stderr which cannot."""
    found, missing = {}, []
    for name, make in PEERS.items():
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
        else:
            found[name] = make
    if missing:
        print(f"breaker: not installed and left out: {', '.join(missing)}", file=sys.stderr)
    return found


def run() -> list[Measurement]:
    """Measure the contenders in turn, several times, and return each one's least disturbed round."""
    logging.getLogger("aurora").setLevel(logging.ERROR)  # that a breaker opens is what is wanted here
    contenders = {"alone": breaker_alone, "registry": registry, **installed()}
    closed: dict[str, list[float]] = {name: [] for name in contenders}
    refused: dict[str, list[float]] = {name: [] for name in contenders}
    floor = []
    for _ in range(ROUNDS):
        floor.append(asyncio.run(_nanoseconds(bare)))
        for name, make in contenders.items():
            closed[name].append(asyncio.run(_nanoseconds(make(REST))))
            refused[name].append(asyncio.run(_refused_nanoseconds(make(timedelta(hours=1)))))
    least = min(floor)
    added = {name: round(min(taken) - least) for name, taken in closed.items()}
    turned_away = {name: round(min(taken)) for name, taken in refused.items()}
    probes = {name: asyncio.run(_probes(make(REST))) for name, make in contenders.items()}
    measured = []
    figures = (("closed", "ns", added), ("refused", "ns", turned_away), (f"probes of {CALLERS}", "calls", probes))
    for title, unit, found in figures:
        measured += [
            Measurement(
                name=f"breaker {title}" + ("" if name is None else f" beside {name}"),
                value=found["alone"],
                unit=unit,
                better="lower",
                peer=name,
                peer_value=None if name is None else found[name],
            )
            for name in ([each for each in contenders if each in PEERS] or [None])
        ]
        measured.append(
            Measurement(
                name=f"breaker {title} through the registry", value=found["registry"], unit=unit, better="lower"
            )
        )
    return measured


if __name__ == "__main__":
    for result in run():
        print(result)
