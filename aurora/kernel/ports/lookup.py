"""What tools may look up in what Aurora knows. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from aurora.kernel.evidence import Finding
from aurora.kernel.ids import AlertId
from aurora.kernel.models import ObservableType

Tie = Literal["host", "user", "ip", "domain", "url", "email", "file", "hash"]
"""What can tie alerts together, as the index of entities spells it."""


class Lookup(Protocol):
    """Answers questions about what was seen before; never more than a page of findings."""

    async def past_alerts(self, alert_id: AlertId, tie: Tie, value: str, *, days: int) -> Sequence[Finding]:
        """Return findings of kind `past_alert`: earlier alerts that name a value, the newest first, at most 20.

        What the alert's own batch holds is not among them, so the order of work changes nothing.

        Attributes: `alert`, `title`, `severity`, `verdict`, `decided_by`, `time`, `rule`.

        Args:
            alert_id: The alert that is worked on.
            tie: What sort of value.
            value: Its canonical spelling.
            days: How far back, 1 to 365.
        """

    async def indicator(self, type: ObservableType, value: str) -> Sequence[Finding]:
        """Return findings of kind `indicator`: what the indicator table says of a canonical value.

        Attributes: `type`, `value`, `source`, `confidence`, `status`.
        """
