"""When hunts are due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid5

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=7)
"""A day less than publishers remember a message: a slot must be known for as long as it is the newest."""

MOST = 1000
"""Slots made up at once: a process that slept for a month does not flood the agents."""

_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday, so that weekly slots begin the week
_NAMESPACE = UUID("5b1f0a52-6f0e-5d0e-9a53-3c3e0e7d2c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntSchedule:
    """A hunt that is run again and again. Its slots do not depend on who counts them, nor since when.

    Raises:
        ValueError: `every` is outside its range, or `priority` is.
    """

    id: str
    hunt: str
    """Id of the hunt to run."""
    every: timedelta
    """From a minute to a week."""
    offset: timedelta = timedelta()
    """From the start of the period, e.g. two hours after midnight (UTC) for a daily hunt."""
    agent_type: str = "threat_hunter"
    priority: int = 3
    """0 to 9; 9 is the most urgent."""
    catch_up: Literal["latest", "all", "none"] = "latest"
    """Which missed slots are made up. At the start of a process `all` means the newest alone, too."""

    def __post_init__(self) -> None:
        if not SHORTEST <= self.every <= LONGEST:
            raise ValueError(f"every={self.every!s} must be from a minute to a week")
        if not 0 <= self.priority <= 9:
            raise ValueError(f"priority={self.priority} must be from 0 to 9")

    def newest_slot(self, now: datetime) -> datetime:
        """Return the beginning of the slot that `now` lies in."""
        start = _EPOCH + self.offset
        return start + (now - start) // self.every * self.every

    def due(self, *, after: datetime | None, now: datetime) -> list[datetime]:
        """Return the slots to fire, the oldest first.

        Args:
            after: The slot that this process fired, or passed over, last; `None` when it starts.
            now: The moment.
        """
        newest = self.newest_slot(now)
        if after is None:
            return [] if self.catch_up == "none" else [newest]
        missed = (newest - after) // self.every
        if missed <= 0:
            return []
        if self.catch_up != "all":
            return [newest]
        return [newest - self.every * back for back in range(min(missed, MOST) - 1, -1, -1)]

    def message(self, slot: datetime, *, tenant: str) -> dict[str, Any]:
        """Return the agent task of a slot: the same from every scheduler, so that publishers know it again."""
        return {
            "task_id": str(uuid5(_NAMESPACE, f"{tenant}\n{self.id}\n{slot.isoformat()}")),
            "tenant": tenant,
            "kind": "hunt",
            "agent_type": self.agent_type,
            "priority": self.priority,
            "schedule": self.id,
            "hunt": self.hunt,
            "slot": slot.isoformat(),
        }
