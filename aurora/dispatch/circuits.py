"""One breaker for each dependency, with the clock and the generator that the breaker itself does without."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

from aurora.dispatch.circuit import (
    CircuitBreaker,
    CircuitOpen,
    CircuitPolicy,
    CircuitState,
    Permit,
    Snapshot,
    Throttled,
    Transition,
)
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError

CAP = 1024
"""Breakers that are kept; a few hundred bytes each while nothing fails, 10 KB with a full window."""

_SLACK_MS = 1e-6
"""By which sums of floats may be above a whole millisecond."""

log = logging.getLogger(__name__)

Listener = Callable[[str, Transition], None]
"""Told the key and the change. Must not raise, nor block: it runs within the call."""


def is_its_fault(error: BaseException) -> bool:
    """Tell whether an error speaks against the dependency: an `AuroraError` does if it is worth a retry.

    Cancellation never does, nor does another dependency that rests; every other exception does.
    """
    if isinstance(error, CircuitOpen):
        return False
    if isinstance(error, AuroraError):
        return error.retryable
    return isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError)


class Circuits:
    """Breakers by key: `model:openai`, `broker:redis`, `enricher:dns`, …

    Made on first use. Beyond the cap the least recently used goes, closed ones first; one that a person
    opened or switched off never goes. Belongs to one event loop.

    Args:
        clock: Its monotonic seconds are the breakers' time.
        generator: Lengthens open periods; seeded by the machine if left out.
        policy: For keys that `policies` does not name.
        policies: By key, or by its part before the colon: `{"model": …, "model:local": …}`.
        cap: Breakers that are kept at most.
        listener: Hears of every change of state.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        generator: random.Random | None = None,
        policy: CircuitPolicy | None = None,
        policies: Mapping[str, CircuitPolicy] | None = None,
        cap: int = CAP,
        listener: Listener | None = None,
    ) -> None:
        self._clock = clock
        self._random = generator or random.Random()  # noqa: S311 - it spreads probes, it hides nothing
        self._policy = policy or CircuitPolicy()
        self._policies = dict(policies or {})
        self._cap = cap
        self._listener = listener
        self._breakers: OrderedDict[str, CircuitBreaker] = OrderedDict()
        self.obeyed = 0
        """Serial of the last decision of a person that was carried out."""

    def __len__(self) -> int:
        return len(self._breakers)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._breakers))

    def permit(
        self,
        key: str,
        *,
        excluded: tuple[type[BaseException], ...] = (),
        counts: Callable[[BaseException], bool] = is_its_fault,
    ) -> Guard:
        """Guard one call: `async with circuits.permit("model:openai"): …`.

        An error that speaks against the dependency and says `retry_after_s` is no failure: nobody calls until then.
        Put the time-out of the call *inside*: one outside arrives as a cancellation, which says nothing.

        Args:
            key: The dependency.
            excluded: Errors that say nothing about it, whatever `counts` says.
            counts: Tells whether an error speaks against the dependency.

        Raises:
            CircuitOpen: on entry: the dependency rests; the body does not run.
        """
        return Guard(self, key, excluded, counts)

    def acquire(self, key: str) -> tuple[CircuitBreaker, Permit]:
        """Take a permit by hand; whoever does settles it through `settle`.

        Raises:
            CircuitOpen: the dependency rests.
        """
        breaker, now = self._of(key), self._clock.monotonic()
        permit = breaker.acquire(now, draw=self._random.random())
        if breaker.has_events:
            self._tell(key, breaker)
        if permit is None:
            raise _refusal(key, breaker, now)
        return breaker, permit

    def check(self, key: str) -> None:
        """Refuse where `acquire` would, without taking a permit: for who must wait for something else first.

        Raises:
            CircuitOpen: the dependency rests.
        """
        breaker, now = self._of(key), self._clock.monotonic()
        if breaker.turns_away(now):
            raise _refusal(key, breaker, now)

    def state(self, key: str) -> CircuitState:
        """Return the state of a breaker as of its last call; one that was not used yet is closed."""
        breaker = self._breakers.get(key)
        return CircuitState.CLOSED if breaker is None else breaker.state

    def rests(self, key: str) -> bool:
        """Tell whether a call would be refused now; nothing is counted, and no breaker is made."""
        breaker = self._breakers.get(key)
        if breaker is None:
            return False
        wait = breaker.wait_s(self._clock.monotonic())
        return wait is None or wait > 0.0

    def settle(
        self,
        key: str,
        breaker: CircuitBreaker,
        permit: Permit,
        *,
        failed: bool | None,
        throttle_s: float | None = None,
    ) -> None:
        """Say how a call ended; `None`: in a way that says nothing about the dependency.

        `throttle_s` is how long it asked to be left alone, whatever `failed` says.
        """
        now, draw = self._clock.monotonic(), self._random.random()
        if throttle_s is not None:
            if breaker.throttled(permit, now, seconds=throttle_s, draw=draw):
                log.info("circuit.throttled", extra={"circuit": key, "asked_s": throttle_s})
        elif failed is None:
            breaker.cancelled(permit, now, draw=draw)
        elif failed:
            breaker.failed(permit, now, draw=draw)
        else:
            breaker.succeeded(permit, now, draw=draw)
        if breaker.has_events:
            self._tell(key, breaker)

    def force_open(self, key: str) -> None:
        """Let nothing through until `reset`."""
        self._manually(key, CircuitBreaker.force_open)

    def disable(self, key: str) -> None:
        """Let everything through and count nothing until `reset`."""
        self._manually(key, CircuitBreaker.disable)

    def reset(self, key: str) -> None:
        """Close the breaker and forget everything."""
        self._manually(key, CircuitBreaker.reset)

    def snapshots(self) -> dict[str, Snapshot]:
        """Return what each breaker is like now, by key."""
        now = self._clock.monotonic()
        return {key: breaker.snapshot(now) for key, breaker in self._breakers.items()}

    def _manually(self, key: str, change: Callable[[CircuitBreaker, float], None]) -> None:
        breaker = self._of(key)
        change(breaker, self._clock.monotonic())
        self._tell(key, breaker)

    def _of(self, key: str) -> CircuitBreaker:
        breaker = self._breakers.get(key)
        if breaker is None:
            if len(self._breakers) >= self._cap:
                self._evict()
            policy = self._policies.get(key) or self._policies.get(key.partition(":")[0]) or self._policy
            breaker = self._breakers[key] = CircuitBreaker(policy)
        self._breakers.move_to_end(key)
        return breaker

    def _evict(self) -> None:
        """Drop the least recently used, one that is closed if there is one: to drop an open one is to close it."""
        dispensable = [key for key, breaker in self._breakers.items() if not breaker.state.is_manual]
        closed = (key for key in dispensable if self._breakers[key].state is CircuitState.CLOSED)
        key = next(closed, next(iter(dispensable), None))
        if key is not None:
            del self._breakers[key]

    def _tell(self, key: str, breaker: CircuitBreaker) -> None:
        for event in breaker.take_events():
            level = logging.WARNING if event.after in {CircuitState.OPEN, CircuitState.FORCED_OPEN} else logging.INFO
            log.log(
                level,
                "circuit.changed",
                extra={
                    "circuit": key,
                    "before": event.before.value,
                    "after": event.after.value,
                    "reason": event.reason,
                    "open_s": event.open_s,
                },
            )
            if self._listener is not None:
                self._listener(key, event)


class Guard:
    """One guarded call. Entered once."""

    __slots__ = ("_breaker", "_circuits", "_counts", "_excluded", "_key", "_permit")

    def __init__(
        self,
        circuits: Circuits,
        key: str,
        excluded: tuple[type[BaseException], ...],
        counts: Callable[[BaseException], bool],
    ) -> None:
        self._circuits = circuits
        self._key = key
        self._excluded = excluded
        self._counts = counts

    async def __aenter__(self) -> Permit:
        self._breaker, self._permit = self._circuits.acquire(self._key)
        return self._permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed: bool | None = False
        throttle_s = None
        if error is not None:
            failed = True if not isinstance(error, self._excluded) and self._counts(error) else None
            throttle_s = asked_to_wait(error) if failed else None
        self._circuits.settle(self._key, self._breaker, self._permit, failed=failed, throttle_s=throttle_s)


def asked_to_wait(error: BaseException) -> float | None:
    """Return for how many seconds an error's `retry_after_s` asks to be left alone, if it does."""
    asked = error.context.get("retry_after_s") if isinstance(error, AuroraError) else None
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0.0 < asked < math.inf:
        return None
    return float(asked)


def _refusal(key: str, breaker: CircuitBreaker, now: float) -> CircuitOpen:
    wait = breaker.wait_s(now)
    if wait is None:
        message = f"{key} was switched off by a person and is not called until it is reset"
        return CircuitOpen(message, key=key, retry_after_s=None)
    seconds = math.ceil(wait * 1000 - _SLACK_MS) / 1000  # rounded up: who waits that long is admitted
    if breaker.is_throttled(now):
        return Throttled(f"{key} asked to be left alone; try again in {seconds:g} s", key=key, retry_after_s=seconds)
    return CircuitOpen(f"{key} failed lately and rests; try again in {seconds:g} s", key=key, retry_after_s=seconds)
