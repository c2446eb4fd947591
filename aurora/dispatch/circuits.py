"""One breaker for each dependency, with the clock and the generator that the breaker itself does without."""

from __future__ import annotations

import asyncio
import logging
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
    Transition,
)
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError

CAP = 1024
"""Breakers that are kept; a few hundred bytes each while nothing fails, 10 KB with a full window."""

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
        generator: Lengthens open periods; of the machine's entropy if left out.
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
        self._random = generator or random.SystemRandom()
        self._policy = policy or CircuitPolicy()
        self._policies = dict(policies or {})
        self._cap = cap
        self._listener = listener
        self._breakers: OrderedDict[str, CircuitBreaker] = OrderedDict()

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
        self._tell(key, breaker)
        if permit is None:
            wait = breaker.wait(now)
            if wait is None:
                message = f"{key} was switched off by a person and is not called until it is reset"
                raise CircuitOpen(message, key=key, retry_after_s=None)
            seconds = round(wait.total_seconds(), 3)
            raise CircuitOpen(
                f"{key} failed lately and rests; try again in {seconds:g} s", key=key, retry_after_s=seconds
            )
        return breaker, permit

    def settle(self, key: str, breaker: CircuitBreaker, permit: Permit, *, failed: bool | None) -> None:
        """Say how a call ended; `None`: in a way that says nothing about the dependency."""
        now, draw = self._clock.monotonic(), self._random.random()
        if failed is None:
            breaker.cancelled(permit, now, draw=draw)
        elif failed:
            breaker.failed(permit, now, draw=draw)
        else:
            breaker.succeeded(permit, now, draw=draw)
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
        if error is not None:
            failed = True if not isinstance(error, self._excluded) and self._counts(error) else None
        self._circuits.settle(self._key, self._breaker, self._permit, failed=failed)
