"""Queries behind the tools of agents: read-only, a page at most."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from aurora.kernel.models import ObservableType
from aurora.storage.models import AlertEntityModel, AlertModel, BatchModel, IOCModel, VerdictModel
from aurora.storage.repositories.base import Repository, table_of

_ALERTS, _ENTITIES, _BATCHES = table_of(AlertModel), table_of(AlertEntityModel), table_of(BatchModel)
_VERDICTS, _IOCS = table_of(VerdictModel), table_of(IOCModel)


class Lookups(Repository):
    """What is known of values, in one tenant."""

    async def past_alerts(
        self, alert_id: UUID, tie: str, value: str, *, days: int, limit: int
    ) -> list[Mapping[str, Any]]:
        """Return alerts that were accepted before the batch of `alert_id` and name the value, the newest first."""
        own = (
            select(_ALERTS.c.first_seen, _ALERTS.c.batch_id, _BATCHES.c.opened_at)
            .join(_BATCHES, _BATCHES.c.id == _ALERTS.c.batch_id)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == alert_id)
        )
        here = (await self._connection.execute(own)).first()
        if here is None:
            return []
        query = (
            select(
                _ALERTS.c.id,
                _ALERTS.c.title,
                _ALERTS.c.severity,
                _ALERTS.c.rule,
                _ALERTS.c.first_seen,
                _ALERTS.c.count.label("count"),
                _VERDICTS.c.label,
                _VERDICTS.c.decided_by,
            )
            .join(_ENTITIES, _ENTITIES.c.alert_id == _ALERTS.c.id)
            .outerjoin(_VERDICTS, _VERDICTS.c.id == _ALERTS.c.verdict_id)
            .where(
                _ENTITIES.c.tenant == self._tenant,
                _ENTITIES.c.type == tie,
                _ENTITIES.c.value.in_({value, value.lower()}),
                _ENTITIES.c.event_time >= here.first_seen - timedelta(days=days),
                _ALERTS.c.tenant == self._tenant,
                _ALERTS.c.batch_id != here.batch_id,
                _ALERTS.c.created_at < here.opened_at,
            )
            .order_by(_ALERTS.c.first_seen.desc(), _ALERTS.c.id.desc())
            .limit(limit)
        )
        return [dict(row._mapping) for row in await self._connection.execute(query)]

    async def indicators(self, type: ObservableType, value: str) -> list[Mapping[str, Any]]:
        """Return what the indicator table says of a canonical value."""
        query = select(_IOCS).where(_IOCS.c.tenant == self._tenant, _IOCS.c.type == type.value, _IOCS.c.value == value)
        return [dict(row._mapping) for row in await self._connection.execute(query)]
