"""When a task that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try a failed task again. Pure: no clock, no randomness, no I/O.

    Full-jitter backoff after "Exponential Backoff And Jitter" (AWS Architecture
    Blog, 2015): the caller supplies the draw, so a test can fix it.
    """

    max_attempts: int = 5
    """Attempts in total, the first one included. 1 means: never retry."""

    base: timedelta = timedelta(seconds=1)
    """Ceiling of the first delay; it doubles with each further attempt."""

    cap: timedelta = timedelta(minutes=5)
    """No delay is longer than this."""

    def delay(self, attempt: int, *, draw: float) -> timedelta | None:
        """Return how long to wait after `attempt` failed, or `None` to give up.

        Args:
            attempt: Number of the attempt that failed, counted from 1.
            draw: Uniform random number in [0, 1), from the run's seeded generator.

        Raises:
            ValueError: `attempt` is below 1 or `draw` is outside [0, 1).
        """
        if attempt < 1 or not 0.0 <= draw < 1.0:
            raise ValueError(f"attempt={attempt!r} must be >= 1 and draw={draw!r} in [0, 1)")
        if attempt >= self.max_attempts:
            return None
        return min(self.cap, self.base * (1 << min(attempt - 1, _DOUBLINGS))) * draw


_DOUBLINGS = 32  # a century at the default base: with hundreds of attempts a timedelta would overflow
