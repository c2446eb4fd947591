"""What the triage graph needs of the runtime. Storage answers today; memory and tools will."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aurora.kernel.evidence import Finding
from aurora.kernel.ids import AlertId, CaseId, VerdictId
from aurora.kernel.models import Alert, Observable, Task, Verdict


class AlertSource(Protocol):
    """Where a run gets its alert from."""

    async def load(self, alert_id: AlertId) -> Alert:
        """Return the alert.

        Raises:
            NotFound: there is no such alert.
        """


class Recall(Protocol):
    """What is remembered of alerts like this one."""

    async def past_verdicts(self, alert_id: AlertId) -> Sequence[Finding]:
        """Return findings of kind `past_verdict`, corrections by analysts first.

        Attributes: `verdict`, `alert`, `label`, `decided_by`, `age_days`.
        """


class Correlator(Protocol):
    """Which other alerts this one hangs together with."""

    async def related(self, alert_id: AlertId) -> Sequence[Finding]:
        """Return findings of kind `related`, one for each rare value that other alerts name too.

        Attributes: `shared_type`, `shared_value`, `alerts`, `sources`, `rules`, `severe`, `techniques`.
        """


class Recorder(Protocol):
    """Where a run writes its conclusion, in one fenced transaction."""

    async def record(self, task: Task, verdict: Verdict, *, observables: Sequence[Observable]) -> Recorded:
        """Write the verdict, point the alert to it and open or join its case. Safe to call twice.

        Raises:
            LeaseLost: another worker owns the task; nothing was written.
        """


class Recorded(Protocol):
    """What a recorder wrote."""

    @property
    def verdict_id(self) -> VerdictId:
        """Id of the verdict that stands."""

    @property
    def case_id(self) -> CaseId | None:
        """The case that the alert belongs to now, if any."""
