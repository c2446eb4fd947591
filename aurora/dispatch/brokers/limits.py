"""How long brokers keep and wait. The same for every broker, so that changing the broker changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

TIMEOUT = timedelta(seconds=2)
"""For one call, a reconnection included: brokers are called in passing and must not hold their caller up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the memory of a broker, and when it repeats itself.

    Raises:
        ValueError: one of them is not positive.
    """

    redeliver_after: timedelta = timedelta(seconds=60)
    """What was received and not confirmed for so long comes again."""

    retention: timedelta = timedelta(days=7)
    """A group that was silent for so long is not waited for; a stream without groups keeps nothing older."""

    max_entries: int = 100_000
    """A group that is further behind is not waited for; a stream without groups keeps no more, nor does that of
    wake-ups. Also: contents that are known again, by stream."""

    wake_ups_for: timedelta = timedelta(hours=1)
    """A wake-up that is older goes, whoever has not confirmed it: its task is found in the database."""

    remembered: timedelta = timedelta(days=8)
    """How long a content is known again, a day longer than it may lie in a stream; `max_entries` permitting."""

    def __post_init__(self) -> None:
        spans = (self.redeliver_after, self.retention, self.wake_ups_for, self.remembered)
        if min(spans) <= timedelta() or self.max_entries < 1:
            raise ValueError("limits must be positive")


LIMITS = Limits()
"""What is used where nobody says otherwise."""
