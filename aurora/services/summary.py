"""What an input came to, collected alert by alert in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from aurora.ingest.accepted import Accepted
from aurora.kernel.models import Severity, VerdictLabel
from aurora.services.outcomes import has_failed
from aurora.storage.repositories.alerts import Outcome
from aurora.storage.unit_of_work import Storage

CHUNK = 200
"""Records read from storage at once: with all their evidence, some 4 MB."""

_WORST = {label: rank for rank, label in enumerate(VerdictLabel)}


@dataclass(slots=True)
class CaseFile:
    """A case as far as this input is concerned."""

    case_id: UUID
    alerts: int = 0
    first: datetime | None = None
    title: str = ""
    severity: str = ""


@dataclass(slots=True)
class ModelTally:
    """What one model was asked for the verdicts of an input."""

    heard: int = 0
    """Verdicts that it had a part in."""
    unheard: int = 0
    """Verdicts that it should have had a part in; they are degraded."""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    """`None`: its price is not known."""

    def add(self, use: Mapping[str, Any], *, heard: bool) -> None:
        """Count the model's part in one verdict: a `ModelUse` as JSON."""
        self.heard += heard
        self.unheard += not heard
        self.calls += use["calls"]
        self.input_tokens += use["input_tokens"]
        self.output_tokens += use["output_tokens"]
        cost = use["cost_usd"]
        self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + Decimal(cost)


@dataclass(slots=True)
class Summary:
    """Verdicts counted, the worst alerts, the cases. Each alert counts once, however often it occurred."""

    most: int = 10
    """Alerts and cases that are shown."""
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (verdict, severity)."""
    worst: list[Outcome] = field(default_factory=list)
    cases: dict[UUID, CaseFile] = field(default_factory=dict)
    failed: list[Outcome] = field(default_factory=list)
    """The first alerts whose triage failed."""
    corrected: int = 0
    """Alerts whose verdict is an analyst's."""
    models: dict[str, ModelTally] = field(default_factory=dict)
    """What was asked of each model."""

    def add(self, outcome: Outcome) -> None:
        """Count an alert."""
        verdict = outcome.verdict
        if verdict is None:
            return
        self.verdicts[verdict["label"], outcome.alert["severity"]] += 1
        self.corrected += verdict["decided_by"] == "analyst"
        if use := verdict["model"]:
            self.models.setdefault(use["model"], ModelTally()).add(use, heard=not verdict["degraded"])
        if has_failed(verdict) and len(self.failed) < self.most:
            self.failed.append(outcome)
        case_id = outcome.alert["case_id"]
        if case_id is not None:
            case = self.cases.setdefault(case_id, CaseFile(case_id))
            case.alerts += 1
            seen = outcome.alert["first_seen"]
            case.first = min(case.first or seen, seen)
        if verdict["label"] != VerdictLabel.BENIGN:
            self.worst.append(outcome)
            if len(self.worst) >= 10 * self.most:
                self._keep_the_worst()

    def finish(self, cases: dict[UUID, dict[str, Any]]) -> None:
        """Put the worst first, and name the cases."""
        self._keep_the_worst()
        for case_id, row in cases.items():
            self.cases[case_id].title, self.cases[case_id].severity = row["title"], row["severity"]

    def largest_cases(self) -> list[CaseFile]:
        """Return the cases to show: the most alerts first."""
        return sorted(self.cases.values(), key=lambda each: (-each.alerts, each.case_id))[: self.most]

    def _keep_the_worst(self) -> None:
        self.worst = sorted(self.worst, key=_badness)[: self.most]


async def summarise(storage: Storage, accepted: Accepted, *, most: int = 10) -> Summary:
    """Return the summary of an input, read back from storage."""
    summary = Summary(most=most)
    async for _, outcome in outcomes(storage, distinct(accepted), lambda alert_id: alert_id):
        summary.add(outcome)
    async with storage.reading() as transaction:
        summary.finish(await transaction.cases.by_id([each.case_id for each in summary.largest_cases()]))
    return summary


async def outcomes(
    storage: Storage,
    items: Iterable[Any],
    key: Callable[[Any], UUID],
) -> AsyncIterator[tuple[Any, Outcome]]:
    """Yield every item with the outcome of the record that `key` names, in order, a chunk in memory at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        ids = [key(item) for item in chunk]
        async with storage.reading() as transaction:
            found = dict(zip(ids, await transaction.alerts.outcomes(ids), strict=True))
        for item, record_id in zip(chunk, ids, strict=True):
            yield item, found[record_id]


def distinct(accepted: Accepted) -> Iterable[UUID]:
    """Yield each alert of an input once, in order of appearance: 16 bytes of memory each."""
    seen: set[bytes] = set()
    for _, alert_id, _ in accepted.records():
        if alert_id.bytes not in seen:
            seen.add(alert_id.bytes)
            yield alert_id


def _badness(outcome: Outcome) -> tuple[int, int, float, UUID]:
    verdict = outcome.verdict or {}
    return (
        _WORST[VerdictLabel(verdict["label"])],
        -Severity(outcome.alert["severity"]).rank,
        -verdict["confidence"],
        outcome.record_id,
    )
