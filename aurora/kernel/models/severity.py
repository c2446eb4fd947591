"""How urgent something is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """Five steps, each with the time in which a person should look."""

    CRITICAL = "critical"
    """Now."""
    HIGH = "high"
    """Within an hour."""
    MEDIUM = "medium"
    """Within four hours."""
    LOW = "low"
    """Within a day."""
    INFO = "info"
    """For the record."""

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return _RANK[self]

    @property
    def is_severe(self) -> bool:
        """High or critical."""
        return self.rank >= _RANK[Severity.HIGH]


_RANK = {severity: rank for rank, severity in enumerate(reversed(Severity))}
