"""How many retries calls may cost: a share of the calls, so that retries never make an outage worse. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryShare:
    """What a budget allows, after Finagle's `RetryBudget` and gRPC's retry throttling (gRFC A6).

    Raises:
        ValueError: a number is below zero.
    """

    ratio: float = 0.2
    """Retries for each call. A dependency that is down gets a fifth more calls, not three times as many."""

    per_second: float = 1.0
    """Retries for each second, for who calls so seldom that the share of a call is no retry …"""

    reserve: float = 10.0
    """… of which so many add up, and are there at the start."""

    most: float = 100.0
    """Retries that calls may save up."""

    def __post_init__(self) -> None:
        if min(self.ratio, self.per_second, self.reserve) < 0.0 or self.most < self.reserve:
            raise ValueError("numbers must not be negative, and most at least reserve")


class RetryBudget:
    """A bucket of retries: every call puts a share of one in, a retry takes one out.

    `now` is in seconds of a monotonic clock; one before the last counts as the last.
    """

    def __init__(self, share: RetryShare | None = None) -> None:
        self.share = share or RetryShare()
        self._left = self.share.reserve
        self._at = float("-inf")

    def called(self, now: float) -> None:
        """Count a call, retries not included."""
        self._refill(now)
        self._left = min(self.share.most, self._left + self.share.ratio)

    def retry(self, now: float) -> bool:
        """Take one retry if there is one; return whether there was."""
        self._refill(now)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def left(self, now: float) -> float:
        """Return how many retries there are."""
        self._refill(now)
        return self._left

    def _refill(self, now: float) -> None:
        """Add what time brings; it fills the reserve and nothing beyond."""
        share, before = self.share, self._at
        self._at = max(before, now)
        if before > float("-inf") and self._left < share.reserve:
            self._left = min(share.reserve, self._left + (self._at - before) * share.per_second)
