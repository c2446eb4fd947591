"""The triage graph's ports, answered by storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.errors import NotFound
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.ids import AlertId, CaseId, VerdictId, case_id_of
from aurora.kernel.models import Alert, AlertStatus, Case, Decider, Observable, Task, Verdict, VerdictLabel
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.storage.repositories.alerts import StoredAlert
from aurora.storage.repositories.verdicts import PastVerdict
from aurora.storage.unit_of_work import Storage, Transaction


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: see `aurora.kernel.ports.triage.Recorded`."""

    verdict_id: VerdictId
    case_id: CaseId | None


@dataclass(frozen=True, slots=True)
class _Dossier:
    """All that storage knows about an alert before its triage. None of it changes while it is triaged."""

    stored: StoredAlert
    past: Sequence[PastVerdict]
    relations: Sequence[Mapping[str, Any]]


class StoredTriage:
    """Implements `AlertSource`, `Recall`, `Correlator` and `Recorder` on one tenant's storage."""

    def __init__(self, storage: Storage, *, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._ahead: dict[AlertId, _Dossier] = {}

    async def read_ahead(self, alert_ids: Iterable[AlertId]) -> None:
        """Fetch what the runs of these alerts will ask for, in a few statements for all of them.

        What was read ahead before is dropped: hand in a slice of work at a time.
        """
        self._ahead = {each.stored.alert.id: each for each in await self._dossiers(list(alert_ids))}

    async def load(self, alert_id: AlertId) -> Alert:
        return (await self._dossier(alert_id)).stored.alert

    async def past_verdicts(self, alert_id: AlertId) -> Sequence[Finding]:
        dossier = await self._dossier(alert_id)
        opened = dossier.stored.batch_opened_at
        return [_remembered(each, days=max(0, (opened - each.created_at).days)) for each in dossier.past]

    async def related(self, alert_id: AlertId) -> Sequence[Finding]:
        return [_shared(row) for row in (await self._dossier(alert_id)).relations]

    async def record(self, task: Task, verdict: Verdict, *, observables: Sequence[Observable]) -> Recorded:
        stored = (await self._dossier(verdict.alert_id)).stored
        async with self._storage.writing() as transaction:
            await transaction.tasks.hold(task)
            return await conclude(
                transaction, stored, verdict, observables=observables, now=self._clock.now(), status=AlertStatus.TRIAGED
            )

    async def _dossier(self, alert_id: AlertId) -> _Dossier:
        if alert_id not in self._ahead:
            for dossier in await self._dossiers([alert_id]):
                return dossier
            raise NotFound(f"there is no alert {alert_id}", alert_id=str(alert_id))
        return self._ahead[alert_id]

    async def _dossiers(self, alert_ids: Sequence[AlertId]) -> list[_Dossier]:
        async with self._storage.reading() as transaction:
            stored = await transaction.alerts.load_all(alert_ids)
            past = await transaction.verdicts.recall([each.dedup_hash for each in stored])
            relations = await transaction.correlation.relations(alert_ids)
        return [
            _Dossier(each, _before(past.get(each.dedup_hash, ()), each), relations.get(each.alert.id, ()))
            for each in stored
        ]


async def conclude(
    transaction: Transaction,
    stored: StoredAlert,
    verdict: Verdict,
    *,
    observables: Sequence[Observable],
    now: datetime,
    status: AlertStatus | None,
) -> Recorded:
    """Write a verdict, point its alert to it, and open the case that anything but benign belongs to."""
    verdict_id = await transaction.verdicts.add(
        verdict,
        dedup_hash=stored.dedup_hash,
        batch_id=None if verdict.decided_by is Decider.ANALYST else stored.batch_id,
    )
    case_id = None
    if verdict.label is not VerdictLabel.BENIGN:
        case = Case(
            id=case_id_of(stored.group_id),
            title=stored.group_title,
            severity=stored.alert.severity,
            confidence=verdict.confidence,
            techniques=verdict.techniques,
            created_at=now,
        )
        case_id = await transaction.cases.open(case, group_id=stored.group_id)
    await transaction.alerts.conclude(
        verdict.alert_id, verdict_id=verdict_id, case_id=case_id, status=status, observables=observables
    )
    return Recorded(verdict_id, case_id)


def _before(past: Sequence[PastVerdict], stored: StoredAlert, *, at_most: int = 5) -> Sequence[PastVerdict]:
    """Return what a batch may remember: verdicts from before it was opened, and corrections of any time.

    The verdicts of one batch do not see each other, so neither the number of jobs nor a kill in
    between changes any of them.
    """
    return [each for each in past if each.decided_by is Decider.ANALYST or each.created_at < stored.batch_opened_at][
        :at_most
    ]


def _remembered(past: PastVerdict, *, days: int) -> Finding:
    by_analyst = past.decided_by is Decider.ANALYST
    who = f"analyst {quoted(past.decided_name)}" if by_analyst else past.decided_by.value
    when = "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
    why = f": {quoted(past.reason, limit=160)}" if past.reason else ""
    return Finding(
        kind="past_verdict",
        provenance=Provenance.HUMAN if by_analyst else Provenance.AGENT_DERIVED,
        text=UntrustedText(f"same fingerprint judged {past.label} by {who} {when}{why}"),
        source=f"verdict:{past.verdict_id}",
        attributes={
            "verdict": str(past.verdict_id),
            "alert": str(past.alert_id),
            "label": past.label,
            "decided_by": past.decided_by.value,
            "age_days": str(days),
        },
    )


def _shared(row: Mapping[str, Any]) -> Finding:
    many = row["alerts"] > 1
    return Finding(
        kind="related",
        provenance=Provenance.AGENT_DERIVED,
        text=UntrustedText(
            f"{row['alerts']} other alert{'s' if many else ''} within 24 h name{'' if many else 's'} "
            f"the same {row['type']} {quoted(row['value'])}; sources: {', '.join(row['sources'])}; "
            f"{row['severe']} of them severe"
        ),
        source=f"alert:{row['example']}",
        attributes={
            "shared_type": row["type"],
            "shared_value": row["value"],
            "alerts": str(row["alerts"]),
            "sources": ",".join(row["sources"]),
            "rules": str(row["rules"]),
            "severe": str(row["severe"]),
            "techniques": ",".join(row["techniques"]),
        },
    )
