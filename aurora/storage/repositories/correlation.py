"""Which alerts share entities. Reads alert rows only, never verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update

from aurora.kernel.ids import BatchId
from aurora.storage.models import AlertEntityModel, AlertModel, AlertRelationModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _ENTITIES = table_of(AlertModel), table_of(AlertEntityModel)
_RELATIONS = table_of(AlertRelationModel)


@dataclass(frozen=True, slots=True)
class Sharer:
    """One alert that names a given value."""

    type: str
    value: str
    alert_id: UUID
    event_time: datetime
    batch_id: UUID
    seq: int
    """Position in its batch."""
    group_id: UUID
    source: str
    rule: str
    severity: str
    techniques: Sequence[str]


class Correlation(Repository):
    """The index of who names what, and what follows from it."""

    async def span(self, batch: BatchId) -> tuple[int, datetime, datetime] | None:
        """Return (alerts, earliest, latest moment) of a batch, or `None` if it brought no new alert."""
        query = select(func.count(), func.min(_ALERTS.c.first_seen), func.max(_ALERTS.c.first_seen)).where(
            _ALERTS.c.tenant == self._tenant, _ALERTS.c.batch_id == batch
        )
        count, earliest, latest = (await self._connection.execute(query)).one()
        return (count, earliest, latest) if count else None

    async def sharers(self, batch: BatchId, *, since: datetime, until: datetime) -> AsyncIterator[Sharer]:
        """Yield, value by value and in time order, who names a value that the batch names too.

        Alerts of later batches do not count, so that later input changes nothing.
        """
        mine = (
            select(_ENTITIES.c.type, _ENTITIES.c.value)
            .where(_ENTITIES.c.tenant == self._tenant, _ENTITIES.c.batch_id == batch)
            .distinct()
            .subquery()
        )
        query = (
            select(
                _ENTITIES.c.type,
                _ENTITIES.c.value,
                _ENTITIES.c.alert_id,
                _ENTITIES.c.event_time,
                _ALERTS.c.batch_id,
                _ALERTS.c.batch_seq,
                _ALERTS.c.group_id,
                _ALERTS.c.source,
                _ALERTS.c.rule,
                _ALERTS.c.severity,
                _ALERTS.c.mitre_techniques,
            )
            .join(mine, (mine.c.type == _ENTITIES.c.type) & (mine.c.value == _ENTITIES.c.value))
            .join(_ALERTS, _ALERTS.c.id == _ENTITIES.c.alert_id)
            .where(
                _ENTITIES.c.tenant == self._tenant,
                _ENTITIES.c.event_time.between(since, until),
                _ENTITIES.c.batch_id <= batch,
            )
            .order_by(_ENTITIES.c.type, _ENTITIES.c.value, _ENTITIES.c.event_time, _ENTITIES.c.alert_id)
        )
        async with self._connection.stream(query) as rows:
            async for row in rows:
                yield Sharer(
                    row.type,
                    row.value,
                    row.alert_id,
                    row.event_time,
                    row.batch_id,
                    row.batch_seq,
                    row.group_id,
                    row.source,
                    row.rule or "",
                    row.severity,
                    row.mitre_techniques,
                )

    async def relate(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write what alerts share: columns of `alert_relations`, without the tenant."""
        if rows:
            await self._connection.execute(insert(_RELATIONS), [{"tenant": self._tenant, **row} for row in rows])

    async def relations(self, alert_ids: Sequence[UUID]) -> dict[UUID, list[Mapping[str, Any]]]:
        """Return the relations of alerts, by alert, sorted by type and value."""
        found: dict[UUID, list[Mapping[str, Any]]] = {}
        for part in chunks(alert_ids):
            query = (
                select(_RELATIONS)
                .where(_RELATIONS.c.tenant == self._tenant, _RELATIONS.c.alert_id.in_(part))
                .order_by(_RELATIONS.c.type, _RELATIONS.c.value)
            )
            for row in await self._connection.execute(query):
                found.setdefault(row.alert_id, []).append(dict(row._mapping))
        return found

    async def ids(self, batch: BatchId) -> AsyncIterator[tuple[int, UUID]]:
        """Yield (position, alert id) of a batch."""
        query = (
            select(_ALERTS.c.batch_seq, _ALERTS.c.id)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.batch_id == batch)
            .order_by(_ALERTS.c.batch_seq)
        )
        async with self._connection.stream(query) as rows:
            async for row in rows:
                yield row.batch_seq, row.id

    async def regroup(self, batch: BatchId, groups: Sequence[tuple[int, UUID]]) -> None:
        """Write the groups of alerts of a batch, given as (position, group id)."""
        statement = (
            update(_ALERTS)
            .where(
                _ALERTS.c.tenant == self._tenant,
                _ALERTS.c.batch_id == bindparam("batch"),
                _ALERTS.c.batch_seq == bindparam("seq"),
            )
            .values(group_id=bindparam("group"))
        )
        for part in chunks(groups):
            await self._connection.execute(
                statement, [{"batch": batch, "seq": seq, "group": group} for seq, group in part]
            )
