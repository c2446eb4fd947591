"""What a circuit breaker tolerates. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_MOST_GROWTHS = 64
"""An open period is at its cap long before; a larger exponent would overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPolicy:
    """When a breaker opens, for how long, and what lets it close.

    Raises:
        ValueError: a number is outside its range.
    """

    failure_threshold: int = 5
    """Failures without a success between them that open it."""

    recovery_timeout: timedelta = timedelta(seconds=60)
    """Length of the first open period."""

    failure_rate: float = 0.5
    """Share of failures in the window that opens it, in (0, 1]."""

    slow_call: timedelta = timedelta(seconds=60)
    """A call that takes at least this long is slow, whether it succeeds or fails."""

    slow_rate: float = 0.8
    """Share of slow calls in the window that opens it, in (0, 1]."""

    minimum_calls: int = 10
    """The shares count only when the window holds this many calls: one failure of one call is 100 %."""

    window_calls: int = 100
    """The window holds at most so many calls …"""

    window: timedelta = timedelta(minutes=2)
    """… and none that ended longer ago than this."""

    probes: int = 1
    """Calls, one at a time, that must succeed before a half-open breaker closes; no more are admitted."""

    probe_deadline: timedelta = timedelta(minutes=2)
    """A probe that has not come back by then has failed: its caller hangs or is gone."""

    growth: float = 2.0
    """Each open period that follows a failed recovery is longer by this factor, in [1, 10]."""

    longest: timedelta = timedelta(minutes=10)
    """No open period is longer, jitter aside."""

    jitter: float = 0.2
    """Share, in [0, 1], by which a draw lengthens an open period, so that a fleet does not probe in step."""

    calm: timedelta = timedelta(minutes=5)
    """Closed for this long, the breaker forgets how often it opened before."""

    def __post_init__(self) -> None:
        counts = (self.failure_threshold, self.minimum_calls, self.window_calls, self.probes)
        spans = (self.recovery_timeout, self.slow_call, self.window, self.probe_deadline, self.longest)
        if min(counts) < 1 or self.minimum_calls > self.window_calls:
            raise ValueError("counts must be at least 1, and minimum_calls at most window_calls")
        if min(spans) <= timedelta() or self.calm < timedelta():
            raise ValueError("durations must be positive")
        if not (0.0 < self.failure_rate <= 1.0 and 0.0 < self.slow_rate <= 1.0):
            raise ValueError("failure_rate and slow_rate must be in (0, 1]")
        if not (1.0 <= self.growth <= 10.0 and 0.0 <= self.jitter <= 1.0):
            raise ValueError("growth must be in [1, 10] and jitter in [0, 1]")

    def open_period(self, openings: int, *, draw: float) -> float:
        """Return the seconds of an open period.

        Args:
            openings: How often the breaker opened before without coming to rest in between.
            draw: Uniform random number in [0, 1).

        Raises:
            ValueError: `draw` is outside [0, 1).
        """
        if not 0.0 <= draw < 1.0:
            raise ValueError(f"draw={draw!r} must be in [0, 1)")
        factor = self.growth ** min(openings, _MOST_GROWTHS)
        period = min(self.recovery_timeout.total_seconds() * factor, self.longest.total_seconds())
        return period * (1.0 + self.jitter * draw)
