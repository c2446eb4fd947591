"""What a window let go of, and why: nothing vanishes without a trace."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class DropReason(StrEnum):
    """Why a message is not in the window."""

    WINDOW_FULL = "window_full"
    """Newer messages needed its place."""
    ORPHAN_RESULT = "orphan_result"
    """It is the result of a tool call that is not in the window; a provider refuses such a history."""
    REPEATED_RESULT = "repeated_result"
    """Its tool call has a result already, as after a step that was run again."""
    CLEARED = "cleared"
    """Somebody cleared the window."""
    TOKEN_CEILING = "token_ceiling"  # noqa: S105 - no password: these tokens are counted
    """Together with the rest it had more tokens than there is room for."""
    SHORTENED = "shortened"
    """It is there, but its middle is not: it was too large to be there whole."""


FELL = frozenset({DropReason.WINDOW_FULL, DropReason.TOKEN_CEILING})
"""Of messages that were in the window and made room for others: a summary stands for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One message that is gone, or that is no longer whole."""

    position: int
    """Its place among all messages that were ever added, counted from 0."""
    role: str
    reason: DropReason


class Ledger:
    """Counts all that was dropped, and remembers the latest in detail.

    Args:
        keep: How many entries are remembered in detail.
    """

    def __init__(self, *, keep: int = 100) -> None:
        self._counts: Counter[DropReason] = Counter()
        self._latest: deque[Dropped] = deque(maxlen=keep)

    @property
    def total(self) -> int:
        """Messages dropped so far. One that was only shortened is none of them."""
        return self._counts.total() - self._counts[DropReason.SHORTENED]

    @property
    def counts(self) -> Mapping[DropReason, int]:
        """Messages dropped or shortened so far, by reason; a reason that did not occur counts 0."""
        return MappingProxyType({reason: self._counts[reason] for reason in DropReason})

    @property
    def latest(self) -> tuple[Dropped, ...]:
        """The latest entries, oldest first."""
        return tuple(self._latest)

    def record(self, dropped: Dropped) -> None:
        """Write down that a message is gone, or is no longer whole."""
        self._counts[dropped.reason] += 1
        self._latest.append(dropped)
