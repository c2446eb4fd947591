"""Alerts: read for triage, listed and shown for people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select, update

from aurora.kernel.errors import NotFound
from aurora.kernel.ids import AlertId, BatchId, CaseId
from aurora.kernel.models import Alert
from aurora.storage.models import AlertModel, AlertRecordModel, BatchModel, TaskModel, VerdictModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _RECORDS = table_of(AlertModel), table_of(AlertRecordModel)
_BATCHES, _TASKS, _VERDICTS = table_of(BatchModel), table_of(TaskModel), table_of(VerdictModel)
_ALERT_COLUMNS, _VERDICT_COLUMNS = tuple(_ALERTS.c), tuple(_VERDICTS.c)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert with what storage knows about it."""

    alert: Alert
    batch_id: BatchId
    batch_opened_at: datetime
    group_id: UUID
    dedup_hash: str
    first_seen: datetime
    last_seen: datetime
    count: int
    case_id: CaseId | None
    raw: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One record of an input with the verdict of its alert as it is now."""

    record_id: UUID
    file: str
    """Where this record was read first."""
    line: int
    alert: Mapping[str, Any]
    """Columns of the alert."""
    verdict: Mapping[str, Any] | None
    """Columns of the verdict."""
    event_time: datetime | None
    """When this occurrence happened; when its input was opened, if the alert does not say."""
    run_id: UUID | None
    """The newest run that triaged the alert, or will; a correction has none of its own."""

    @property
    def duplicate_of(self) -> UUID | None:
        """The alert that it repeats, or `None` if it is the first."""
        first: UUID = self.alert["id"]
        return None if first == self.record_id else first


class Alerts(Repository):
    """Alerts of one tenant."""

    async def load(self, alert_id: AlertId) -> StoredAlert:
        """Return one alert.

        Raises:
            NotFound: there is no such alert.
        """
        for stored in await self.load_all([alert_id]):
            return stored
        raise NotFound(f"there is no alert {alert_id}", alert_id=str(alert_id))

    async def load_all(self, alert_ids: Sequence[AlertId]) -> list[StoredAlert]:
        """Return those of the alerts that exist, in no particular order."""
        stored: list[StoredAlert] = []
        for part in chunks(alert_ids):
            query = (
                select(
                    _ALERTS,
                    _ALERTS.c.count.label("occurrences"),
                    _BATCHES.c.opened_at.label("batch_opened_at"),
                )
                .join(_BATCHES, _BATCHES.c.id == _ALERTS.c.batch_id)
                .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id.in_(part))
            )
            stored += [_stored(row) for row in await self._connection.execute(query)]
        return stored

    async def resolve(self, text: str) -> AlertId:
        """Return the alert that an id, or its unambiguous end of at least four digits, names.

        The id of a duplicate names the alert that it repeats.

        Raises:
            NotFound: nothing, or more than one alert, is named so.
        """
        digits = text.replace("-", "").lower()
        if len(digits) == 32:
            query = select(_RECORDS.c.alert_id).where(
                _RECORDS.c.tenant == self._tenant, _RECORDS.c.id == _uuid(text, digits)
            )
            found = list((await self._connection.execute(query)).scalars())
        else:
            found = await self._ending_with(text, digits)
        if len(set(found)) != 1:
            kind = "no alert has" if not found else "more than one alert has"
            raise NotFound(f"{kind} the id {text[:40]!r}; `aurora alerts list` shows them")
        return AlertId(found[0])

    async def _ending_with(self, text: str, digits: str) -> list[UUID]:
        if len(digits) < 4 or any(digit not in "0123456789abcdef" for digit in digits):
            raise NotFound(f"{text[:40]!r} is not an alert id; give all of it or its last 4 digits or more")
        query = select(_RECORDS.c.id, _RECORDS.c.alert_id).where(_RECORDS.c.tenant == self._tenant)
        stream = await self._connection.stream(query)
        return [row.alert_id async for row in stream if row.id.hex.endswith(digits)]

    async def outcomes(self, record_ids: Sequence[UUID], *, without: frozenset[str] = frozenset()) -> list[Outcome]:
        """Return the records of these ids, in the order given, with their alerts and current verdicts.

        Args:
            record_ids: Which.
            without: Columns of alert and verdict to leave out; to decode them takes longer than all else.
        """
        found: dict[UUID, Outcome] = {}
        for part in chunks(record_ids):
            query = _outcomes(without).where(_RECORDS.c.tenant == self._tenant, _RECORDS.c.id.in_(part))
            for row in await self._connection.execute(query):
                found[row.record_id] = _outcome(row, without)
        return [found[each] for each in record_ids]

    async def listed(
        self,
        *,
        verdict: str | None = None,
        severity: str | None = None,
        status: str | None = None,
        source: str | None = None,
        limit: int = 50,
        skip: int = 0,
    ) -> list[Outcome]:
        """Return alerts (not their duplicates), the newest first."""
        wanted = _filtered(verdict=verdict, severity=severity, status=status, source=source)
        query = _outcomes().where(_ALERTS.c.tenant == self._tenant, _RECORDS.c.id == _ALERTS.c.id, *wanted)
        rows = await self._connection.execute(query.order_by(_ALERTS.c.id.desc()).limit(limit).offset(skip))
        return [_outcome(row) for row in rows]

    async def matching(
        self,
        *,
        verdict: str | None = None,
        severity: str | None = None,
        status: str | None = None,
        source: str | None = None,
        without: frozenset[str] = frozenset(),
    ) -> AsyncIterator[list[Outcome]]:
        """Yield every alert that `listed` could list, the newest first, `CHUNK` at a time; `without` as in `outcomes`.

        The ids of all are in memory, some 100 bytes each: to sort whole alerts again for each page would take
        the database a second a page among 100,000.
        """
        wanted = _filtered(verdict=verdict, severity=severity, status=status, source=source)
        query = (
            select(_ALERTS.c.id)
            .outerjoin(_VERDICTS, _VERDICTS.c.id == _ALERTS.c.verdict_id)
            .where(_ALERTS.c.tenant == self._tenant, *wanted)
            .order_by(_ALERTS.c.id.desc())
        )
        ids = (await self._connection.execute(query)).scalars().all()
        for part in chunks(ids):
            yield await self.outcomes(part, without=without)

    async def occurrences(self, alert_id: AlertId, *, limit: int) -> list[dict[str, Any]]:
        """Return (id, file, line, offset_bytes, event_time) of the first `limit` records of an alert, in time order."""
        query = (
            select(_RECORDS.c.id, _RECORDS.c.file, _RECORDS.c.line, _RECORDS.c.offset_bytes, _RECORDS.c.event_time)
            .where(_RECORDS.c.tenant == self._tenant, _RECORDS.c.alert_id == alert_id)
            .order_by(_RECORDS.c.event_time, _RECORDS.c.id)
            .limit(limit)
        )
        return [dict(row._mapping) for row in await self._connection.execute(query)]

    async def record(self, record_id: UUID) -> tuple[str, int, int]:
        """Return (file, line, byte offset) of the record that has this id."""
        query = select(_RECORDS.c.file, _RECORDS.c.line, _RECORDS.c.offset_bytes).where(
            _RECORDS.c.tenant == self._tenant, _RECORDS.c.id == record_id
        )
        row = (await self._connection.execute(query)).one()
        return row.file, row.line, row.offset_bytes

    async def conclude(self, conclusions: Sequence[Mapping[str, Any]]) -> None:
        """Point alerts to their verdicts as they are now: `alert`, `verdict`, `case`, `status`, `observables`.

        A `case` or `status` of `None` stays as it is.
        """
        statement = (
            update(_ALERTS)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == bindparam("alert"))
            .values(
                verdict_id=bindparam("verdict"),
                case_id=func.coalesce(bindparam("case", type_=_ALERTS.c.case_id.type), _ALERTS.c.case_id),
                status=func.coalesce(bindparam("new_status", type_=_ALERTS.c.status.type), _ALERTS.c.status),
                iocs=bindparam("observables"),
            )
        )
        rows = [
            {
                "alert": each["alert"],
                "verdict": each["verdict"],
                "case": each["case"],
                "new_status": each["status"],
                "observables": [observable.model_dump(mode="json") for observable in each["observables"]],
            }
            for each in conclusions
        ]
        await self._connection.execute(statement, rows)


def _filtered(
    *, verdict: str | None, severity: str | None, status: str | None, source: str | None
) -> list[ColumnElement[bool]]:
    """Return the conditions on alerts joined with their verdicts; what is `None` is not asked for."""
    pairs = (
        (_VERDICTS.c.label, verdict),
        (_ALERTS.c.severity, severity),
        (_ALERTS.c.status, status),
        (_ALERTS.c.source, source),
    )
    return [column == value for column, value in pairs if value is not None]


def _stored(row: Row[Any]) -> StoredAlert:
    return StoredAlert(
        alert=to_domain(row._mapping),
        batch_id=row.batch_id,
        batch_opened_at=row.batch_opened_at,
        group_id=row.group_id,
        dedup_hash=row.dedup_hash,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        count=row.occurrences,
        case_id=row.case_id,
        raw=row.raw_log or "",
    )


def _uuid(text: str, digits: str) -> UUID:
    try:
        return UUID(digits)
    except ValueError:
        raise NotFound(f"{text[:40]!r} is not an alert id") from None


def _outcomes(without: frozenset[str] = frozenset()) -> Select[Any]:
    alert = [column for column in _ALERT_COLUMNS if column.name not in without]
    verdict = [column.label(f"v_{column.name}") for column in _VERDICT_COLUMNS if column.name not in without]
    run = (
        select(_TASKS.c.run_id)
        .where(_TASKS.c.tenant == _ALERTS.c.tenant, _TASKS.c.alert_id == _ALERTS.c.id)
        .order_by(_TASKS.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            _RECORDS.c.id.label("record_id"),
            _RECORDS.c.file,
            _RECORDS.c.line,
            _RECORDS.c.event_time.label("seen_at"),
            run.label("newest_run"),
            *alert,
            *verdict,
        )
        .join(_ALERTS, _ALERTS.c.id == _RECORDS.c.alert_id)
        .outerjoin(_VERDICTS, _VERDICTS.c.id == _ALERTS.c.verdict_id)
    )


def _outcome(row: Row[Any], without: frozenset[str] = frozenset()) -> Outcome:
    values = row._mapping
    verdict = None
    if values["v_id"] is not None:
        verdict = {column.name: values[f"v_{column.name}"] for column in _VERDICT_COLUMNS if column.name not in without}
    return Outcome(
        record_id=values["record_id"],
        file=values["file"],
        line=values["line"],
        run_id=values["newest_run"],
        alert={column.name: values[column] for column in _ALERT_COLUMNS if column.name not in without},
        verdict=verdict,
        event_time=values["seen_at"],
    )


def to_domain(row: Mapping[Any, Any]) -> Alert:
    """Return the domain alert of a row of the alerts table."""
    return Alert.model_validate(
        {
            "id": row["id"],
            "title": row["title"],
            "description": row["description"] or "",
            "severity": row["severity"],
            "status": row["status"],
            "source": row["source"],
            "format": row["format"] or "aurora",
            "product": row["product"] or "",
            "rule": row["rule"] or "",
            "time": row["event_time"],
            "entities": row["entities"],
            "observables": row["iocs"],
            "mitre_techniques": row["mitre_techniques"],
            "fields": row["fields"],
        }
    )
