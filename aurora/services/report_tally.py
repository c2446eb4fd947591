"""What a report counts over all of its alerts, in bounded memory: one small line an alert, of the worst only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from aurora.kernel.models import Severity, VerdictLabel
from aurora.services.outcomes import has_failed

LABELS = (*(each.value for each in VerdictLabel), "waiting")
"""The verdicts, the worst first; `waiting` is an alert that has none yet."""

SEVERITIES = tuple(each.value for each in sorted(Severity, key=lambda each: -each.rank))
"""The most severe first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PEOPLE = ("host", "user", "mailbox", "address", "application", "file", "process")
"""Types of entities, the most telling first."""


@dataclass(frozen=True, slots=True)
class Line:
    """One alert in a list."""

    alert_id: UUID
    title: str
    severity: str
    label: str
    confidence: float | None
    time: datetime | None
    count: int
    source: str
    status: str
    who: str
    case_id: UUID | None
    degraded: bool

    @property
    def badness(self) -> tuple[int, int, float, UUID]:
        """Sorts the worst first: by verdict, severity, confidence."""
        return LABELS.index(self.label), SEVERITIES.index(self.severity), -(self.confidence or 0.0), self.alert_id


@dataclass(slots=True)
class CaseCount:
    """A case as far as the alerts of the report go."""

    alerts: Counter[str] = field(default_factory=Counter)
    """By verdict."""
    worst: tuple[int, int] = (len(LABELS), len(SEVERITIES))
    """Ranks of verdict and severity of its worst alert; 0 is the worst there is."""
    first: datetime | None = None
    last: datetime | None = None

    @property
    def badness(self) -> tuple[int, ...]:
        """Sorts by the worst alert first: its verdict, its severity; then by how many there are of each verdict."""
        return (*self.worst, *(-self.alerts[label] for label in LABELS))


@dataclass(slots=True)
class Moments:
    """How many alerts of which verdict happened when; its bins grow, so that they stay few."""

    most: int = 4000
    """Bins that are kept; a drawing shows sixty."""
    width_s: int = 60
    bins: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By (number of the bin since 1970, verdict)."""
    first: datetime | None = None
    last: datetime | None = None
    unknown: int = 0
    """Alerts that do not say when."""

    def add(self, moment: datetime | None, label: str) -> None:
        """Count an alert."""
        if moment is None:
            self.unknown += 1
            return
        self.first = min(self.first or moment, moment)
        self.last = max(self.last or moment, moment)
        self.bins[(moment - _EPOCH) // timedelta(seconds=self.width_s), label] += 1
        while len(self.bins) > self.most:
            self.width_s *= 2
            halved: Counter[tuple[int, str]] = Counter()
            for (number, each), count in self.bins.items():
                halved[number // 2, each] += count
            self.bins = halved


@dataclass(slots=True)
class ModelTotal:
    """What was asked of one model with one prompt."""

    alerts: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    """Alerts whose cost is not known."""


@dataclass(slots=True)
class Tally:
    """All alerts of a report, counted; the worst as lines."""

    keep: int
    """Lines that are kept."""
    total: int = 0
    occurrences: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (verdict, severity)."""
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (file, product family, format)."""
    deciders: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (who decided: rules, model, analyst; name)."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Claims that verification dropped, by reason; a reason that is rare among very many counts as `other`."""
    degraded: int = 0
    failed: int = 0
    unasked: int = 0
    """Alerts that no model was asked about."""
    models: dict[tuple[str, str], ModelTotal] = field(default_factory=dict)
    """By (model, prompt)."""
    cases: dict[UUID, CaseCount] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)
    worst: list[Line] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count an alert, given as `Reports.lines` returns it."""
        label = row["v_label"] or "waiting"
        line = _line(row, label)
        self.total += 1
        self.occurrences += row["count"]
        self.verdicts[label, row["severity"]] += 1
        self.sources[row["file"], row["source"], row["format"] or ""] += 1
        self.moments.add(row["event_time"], label)
        if row["v_label"]:
            self._verdict(row)
        if row["case_id"] is not None:
            case = self.cases.setdefault(row["case_id"], CaseCount())
            case.alerts[label] += 1
            case.worst = min(case.worst, line.badness[:2])
            seen = row["event_time"]
            if seen is not None:
                case.first, case.last = min(case.first or seen, seen), max(case.last or seen, seen)
        self.worst.append(line)
        if len(self.worst) >= 2 * self.keep + 1000:
            self.finish()

    def finish(self) -> None:
        """Put the worst first and forget the others."""
        self.worst.sort(key=lambda line: line.badness)
        del self.worst[self.keep :]

    def labels(self) -> Counter[str]:
        """Return how many alerts have which verdict."""
        counts: Counter[str] = Counter()
        for (label, _), count in self.verdicts.items():
            counts[label] += count
        return counts

    def _verdict(self, row: Mapping[str, Any]) -> None:
        self.degraded += bool(row["v_degraded"])
        self.failed += has_failed({"decided_by": row["v_decided_by"], "decided_name": row["v_decided_name"]})
        self.deciders[row["v_decided_by"], row["v_decided_name"]] += 1
        for each in row["v_dropped"] or ():
            reason = str(each.get("reason", ""))
            self.dropped[reason if reason in self.dropped or len(self.dropped) < 50 else "other"] += 1
        use = row["v_model"]
        if not isinstance(use, Mapping):
            self.unasked += row["v_decided_by"] != "analyst"
            return
        name = str(use.get("model") or use.get("name") or "a model without a name")
        total = self.models.setdefault((name, str(use.get("prompt") or "")), ModelTotal())
        total.alerts += 1
        total.calls += _count(use.get("calls"))
        total.input_tokens += _count(use.get("input_tokens"))
        total.output_tokens += _count(use.get("output_tokens"))
        cost = usd(use.get("cost_usd"))
        total.unpriced += cost is None
        total.cost_usd += cost or 0


def usd(value: object) -> Decimal | None:
    """Return an amount as it was stored, or `None` where the price was not known."""
    try:
        amount = None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount is None or amount.is_finite() else None


def _line(row: Mapping[str, Any], label: str) -> Line:
    return Line(
        alert_id=row["id"],
        title=row["title"],
        severity=row["severity"],
        label=label,
        confidence=row["v_confidence"],
        time=row["event_time"],
        count=row["count"],
        source=row["source"],
        status=row["status"],
        who=who(row["entities"]),
        case_id=row["case_id"],
        degraded=bool(row["v_degraded"]),
    )


def who(entities: list[dict[str, str]]) -> str:
    """Return the two entities that tell most of whom an alert is about."""
    ranked = sorted(entities, key=lambda each: _PEOPLE.index(each["type"]) if each["type"] in _PEOPLE else len(_PEOPLE))
    return ", ".join(each["value"][:80] for each in ranked[:2])


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
