"""What a report reads: every alert in few columns, the histories of some, how much was rejected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from aurora.kernel.ids import AlertId
from aurora.storage.models import AlertModel, AlertRecordModel, RejectedRecordModel, VerdictModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _RECORDS = table_of(AlertModel), table_of(AlertRecordModel)
_REJECTED, _VERDICTS = table_of(RejectedRecordModel), table_of(VerdictModel)

_PAGE = 1000
"""Alerts of one read: without their evidence, some 1 MB."""


class Reports(Repository):
    """Reads over many alerts of one tenant, without the evidence: that of ten thousand verdicts is 100 MB."""

    async def lines(self, alert_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        """Return the alerts of these ids that exist, in no particular order, as plain columns.

        Those of the verdict are prefixed with `v_`; they are `None` for an alert that waits for one.
        """
        found: list[dict[str, Any]] = []
        for part in chunks(alert_ids):
            query = _lines().where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id.in_(part))
            found += [dict(row._mapping) for row in await self._connection.execute(query)]
        return found

    async def matching(
        self,
        *,
        verdict: str | None = None,
        severity: str | None = None,
        status: str | None = None,
        source: str | None = None,
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield every alert that matches, as `lines` returns them, some at a time."""
        query = _lines().where(_ALERTS.c.tenant == self._tenant)
        for column, value in (
            (_VERDICTS.c.label, verdict),
            (_ALERTS.c.severity, severity),
            (_ALERTS.c.status, status),
            (_ALERTS.c.source, source),
        ):
            if value is not None:
                query = query.where(column == value)
        last: UUID | None = None
        while True:
            page = query if last is None else query.where(_ALERTS.c.id > last)
            rows = await self._connection.execute(page.order_by(_ALERTS.c.id).limit(_PAGE))
            found = [dict(row._mapping) for row in rows]
            if not found:
                return
            yield found
            last = found[-1]["id"]

    async def histories(self, alert_ids: Sequence[AlertId]) -> dict[UUID, list[dict[str, Any]]]:
        """Return the verdicts of alerts, the oldest first, without their evidence."""
        columns = ("alert_id", "label", "confidence", "decided_by", "decided_name", "reason", "created_at")
        found: dict[UUID, list[dict[str, Any]]] = {}
        for part in chunks(alert_ids):
            query = (
                select(*(_VERDICTS.c[name] for name in columns))
                .where(_VERDICTS.c.tenant == self._tenant, _VERDICTS.c.alert_id.in_(part))
                .order_by(_VERDICTS.c.created_at, _VERDICTS.c.id)
            )
            for row in await self._connection.execute(query):
                found.setdefault(row.alert_id, []).append(dict(row._mapping))
        return found

    async def rejected(self) -> int:
        """Return how many records were ever rejected."""
        query = select(func.count()).select_from(_REJECTED).where(_REJECTED.c.tenant == self._tenant)
        return int(await self._connection.scalar(query) or 0)


def _lines() -> Select[Any]:
    alert = ("id", "title", "severity", "status", "source", "format", "event_time", "first_seen", "count", "case_id")
    verdict = (
        "label", "confidence", "score", "decided_by", "decided_name", "degraded", "dropped", "model",
    )  # fmt: skip
    return (
        select(
            *(_ALERTS.c[name] for name in alert),
            _ALERTS.c.entities,
            _RECORDS.c.file,
            _RECORDS.c.line,
            *(_VERDICTS.c[name].label(f"v_{name}") for name in verdict),
        )
        .join(_RECORDS, _RECORDS.c.id == _ALERTS.c.id)
        .outerjoin(_VERDICTS, _VERDICTS.c.id == _ALERTS.c.verdict_id)
    )
