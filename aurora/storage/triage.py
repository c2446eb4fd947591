"""The triage graph's ports, answered by storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.errors import LeaseLost, NotFound
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.ids import AlertId, CaseId, VerdictId, case_id_of
from aurora.kernel.models import Alert, AlertStatus, Case, Decider, Observable, Task, Verdict, VerdictLabel
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.storage.group_commit import GroupCommit
from aurora.storage.repositories.alerts import StoredAlert
from aurora.storage.repositories.verdicts import PastVerdict
from aurora.storage.unit_of_work import Storage, Transaction

_MOST_AHEAD = 1024
"""Dossiers kept, of some 10 KB each: as many as one worker may run tasks."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: see `aurora.kernel.ports.triage.Recorded`."""

    verdict_id: VerdictId
    case_id: CaseId | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is to be written about one alert."""

    stored: StoredAlert
    verdict: Verdict
    observables: Sequence[Observable]
    """All that the alert names by now."""
    status: AlertStatus | None = None
    """`None`: as it is."""

    def case(self, now: datetime) -> Case:
        """Return the case of its group, as it is opened; `Cases.refresh` sums up what belongs to it."""
        return Case(
            id=case_id_of(self.stored.group_id),
            title=self.stored.alert.title,
            severity=self.stored.alert.severity,
            confidence=self.verdict.confidence,
            techniques=self.verdict.techniques,
            created_at=now,
        )


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
        self._group: GroupCommit[tuple[Task, Conclusion], Recorded] = GroupCommit(self._record_all)

    async def read_ahead(self, alert_ids: Iterable[AlertId]) -> None:
        """Fetch what the runs of these alerts will ask for, in a few statements for all of them.

        It is kept until the verdict is recorded; of what is never recorded, the oldest is dropped.
        """
        wanted = list(alert_ids)
        for each in wanted:
            self._ahead.pop(each, None)  # read before an attempt that failed
        self._ahead.update((each.stored.alert.id, each) for each in await self._dossiers(wanted))
        for oldest in list(islice(self._ahead, max(0, len(self._ahead) - _MOST_AHEAD))):
            del self._ahead[oldest]

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
        # Inside a run time stands still; what others may remember counts from when it was written.
        verdict = verdict.model_copy(update={"created_at": self._clock.now()})
        conclusion = Conclusion(stored, verdict, observables, AlertStatus.TRIAGED)
        recorded = await self._group.submit((task, conclusion))
        self._ahead.pop(verdict.alert_id, None)
        return recorded

    async def _record_all(self, entries: Sequence[tuple[Task, Conclusion]]) -> list[Recorded | Exception]:
        async with self._storage.writing() as transaction:
            held = await transaction.tasks.hold([task for task, _ in entries])
            standing = [conclusion for task, conclusion in entries if task.id in held]
            written = iter(await conclude(transaction, standing, now=self._clock.now()))
        return [
            next(written)
            if task.id in held
            else LeaseLost("another worker owns this task now", task_id=str(task.id), epoch=task.epoch)
            for task, _ in entries
        ]

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


async def conclude(transaction: Transaction, conclusions: Sequence[Conclusion], *, now: datetime) -> list[Recorded]:
    """Write verdicts, point their alerts to them, and open the cases that anything but benign belongs to."""
    if not conclusions:
        return []
    standing = await transaction.verdicts.add([(each.verdict, each.stored) for each in conclusions])
    to_look_at = [each for each in conclusions if standing[each.verdict.id].label is not VerdictLabel.BENIGN]
    await transaction.cases.open([(each.case(now), each.stored.group_id) for each in to_look_at])
    recorded = [
        Recorded(standing[each.verdict.id].id, case_id_of(each.stored.group_id) if each in to_look_at else None)
        for each in conclusions
    ]
    await transaction.alerts.conclude(
        [
            {
                "alert": each.verdict.alert_id,
                "verdict": written.verdict_id,
                "case": written.case_id,
                "status": each.status,
                "observables": each.observables,
            }
            for each, written in zip(conclusions, recorded, strict=True)
        ]
    )
    return recorded


def _before(past: Sequence[PastVerdict], stored: StoredAlert, *, at_most: int = 5) -> Sequence[PastVerdict]:
    """Return what a batch may remember: verdicts from before it was opened, and corrections of any time.

    The verdicts of one batch do not see each other, so neither the number of jobs nor a kill in
    between changes any of them; the batch is asked as well as the time, for clocks are set back.
    """
    return [
        each
        for each in past
        if each.decided_by is Decider.ANALYST
        or (each.batch_id != stored.batch_id and each.created_at < stored.batch_opened_at)
    ][:at_most]


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
