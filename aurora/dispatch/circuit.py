"""The circuit breaker: stop calling what fails, probe it with care, resume. Pure: no clock, no randomness, no I/O."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from aurora.dispatch.call_window import CallWindow
from aurora.dispatch.circuit_policy import CircuitPolicy
from aurora.kernel.errors import AuroraError

__all__ = [
    "CircuitBreaker",
    "CircuitOpen",
    "CircuitPolicy",
    "CircuitState",
    "Permit",
    "Snapshot",
    "Throttled",
    "Transition",
]

_SLACK = 1e-9
"""Seconds by which sums of floats may miss a moment: who waits as long as `wait` said must be admitted."""

EVENTS = 64
"""Transitions that wait to be taken; beyond that the oldest are forgotten."""


class CircuitOpen(AuroraError):
    """The dependency rests and was not called.

    `context["retry_after_s"]` says when to try again, in seconds; `None`: when a person has released it.
    """

    code = "aurora.dispatch.circuit_open"
    retryable = True
    http_status = 503


class Throttled(CircuitOpen):
    """The dependency works, and asked to be left alone for a while; it was not called.

    `context["retry_after_s"]` says how much of that while is left, in seconds.
    """

    code = "aurora.dispatch.throttled"
    http_status = 429


class CircuitState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    """Opened by a person: nothing goes through until it is reset."""
    DISABLED = "disabled"
    """Switched off by a person: everything goes through, nothing is counted, until it is reset."""

    @property
    def is_manual(self) -> bool:
        """Whether a person chose it, so that only a person ends it."""
        return self in {CircuitState.FORCED_OPEN, CircuitState.DISABLED}


_CLOSED, _OPEN, _HALF_OPEN, _FORCED_OPEN, _DISABLED = CircuitState  # a look-up in an enum costs as much as a call


@dataclass(slots=True, eq=False)
class Permit:
    """Leave to make one call. Its holder tells the breaker once how the call ended."""

    generation: int
    """The breaker's when it was given; the result of an older generation is dropped."""
    at: float
    deadline: float | None = None
    """When a probe counts as lost; `None` for a call that is no probe."""
    is_settled: bool = False
    idle_s: float = 0.0
    """Seconds of the call that its holder had asked to wait, such as for a message: they make no call slow."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state."""

    at: float
    before: CircuitState
    after: CircuitState
    reason: str
    """`consecutive_failures`, `failure_rate`, `slow_rate`, `rested`, `probe_failed`, `probe_slow`, `probe_lost`,
    `recovered` or `manual`."""
    open_s: float | None = None
    """Length of the open period that begins, if one does."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A breaker at a moment, for metrics and people."""

    state: CircuitState
    calls: int
    """Calls in the window; so are the two numbers below."""
    failures: int
    slow: int
    failure_count: int
    """Failures since the last success."""
    openings: int
    """How often it opened since it last came to rest."""
    admitted: int
    """Since it was made; so is the number below."""
    refused: int
    wait: timedelta | None


class CircuitBreaker:
    """Decides from how the calls of a dependency ended whether it may be called again.

    Whoever wants to call asks `acquire` for a permit and settles it with `succeeded`, `failed` or `cancelled`.

    `now` is in seconds of a monotonic clock; one before the last counts as the last. `draw` is a uniform random
    number in [0, 1) that lengthens an open period; 0 is no jitter. Belongs to one event loop: no method waits, so
    there is no lock.

    Args:
        policy: What it tolerates.
        failure_threshold: Replaces that of the policy.
        recovery_timeout: Replaces that of the policy; a number is seconds.
    """

    def __init__(
        self,
        policy: CircuitPolicy | None = None,
        *,
        failure_threshold: int | None = None,
        recovery_timeout: timedelta | float | None = None,
    ) -> None:
        policy = policy or CircuitPolicy()
        if failure_threshold is not None:
            policy = replace(policy, failure_threshold=failure_threshold)
        if recovery_timeout is not None:
            rest = recovery_timeout if isinstance(recovery_timeout, timedelta) else timedelta(seconds=recovery_timeout)
            policy = replace(policy, recovery_timeout=rest, longest=max(rest, policy.longest))
        self.policy = policy
        self.state = _CLOSED
        """As of the last call; an open one whose rest is over becomes half-open when somebody asks for a permit."""
        self.failure_count = 0
        """Failures since the last success."""
        self.last_failure_time: float | None = None
        self._window = CallWindow(most=policy.window_calls, span_s=policy.window.total_seconds())
        self._slow_s = policy.slow_call.total_seconds()
        self._calm_s = policy.calm.total_seconds()
        self._probe_s = policy.probe_deadline.total_seconds()
        self._longest_s = policy.longest.total_seconds()
        self._events: deque[Transition] = deque(maxlen=EVENTS)
        self._now = self._closed_at = self._until = self._throttled_until = float("-inf")
        self._generation = self._openings = self._recovered = self._admitted = self._refused = 0
        self._probe: Permit | None = None

    def acquire(self, now: float, *, draw: float = 0.0) -> Permit | None:
        """Return leave to make one call, or `None` if the dependency rests; `wait` then tells how long."""
        if self.state is _CLOSED and self._throttled_until <= now >= self._now:  # nearly every call, so it is short
            self._now = now
            self._admitted += 1
            return Permit(self._generation, now)
        now = self._advance(now, draw)
        if self.state is _OPEN and self._until - now <= _SLACK:
            self._change(_HALF_OPEN, now, "rested")
        permit = None
        if self.state is _DISABLED:
            permit = Permit(self._generation, now)
        elif self._throttled_until - now > _SLACK:
            pass
        elif self.state is _CLOSED:
            permit = Permit(self._generation, now)
        elif self.state is _HALF_OPEN and self._probe is None:
            permit = self._probe = Permit(self._generation, now, now + self._probe_s)
        if permit is None:
            self._refused += 1
        else:
            self._admitted += 1
        return permit

    def succeeded(self, permit: Permit, now: float, *, draw: float = 0.0) -> bool:
        """Count a call that ended well; return whether it counted.

        A slow call counts as such, and a slow probe as failed.
        """
        now = self._advance(now, draw)
        if permit.is_settled or permit.generation != self._generation:  # `_settle`, but for the cost of the call
            return False
        permit.is_settled = True
        slow = now - permit.at - permit.idle_s >= self._slow_s
        if self.state is _CLOSED:
            self.failure_count = 0
            self._count(now, failed=False, slow=slow, draw=draw)
            return True
        if permit is self._probe:
            self._probe = None
        if self.state is _HALF_OPEN and slow:
            self._open(now, "probe_slow", draw)
        elif self.state is _HALF_OPEN:
            self._recovered += 1
            if self._recovered >= self.policy.probes:
                self._change(_CLOSED, now, "recovered")
        return True

    def failed(self, permit: Permit, now: float, *, draw: float = 0.0) -> bool:
        """Count a call that failed for a reason that lies with the dependency; return whether it counted."""
        now = self._advance(now, draw)
        if not self._settle(permit):
            return False
        if self.state is _DISABLED:
            return True
        self.failure_count += 1
        self.last_failure_time = now
        if self.state is _CLOSED:
            self._count(now, failed=True, slow=now - permit.at - permit.idle_s >= self._slow_s, draw=draw)
        else:
            self._open(now, "probe_failed", draw)
        return True

    def cancelled(self, permit: Permit, now: float, *, draw: float = 0.0) -> bool:
        """Give back a permit whose call says nothing about the dependency; a probe's place becomes free.

        So it is for calls that were cancelled, and for errors that are the caller's own.
        """
        self._advance(now, draw)
        return self._settle(permit)

    def throttled(self, permit: Permit, now: float, *, seconds: float, draw: float = 0.0) -> bool:
        """Let nothing through for as long as the dependency asked in its answer; return whether it counted.

        No failure: it works. A probe's place becomes free. More than `longest` is not waited: whoever asks for
        a week is asked again before. One asked for while it is disabled is forgotten.
        """
        now = self._advance(now, draw)
        if not self._settle(permit):
            return False
        if self.state is not _DISABLED and seconds > 0.0:  # not so for a NaN either
            until = now + min(seconds, self._longest_s)
            self._throttled_until = max(self._throttled_until, until)
        return True

    def turns_away(self, now: float) -> bool:
        """Tell whether `acquire` would refuse now, and count it as refused if so.

        For a caller who has to wait for something else first, and need not if he will be refused anyway.
        """
        wait = self.wait_s(now)
        is_away = wait is None or wait > 0.0
        if is_away:
            self._refused += 1
        return is_away

    def is_throttled(self, now: float) -> bool:
        """Tell whether it refuses only because the dependency asked for it."""
        return self._throttled_until - max(now, self._now) > _SLACK and self.state in {_CLOSED, _HALF_OPEN}

    def wait(self, now: float) -> timedelta | None:
        """Return how long until a call may be admitted, zero if one would be now; `None`: a person must reset it.

        While a probe is out this is the longest that it may take.
        """
        left = self.wait_s(now)
        return None if left is None else timedelta(microseconds=math.ceil(left * 1e6))

    def wait_s(self, now: float) -> float | None:
        """Return the same in seconds."""
        now = max(now, self._now)
        if self.state is _FORCED_OPEN:
            return None
        until = now
        if self.state is _OPEN:
            until = self._until
        elif self._probe is not None and self._probe.deadline is not None:
            until = self._probe.deadline
            if until - now <= _SLACK:  # lost, and nobody asked since
                until += self.policy.open_period(self._openings, draw=0.0)
        if self.state is not _DISABLED:
            until = max(until, self._throttled_until)
        left = until - now
        return left if left > _SLACK else 0.0

    def force_open(self, now: float) -> None:
        """Let nothing through until `reset`."""
        self._change(_FORCED_OPEN, self._tick(now), "manual")

    def disable(self, now: float) -> None:
        """Let everything through and count nothing until `reset`."""
        self._throttled_until = float("-inf")
        self._change(_DISABLED, self._tick(now), "manual")

    def reset(self, now: float) -> None:
        """Close it and forget everything, whatever its state."""
        self._openings = 0
        self._throttled_until = float("-inf")
        self._change(_CLOSED, self._tick(now), "manual")

    @property
    def has_events(self) -> bool:
        """Whether `take_events` would return any."""
        return bool(self._events)

    def take_events(self) -> list[Transition]:
        """Return what happened since the last call, oldest first."""
        events = list(self._events)
        self._events.clear()
        return events

    def snapshot(self, now: float) -> Snapshot:
        """Return what it is like; changes no decision."""
        self._window.forget(max(now, self._now))
        return Snapshot(
            state=self.state,
            calls=len(self._window),
            failures=self._window.failures,
            slow=self._window.slow,
            failure_count=self.failure_count,
            openings=self._openings,
            admitted=self._admitted,
            refused=self._refused,
            wait=self.wait(now),
        )

    def _tick(self, now: float) -> float:
        if now < self._now:
            return self._now
        self._now = now
        return now

    def _advance(self, now: float, draw: float) -> float:
        """Move time on; a probe that is overdue failed at its deadline."""
        if now < self._now:
            now = self._now
        else:
            self._now = now
        if self._probe is not None:
            deadline = self._probe.deadline
            if deadline is not None and deadline - now <= _SLACK:
                self.failure_count += 1
                self.last_failure_time = deadline
                self._open(deadline, "probe_lost", draw)
        return now

    def _settle(self, permit: Permit) -> bool:
        """Take a result; refuse a second one and one of an older generation."""
        if permit.is_settled or permit.generation != self._generation:
            return False
        permit.is_settled = True
        if permit is self._probe:
            self._probe = None
        return True

    def _count(self, now: float, *, failed: bool, slow: bool, draw: float) -> None:
        policy, window = self.policy, self._window
        window.add(now, failed, slow)
        if not (window.failures or window.slow):  # as after nearly every call
            return
        if self.failure_count >= policy.failure_threshold:
            self._open(now, "consecutive_failures", draw)
        elif len(window) < policy.minimum_calls:
            return
        elif window.failures >= policy.failure_rate * len(window):
            self._open(now, "failure_rate", draw)
        elif window.slow >= policy.slow_rate * len(window):
            self._open(now, "slow_rate", draw)

    def _open(self, at: float, reason: str, draw: float) -> None:
        if self.state is _CLOSED and at - self._closed_at >= self._calm_s:
            self._openings = 0
        period = self.policy.open_period(self._openings, draw=draw)
        self._openings += 1
        self._until = at + period
        self._change(_OPEN, at, reason, open_s=period)

    def _change(self, after: CircuitState, at: float, reason: str, *, open_s: float | None = None) -> None:
        self._events.append(Transition(at, self.state, after, reason, open_s))
        self.state = after
        self._generation += 1
        self._probe = None
        self._recovered = 0
        if after is _CLOSED:
            self._closed_at = at
            self.failure_count = 0
            self._window.clear()
