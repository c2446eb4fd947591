"""How a dependency is called: deadline, retry budget, breaker, bulkhead, time-out of an attempt, in this order."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from aurora.dispatch.bulkhead import Bulkhead, Crowded
from aurora.dispatch.circuit import CircuitOpen, Throttled
from aurora.dispatch.circuits import CAP, Circuits, asked_to_wait, is_its_fault
from aurora.dispatch.retry_budget import RetryBudget, RetryShare
from aurora.kernel.clock import Clock
from aurora.kernel.deadline import within
from aurora.kernel.errors import AuroraError, DeadlinePassed

__all__ = ["Allowance", "AttemptTimeout", "Crowded", "Effort", "Policy"]

T = TypeVar("T")

_SLACK = 1e-6
"""Seconds by which a clock may be early."""
_LONGEST_S = 1e9
"""Longer than any deadline, and short enough for a `timedelta`."""


class AttemptTimeout(AuroraError):
    """One attempt took longer than it may; `context["deadline_s"]` says how long that was."""

    code = "aurora.dispatch.timeout"
    retryable = True
    http_status = 504


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a call may cost, in tries and time."""

    attempts: int = 3
    """Tries in all."""
    attempt: timedelta = timedelta(seconds=10)
    """Of one try; less where the deadline comes first."""
    place: timedelta | None = None
    """Longest wait for a place; `None`: until the deadline, or as long as it takes where waiting is free."""
    is_waiting_free: bool = False
    """Whether the deadline moves away while a call waits for a place: what it may use up is its own time."""
    first_pause: timedelta = timedelta(seconds=1)
    """Ceiling of the first pause; it doubles with each further try …"""
    longest_pause: timedelta = timedelta(seconds=30)
    """… up to this. Who asks for more with `retry_after_s` is obeyed."""


@dataclass(slots=True)
class Effort:
    """What a call has cost, kept up to date while it lasts."""

    attempts: int = 0
    """Tries that reached the dependency or were refused by its breaker."""
    took: timedelta = field(default_factory=timedelta)
    """Time of tries and pauses; not of waiting for places."""


@dataclass(slots=True)
class _Lane:
    """What the calls of one key share."""

    bulkhead: Bulkhead
    budget: RetryBudget


@dataclass(slots=True)
class _Call:
    """One call under way."""

    key: str
    lane: _Lane
    ends: float
    """Monotonic seconds; moves where waiting for a place is free."""
    effort: Effort
    generator: random.Random
    tries: int = 0


def _may_pass(error: Exception) -> bool:
    return isinstance(error, AuroraError) and error.retryable


class Policy:
    """The one way to call what may fail. Belongs to one event loop.

    What comes first decides first, and the order is part of the promise:

    1. *Deadline*: absolute. Nothing begins after it, no pause is begun that would end after it.
    2. *Retry budget*: a share of the calls, so that an outage is not made worse by retries.
    3. *Breaker*, asked before a place is waited for: who would be refused takes no place from anybody …
    4. *Bulkhead*: … and its permit is taken only when the place is there, so that a probe's time is the call's
       own and a breaker that opened meanwhile holds for those that waited.
    5. *Time-out of the attempt*, inside the breaker: it counts as a failure, while cancellation from outside does not.

    A dependency that asks for a pause (`retry_after_s`) is not called by anybody until then; calls wait for it as
    long as their deadline allows. One whose breaker is open is not waited for: the caller learns it at once.

    Args:
        circuits: The breakers.
        clock: Time for deadlines, time-outs and pauses.
        places: Calls of one key at the same time.
        allowance: What one call may cost.
        share: What retries may cost.
        counts: Tells whether an error speaks against the dependency; an attempt that was too slow always does.
        retries: Tells whether an error may pass; default: it says so itself. Refusals are not tried again.
        generator: Draws the pauses of calls that bring none; of the machine's entropy if left out.
    """

    def __init__(
        self,
        *,
        circuits: Circuits,
        clock: Clock,
        places: int,
        allowance: Allowance | None = None,
        share: RetryShare | None = None,
        counts: Callable[[BaseException], bool] = is_its_fault,
        retries: Callable[[Exception], bool] = _may_pass,
        generator: random.Random | None = None,
    ) -> None:
        self._circuits = circuits
        self._clock = clock
        self._places = places
        self._allowance = allowance or Allowance()
        self._share = share
        self._counts = counts
        self._retries = retries
        self._random = generator or random.SystemRandom()
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()

    async def call(
        self,
        key: str,
        work: Callable[[], Awaitable[T]],
        *,
        deadline: datetime | None = None,
        generator: random.Random | None = None,
        effort: Effort | None = None,
    ) -> T:
        """Return what `work` returns, tried again where that may help.

        Args:
            key: The dependency, as its breaker is called.
            work: Makes one attempt.
            deadline: When the result is of no use any more; of several, hand in the earliest.
            generator: Draws the pauses (full jitter).
            effort: Told what the call costs.

        Raises:
            DeadlinePassed: there was no time to begin.
            CircuitOpen: the dependency rests and was not called; `Throttled`: it asked for more time than is left.
            Crowded: no place became free.
            AttemptTimeout: the last attempt took too long.
            Exception: what the last attempt raised.
        """
        now = self._clock.monotonic()
        call = _Call(
            key=key,
            lane=self._lane(key),
            ends=math.inf if deadline is None else now + (deadline - self._clock.now()).total_seconds(),
            effort=effort if effort is not None else Effort(),
            generator=generator or self._random,
        )
        call.lane.budget.called(now)
        while True:
            try:
                return await self._try(call, work)
            except Exception as error:
                pause = self._pause(call, error)
                if pause is None:
                    raise
            began = self._clock.monotonic()
            await self._clock.sleep(pause)
            call.effort.took += self._since(began)

    async def _try(self, call: _Call, work: Callable[[], Awaitable[T]]) -> T:
        """Make one attempt, once it has a place."""
        call.tries += 1
        call.effort.attempts += 1
        came = self._clock.monotonic()
        if came >= call.ends:
            raise DeadlinePassed(f"there was no time left to call {call.key}", key=call.key)
        self._circuits.check(call.key)
        async with call.lane.bulkhead.place(self._place_patience(call.ends - came)):
            began = self._clock.monotonic()
            if self._allowance.is_waiting_free:
                call.ends += began - came
            try:
                async with self._circuits.permit(call.key, counts=self._speaks_against):
                    return await self._in_time(call, work)
            finally:
                call.effort.took += self._since(began)

    async def _in_time(self, call: _Call, work: Callable[[], Awaitable[T]]) -> T:
        began = self._clock.monotonic()
        seconds = min(self._allowance.attempt.total_seconds(), call.ends - began)
        try:
            return await within(timedelta(seconds=seconds), work, clock=self._clock)
        except TimeoutError:
            if self._clock.monotonic() - began < seconds - _SLACK:
                raise  # its own, long before ours
            raise AttemptTimeout(
                f"{call.key} did not answer within {seconds:g} s", key=call.key, deadline_s=seconds
            ) from None

    def _place_patience(self, left_s: float) -> timedelta | None:
        mine = self._allowance.place
        if self._allowance.is_waiting_free or left_s == math.inf:
            return mine
        left = timedelta(seconds=left_s)
        return left if mine is None else min(mine, left)

    def _pause(self, call: _Call, error: Exception) -> timedelta | None:
        """Return how long to wait before the next try; `None`: there is none."""
        tries, allowance, now = call.tries, self._allowance, self._clock.monotonic()
        is_throttled = isinstance(error, Throttled)
        is_refused = isinstance(error, CircuitOpen | Crowded | DeadlinePassed) and not is_throttled
        if tries >= allowance.attempts or is_refused or not (is_throttled or self._retries(error)):
            return None
        ceiling = min(allowance.longest_pause, allowance.first_pause * (1 << min(tries - 1, 16)))
        least = timedelta(seconds=min(asked_to_wait(error) or 0.0, _LONGEST_S))
        pause = least + ceiling * call.generator.random()
        if now + pause.total_seconds() >= call.ends:
            return None
        # To wait because everybody has to is no retry: nothing was called.
        return pause if is_throttled or call.lane.budget.retry(now) else None

    def _speaks_against(self, error: BaseException) -> bool:
        return isinstance(error, AttemptTimeout) or self._counts(error)

    def _since(self, began: float) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - began)

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= CAP:
                idle = next((name for name, each in self._lanes.items() if not each.bulkhead.users), None)
                if idle is not None:
                    del self._lanes[idle]
            bulkhead = Bulkhead(key, places=self._places, clock=self._clock)
            lane = self._lanes[key] = _Lane(bulkhead, RetryBudget(self._share))
        self._lanes.move_to_end(key)
        return lane
