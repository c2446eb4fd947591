"""What a worker knows of its own health. Written where it happens, read by whoever asks, from any thread."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from threading import Lock

from aurora.kernel.clock import Clock

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets that durations are sorted into, in seconds: from one claim to one whole lease."""


class Sign(StrEnum):
    """What shows that a part of the worker lives."""

    LOOP = "loop"
    """The event loop came round."""
    LOOK = "look"
    """It looked for work in the ledger, or tried to: a database that is away does not make a worker dead."""
    BEAT = "beat"
    """The leases were renewed."""


class Count(StrEnum):
    """What is counted from the start of the worker on."""

    CLAIMED = "claimed"
    SETTLED = "settled"
    """By the state that was written."""
    RETRIED = "retried"
    REDELIVERED = "redelivered"
    """Claimed tasks that somebody had claimed before."""
    LEASES_LOST = "leases_lost"


class Took(StrEnum):
    """What is timed."""

    CLAIM = "claim"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Dependency:
    """How something outside was when it was asked last."""

    name: str
    """`database`, `broker:redis`, …"""
    is_up: bool
    is_needed: bool
    """Without it nothing is done; what is only useful costs time while it is away."""
    asked: float
    """When, in the clock's monotonic seconds."""
    detail: str = ""
    """Its version, or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A breaker at a moment."""

    state: str
    admitted: int = 0
    """Calls since it was made; so is the number below."""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the ledger, whoever will do it."""

    queued: Mapping[str, int] = field(default_factory=dict)
    """By lane."""
    oldest_s: float = 0.0
    """How long the longest has been due."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, every time."""

    buckets: Sequence[int]
    """Number of those up to each of `BOUNDS_S`, not cumulated; the last one is of those beyond."""
    sum_s: float


class Vitals:
    """The signs of life, counts and durations of one worker.

    Args:
        clock: Its monotonic seconds are read from several threads.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._began = clock.monotonic()
        self._signs: dict[Sign, float] = {}
        self._counts: Counter[tuple[Count, str]] = Counter()
        self._durations: dict[Took, tuple[list[int], float]] = {}
        self._dependencies: dict[str, Dependency] = {}
        self.is_draining = False
        """It takes no more tasks."""
        self.running = 0
        """Tasks that it runs at the moment."""
        self.places = 0
        """Tasks that it can run at the same time."""
        self.lag_s = 0.0
        """By how much the event loop came round too late the last time."""
        self.backlog = Backlog()
        self.circuits: Mapping[str, Circuit] = {}

    def show(self, sign: Sign, *, ago: timedelta = timedelta()) -> None:
        """Note that a part is alive now, or was a while ago."""
        self._signs[sign] = self._clock.monotonic() - ago.total_seconds()

    def age(self, sign: Sign) -> timedelta | None:
        """Return how long ago a part was alive; `None`: it has not shown itself yet."""
        shown = self._signs.get(sign)
        return None if shown is None else timedelta(seconds=max(0.0, self._clock.monotonic() - shown))

    @property
    def uptime(self) -> timedelta:
        """How long the worker has been there."""
        return timedelta(seconds=self._clock.monotonic() - self._began)

    def count(self, what: Count, number: int = 1, *, label: str = "") -> None:
        """Add to a count."""
        with self._lock:
            self._counts[what, label] += number

    def counts(self) -> dict[Count, dict[str, int]]:
        """Return every count by its labels."""
        with self._lock:
            items = list(self._counts.items())
        found: dict[Count, dict[str, int]] = {what: {} for what in Count}
        for (what, label), number in items:
            found[what][label] = number
        return found

    def took(self, what: Took, duration_s: float) -> None:
        """Note how long something took."""
        with self._lock:
            buckets, sum_s = self._durations.get(what, ([0] * (len(BOUNDS_S) + 1), 0.0))
            buckets[bisect_left(BOUNDS_S, duration_s)] += 1
            self._durations[what] = (buckets, sum_s + duration_s)

    def durations(self, what: Took) -> Durations:
        """Return how long something took so far."""
        with self._lock:
            buckets, sum_s = self._durations.get(what, ([0] * (len(BOUNDS_S) + 1), 0.0))
            return Durations(tuple(buckets), sum_s)

    def found(self, name: str, *, is_up: bool, is_needed: bool = False, detail: str = "") -> None:
        """Note how a dependency is."""
        self._dependencies[name] = Dependency(name, is_up, is_needed, self._clock.monotonic(), detail)

    def dependencies(self) -> list[Dependency]:
        """Return how the dependencies were when they were asked last, those that are needed first."""
        return sorted(self._dependencies.copy().values(), key=lambda each: (not each.is_needed, each.name))

    def since(self, moment: float) -> timedelta:
        """Return how long ago a moment of the clock was."""
        return timedelta(seconds=max(0.0, self._clock.monotonic() - moment))
