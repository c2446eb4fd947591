"""Sliding-window rate limits: at most so many calls in any stretch of time of a given length.

Two limiters keep one contract: `LocalRateLimiter` counts within a process, `RedisRateLimiter`
(`aurora.security.ratelimit_redis`) across all of them. Both check and count in one step, and a call
that is refused counts for nothing: whoever keeps trying is not kept out longer for it.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from aurora.kernel.clock import Clock
from aurora.security.errors import RateLimited

MICROSECOND = timedelta(microseconds=1)

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many calls, in any stretch of how long.

    Raises:
        ValueError: the name is not a plain word, or there is no call or no time in it.
    """

    name: str
    """What is limited, e.g. `login`. Part of the key and of the headers."""

    calls: int
    """Calls that are let through within `window`."""

    window: timedelta
    """The length of the stretch, at least a millisecond."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name={self.name!r} must be lower-case letters, digits and _ . -")
        if self.calls < 1 or self.window < timedelta(milliseconds=1):
            raise ValueError(f"calls={self.calls!r} must be >= 1 and window={self.window} at least a millisecond")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a limiter says about one call."""

    allowed: bool
    policy: Limit
    remaining: int
    """Calls that would still be let through now."""
    retry_after: timedelta
    """When the next call would be let through; zero if that is now."""
    reset: timedelta
    """When all of the limit would be there again if nobody called in between."""
    is_shared: bool = True
    """Whether other processes count into the same window."""

    @property
    def limit(self) -> int:
        """Calls that the policy lets through within its window."""
        return self.policy.calls

    def headers(self) -> dict[str, str]:
        """Return the response headers: `RateLimit-Policy` and `RateLimit`, and `Retry-After` with a refusal.

        The two are structured fields after draft-ietf-httpapi-ratelimit-headers-10. Times are whole
        seconds, rounded up, so that a client who obeys them is not refused again.
        """
        name, window = self.policy.name, _seconds(self.policy.window)
        headers = {
            "RateLimit-Policy": f'"{name}";q={self.limit};w={window}',
            "RateLimit": f'"{name}";r={self.remaining};t={_seconds(self.reset)}',
        }
        if not self.allowed:
            headers["Retry-After"] = str(max(1, _seconds(self.retry_after)))
        return headers

    def require(self) -> None:
        """Return if the call is allowed.

        Raises:
            RateLimited: it is not; the error says when to come back.
        """
        if not self.allowed:
            wait = max(1, _seconds(self.retry_after))
            raise RateLimited(
                f"limit {self.policy.name} of {self.limit} calls in {_seconds(self.policy.window)} s is reached: "
                f"try again in {wait} s",
                retry_after_s=self.retry_after.total_seconds(),
                limit=self.policy.name,
            )


class RateLimiter(Protocol):
    """Counts calls against one limit."""

    @property
    def limit(self) -> Limit:
        """What it enforces."""

    async def hit(self, key: str) -> Allowance:
        """Count a call of `key` if it is within the limit, and say whether it was, in one atomic step.

        Args:
            key: Whoever the limit is for: a subject, an address. May come from outside.

        Raises:
            LimiterAway: the calls cannot be counted, and the limiter lets nobody through uncounted.
        """


class LocalRateLimiter:
    """Counts within this process, so N processes let N times the limit through. Never waits.

    Time is the clock's monotonic one: a wall clock that is set back must not lengthen a window.

    Args:
        limit: What is enforced.
        clock: Where time comes from.
        max_keys: Keys that are remembered at once. One more forgets the key whose last call is longest
            ago, and with it what that key had used up.
    """

    def __init__(self, limit: Limit, *, clock: Clock, max_keys: int = 100_000) -> None:
        if max_keys < 1:
            raise ValueError(f"max_keys={max_keys!r} must be >= 1")
        self._limit = limit
        self._clock = clock
        self._max_keys = max_keys
        self._hits: OrderedDict[str, deque[int]] = OrderedDict()  # microseconds; keys by their latest hit

    @property
    def limit(self) -> Limit:
        return self._limit

    async def hit(self, key: str) -> Allowance:
        # No await from here to the end: that is what makes it one step.
        now = round(self._clock.monotonic() * 1_000_000)
        window = self._limit.window // MICROSECOND
        hits = self._hits.get(key, deque())
        while hits and hits[0] <= now - window:
            hits.popleft()
        if allowed := len(hits) < self._limit.calls:
            hits.append(now)
            self._hits[key] = hits
            self._hits.move_to_end(key)
            self._forget(now - window)
        return allowance(
            self._limit,
            allowed=allowed,
            used=len(hits),
            frees_at=hits[0] + window - now,
            empty_at=hits[-1] + window - now,
            is_shared=False,
        )

    def _forget(self, until: int) -> None:
        """Drop keys that have no hit in their window, and the longest idle beyond `max_keys`."""
        while self._hits:
            oldest = next(iter(self._hits.values()))
            if oldest[-1] > until and len(self._hits) <= self._max_keys:
                return
            self._hits.popitem(last=False)


def allowance(
    limit: Limit, *, allowed: bool, used: int, frees_at: int, empty_at: int, is_shared: bool = True
) -> Allowance:
    """Return what a limiter says, from what it counted: moments in microseconds from now."""
    is_full = used >= limit.calls
    return Allowance(
        allowed=allowed,
        policy=limit,
        remaining=max(0, limit.calls - used),
        retry_after=frees_at * MICROSECOND if is_full else timedelta(0),
        reset=empty_at * MICROSECOND,
        is_shared=is_shared,
    )


def _seconds(duration: timedelta) -> int:
    return math.ceil(duration / timedelta(seconds=1))
