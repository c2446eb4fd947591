"""Cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update

from aurora.kernel.ids import AlertId, CaseId
from aurora.kernel.models import Case, Severity
from aurora.storage.models import AlertModel, CaseModel, VerdictModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _CASES, _VERDICTS = table_of(AlertModel), table_of(CaseModel), table_of(VerdictModel)


class Cases(Repository):
    """Cases of one tenant."""

    async def open(self, cases: Sequence[tuple[Case, UUID]]) -> None:
        """Open the cases of groups of alerts, given as (case, group id), unless they are open already."""
        if not cases:
            return
        statement = self._insert(_CASES).on_conflict_do_nothing(index_elements=["tenant", "group_id"])
        await self._connection.execute(
            statement,
            [
                {
                    "id": case.id,
                    "tenant": self._tenant,
                    "group_id": group_id,
                    "title": str.__str__(case.title),
                    "severity": case.severity.value,
                    "status": case.status.value,
                    "confidence": case.confidence,
                    "techniques": list(case.techniques),
                    "iocs": [],
                    "is_cps": False,
                    "created_at": case.created_at,
                    "updated_at": case.created_at,
                }
                for case, group_id in cases
            ],
        )

    async def of_alerts(self, alert_ids: Sequence[AlertId]) -> set[CaseId]:
        """Return the cases that alerts belong to."""
        query = select(_ALERTS.c.case_id).where(
            _ALERTS.c.tenant == self._tenant, _ALERTS.c.id.in_(alert_ids), _ALERTS.c.case_id.is_not(None)
        )
        return {CaseId(each) for each in (await self._connection.execute(query.distinct())).scalars()}

    async def refresh(self, case_ids: Sequence[CaseId], *, now: datetime) -> None:
        """Sum up, for each case, what its alerts say by now; the order in which they came changes nothing."""
        columns = (_ALERTS.c.case_id, _ALERTS.c.id, _ALERTS.c.title, _ALERTS.c.severity, _ALERTS.c.iocs)
        verdict = (_VERDICTS.c.score, _VERDICTS.c.confidence, _VERDICTS.c.techniques)
        statement = (
            update(_CASES)
            .where(_CASES.c.tenant == self._tenant, _CASES.c.id == bindparam("case"))
            .values({name: bindparam(name) for name in ("title", "severity", "confidence", "techniques", "iocs")})
            .values(updated_at=now)
        )
        for part in chunks(case_ids, 100):
            query = (
                select(*columns, *verdict)
                .join(_VERDICTS, _VERDICTS.c.id == _ALERTS.c.verdict_id)
                .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.case_id.in_(part))
                .order_by(_VERDICTS.c.score.desc(), _ALERTS.c.id)
            )
            sums: dict[UUID, _Sum] = {}
            for row in await self._connection.execute(query):
                sums.setdefault(row.case_id, _Sum(row.title)).add(row)
            if sums:
                await self._connection.execute(
                    statement, [{"case": case_id, **each.values()} for case_id, each in sums.items()]
                )

    async def by_id(self, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """Return these cases as plain columns, by id; unknown ids are left out."""
        found: dict[UUID, dict[str, Any]] = {}
        for part in chunks(ids):
            query = select(_CASES).where(_CASES.c.tenant == self._tenant, _CASES.c.id.in_(part))
            for row in await self._connection.execute(query):
                found[row.id] = dict(row._mapping)
        return found


@dataclass(slots=True)
class _Sum:
    """What the alerts of one case say together."""

    title: str
    """Of the alert that weighs most: a case is rarely about what happened to come first."""
    severity: Severity = Severity.INFO
    confidence: float = 0.0
    techniques: set[str] = field(default_factory=set)
    observables: set[tuple[str, str]] = field(default_factory=set)

    def add(self, row: Any) -> None:
        self.severity = max(self.severity, Severity(row.severity), key=lambda each: each.rank)
        self.confidence = max(self.confidence, row.confidence)
        self.techniques.update(row.techniques)
        self.observables.update((each["type"], each["value"]) for each in row.iocs)

    def values(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "severity": self.severity.value,
            "confidence": self.confidence,
            "techniques": sorted(self.techniques),
            "iocs": [{"type": kind, "value": value} for kind, value in sorted(self.observables)],
        }
