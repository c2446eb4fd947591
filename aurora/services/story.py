"""The cases of an input as stories: what happened, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from aurora.ingest.accepted import Accepted
from aurora.services.summary import distinct, outcomes
from aurora.storage.repositories.alerts import Outcome
from aurora.storage.unit_of_work import Storage

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CaseStory:
    """The alerts of one case in time order; those that name no time stand last."""

    case_id: UUID
    alerts: list[Outcome] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """The products that saw it, the first witness first."""
        return list(dict.fromkeys(each.alert["source"] for each in self.alerts))


async def tell(storage: Storage, accepted: Accepted) -> list[CaseStory]:
    """Return the cases that the alerts of an input belong to, the longest first.

    All of their alerts are in memory with their evidence: for inputs that a person can read.
    """
    cases: dict[UUID, CaseStory] = {}
    async for _, outcome in outcomes(storage, distinct(accepted), lambda alert_id: alert_id):
        case_id = outcome.alert["case_id"]
        if case_id is not None:
            cases.setdefault(case_id, CaseStory(case_id)).alerts.append(outcome)
    for case in cases.values():
        case.alerts.sort(key=lambda each: (each.alert["event_time"] or _NEVER, each.record_id))
    return sorted(cases.values(), key=lambda case: (-len(case.alerts), case.case_id))
