"""What workers did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.kernel.models import TaskState
from aurora.kernel.models.work import Ending


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of tasks so far."""

    done: int
    failed: int
    waiting: int = 0
    """Parked: an interrupt is open, and somebody must decide."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the runs that were under way when a worker was told to stop."""

    finished: int
    handed_back: int


@dataclass(slots=True)
class Tally:
    """What a worker did since its start."""

    succeeded: int = 0
    failed: int = 0
    parked: int = 0
    cancelled: int = 0
    retried: int = 0
    handed_back: int = 0
    lost: int = 0
    """Ended or stopped when somebody else owned them; nothing was written."""

    @property
    def finished(self) -> int:
        """Runs that came to an end, for good or until somebody decides."""
        return self.succeeded + self.failed + self.parked + self.cancelled

    def count(self, ending: Ending) -> None:
        """Count an ending that was written."""
        name = _COUNTED.get(ending.state) or ("handed_back" if ending.event == "handed_back" else "retried")
        setattr(self, name, getattr(self, name) + 1)


_COUNTED = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.DEAD: "failed",
    TaskState.WAITING: "parked",
    TaskState.CANCELLED: "cancelled",
}
