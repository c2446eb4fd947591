"""How the last calls ended: a sliding window bounded by number and by time. Pure."""

from __future__ import annotations

from collections import deque


class CallWindow:
    """Counts calls, failures and slow calls. Memory: one small tuple a call, `most` at most.

    Args:
        most: Calls that it holds; the oldest leave first.
        span_s: Seconds after which a call leaves.
    """

    def __init__(self, *, most: int, span_s: float) -> None:
        self._most = most
        self._span_s = span_s
        self._calls: deque[tuple[float, bool, bool]] = deque()
        self.failures = 0
        self.slow = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, now: float, failed: bool, slow: bool) -> None:  # noqa: FBT001 - by name costs a tenth of a call
        """Count a call that ended now."""
        calls = self._calls
        if calls and (calls[0][0] <= now - self._span_s or len(calls) == self._most):
            self.forget(now)
            if len(calls) == self._most:
                self._drop()
        calls.append((now, failed, slow))
        if failed:
            self.failures += 1
        if slow:
            self.slow += 1

    def forget(self, now: float) -> None:
        """Drop the calls that ended too long ago."""
        oldest = now - self._span_s
        while self._calls and self._calls[0][0] <= oldest:
            self._drop()

    def clear(self) -> None:
        """Drop all calls."""
        self._calls.clear()
        self.failures = self.slow = 0

    def _drop(self) -> None:
        _, failed, slow = self._calls.popleft()
        if failed:
            self.failures -= 1
        if slow:
            self.slow -= 1
