"""Which alerts share entities. Reads alert rows only, never verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    bindparam,
    func,
    insert,
    select,
    update,
)

from aurora.kernel.ids import BatchId
from aurora.storage.models import AlertEntityModel, AlertModel, AlertRelationModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _ENTITIES = table_of(AlertModel), table_of(AlertEntityModel)
_RELATIONS = table_of(AlertRelationModel)


class Sharer(NamedTuple):
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


class Shared(NamedTuple):
    """A value that an alert of a batch and at least one other alert name."""

    type: str
    value: str
    first: datetime
    """When alerts of the batch name it first, and last."""
    last: datetime
    is_crowded: bool


class Correlation(Repository):
    """The index of who names what, and what follows from it.

    Alerts of later batches never count, so that later input changes nothing.
    """

    async def next_seq(self, batch: BatchId) -> int:
        """Return the position that the next new alert of a batch gets."""
        query = (
            select(_ALERTS.c.batch_seq)
            .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.batch_id == batch)
            .order_by(_ALERTS.c.batch_seq.desc())
            .limit(1)
        )
        last = (await self._connection.execute(query)).scalar()
        return 0 if last is None else last + 1

    async def span(self, batch: BatchId) -> tuple[int, datetime, datetime] | None:
        """Return (alerts, earliest, latest moment) of a batch, or `None` if it brought no new alert."""
        query = select(func.count(), func.min(_ALERTS.c.first_seen), func.max(_ALERTS.c.first_seen)).where(
            *self._of_batch(_ALERTS, batch)
        )
        count, earliest, latest = (await self._connection.execute(query)).one()
        return (count, earliest, latest) if count else None

    async def shared(self, batch: BatchId, *, since: datetime, until: datetime, crowded: int) -> AsyncIterator[Shared]:
        """Yield the values that the batch shares; crowded are those that more than so many alerts name."""
        mine = (
            select(
                _ENTITIES.c.type,
                _ENTITIES.c.value,
                func.min(_ENTITIES.c.event_time).label("first"),
                func.max(_ENTITIES.c.event_time).label("last"),
            )
            .where(*self._of_batch(_ENTITIES, batch))
            .group_by(_ENTITIES.c.type, _ENTITIES.c.value)
            .subquery()
        )
        other = _ENTITIES.alias()
        # Who names it, from the given one on: an OFFSET stops there, where a count would read the whole of a hub.
        naming = (
            select(other.c.alert_id)
            .where(
                *self._within(other, batch, since=since, until=until),
                other.c.type == mine.c.type,
                other.c.value == mine.c.value,
            )
            .limit(1)
            .correlate(mine)
        )
        query = select(mine, naming.offset(crowded).scalar_subquery().is_not(None)).where(
            naming.offset(1).scalar_subquery().is_not(None)
        )
        async with self._connection.stream(query) as rows:
            async for row in rows:
                yield Shared(*row)

    async def sharers(
        self, values: Sequence[Shared], batch: BatchId, *, since: datetime, until: datetime
    ) -> AsyncIterator[list[Sharer]]:
        """Yield, for each of the values, all that name it, in time order."""
        columns = (
            _ENTITIES.c.type,
            _ENTITIES.c.value,
            _ENTITIES.c.alert_id,
            _ENTITIES.c.event_time,
            _ALERTS.c.batch_id,
            _ALERTS.c.batch_seq,
            _ALERTS.c.group_id,
            _ALERTS.c.source,
            func.coalesce(_ALERTS.c.rule, ""),
            _ALERTS.c.severity,
            _ALERTS.c.mitre_techniques,
        )
        by_type: dict[str, list[str]] = {}
        for each in values:
            by_type.setdefault(each.type, []).append(each.value)
        # One type at a time: SQLite finds pairs (type, value) by walking the whole index.
        for kind, named in by_type.items():
            for part in chunks(named):
                query = (
                    select(*columns)
                    .join(_ALERTS, _ALERTS.c.id == _ENTITIES.c.alert_id)
                    .where(
                        *self._within(_ENTITIES, batch, since=since, until=until),
                        _ENTITIES.c.type == kind,
                        _ENTITIES.c.value.in_(part),
                    )
                    .order_by(_ENTITIES.c.value, _ENTITIES.c.event_time, _ENTITIES.c.alert_id)
                )
                rows = [Sharer(*row) for row in await self._connection.execute(query)]
                for _, sharers in groupby(rows, key=attrgetter("value")):
                    yield list(sharers)

    async def is_named_by_more(
        self, than: int, shared: Shared, batch: BatchId, *, since: datetime, until: datetime
    ) -> bool:
        """Tell whether more than so many alerts name a value in that time. Reads no more than it must."""
        query = (
            select(_ENTITIES.c.alert_id)
            .where(
                *self._within(_ENTITIES, batch, since=since, until=until),
                _ENTITIES.c.type == shared.type,
                _ENTITIES.c.value == shared.value,
            )
            .offset(than)
            .limit(1)
        )
        return (await self._connection.execute(query)).first() is not None

    async def next_moment(self, shared: Shared, batch: BatchId, *, after: datetime) -> datetime | None:
        """Return when, after that moment, an alert of the batch names the value next."""
        query = (
            select(_ENTITIES.c.event_time)
            .where(
                _ENTITIES.c.tenant == self._tenant,
                _ENTITIES.c.type == shared.type,
                _ENTITIES.c.value == shared.value,
                _ENTITIES.c.event_time > after,
                _ENTITIES.c.batch_id == batch,
            )
            .order_by(_ENTITIES.c.event_time)
            .limit(1)
        )
        found: datetime | None = (await self._connection.execute(query)).scalar()
        return found

    def _of_batch(self, table: FromClause, batch: BatchId) -> tuple[ColumnElement[bool], ...]:
        """Return what selects the rows of a batch by the index of batches.

        The tenant stands there as an expression: as a column it makes SQLite walk an index that begins
        with it, and so all rows there are (0.6 s for half a million) instead of those of the batch.
        """
        return table.c.tenant.concat("") == self._tenant, table.c.batch_id == batch

    def _within(
        self, entities: FromClause, batch: BatchId, *, since: datetime, until: datetime
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            entities.c.tenant == self._tenant,
            entities.c.event_time.between(since, until),
            entities.c.batch_id <= batch,
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
