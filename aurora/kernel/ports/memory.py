"""What graphs ask of the memory. Bound to one tenant and one run; what comes back is evidence, never instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aurora.kernel.evidence import Finding
from aurora.kernel.models import Alert, Observable, Verdict


class CaseMemory(Protocol):
    """Remembers what was concluded of alerts, and what is known of those who take part in them."""

    async def similar(self, alert: Alert, observables: Sequence[Observable]) -> Sequence[Finding]:
        """Return what is remembered of alerts like this one and of the entities that it names, the best first.

        Only what was held when the run was asked for: the order of work within a batch changes nothing.

        Findings of kind `similar_case` have the attributes `memory`, `label`, `decided_by`, `decided_name`,
        `similarity` (0 to 1), `trust`, `age_days`. Those of kind `fact` have `memory`, `subject`, `predicate`,
        `object`, `trust`.
        """

    async def remember(self, alert: Alert, verdict: Verdict, observables: Sequence[Observable]) -> None:
        """Keep what was concluded. Safe to repeat.

        Raises:
            LeaseLost: another worker owns the task; nothing was written.
        """
