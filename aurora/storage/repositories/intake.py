"""The hot path of acceptance: whole chunks of records in a handful of statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Dialect, Table, bindparam, insert, select, update

from aurora.kernel.models import AlertStatus
from aurora.storage.models import AlertEntityModel, AlertModel, AlertRecordModel, RunModel, TaskModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_ALERTS, _RECORDS, _ENTITIES = table_of(AlertModel), table_of(AlertRecordModel), table_of(AlertEntityModel)
_TASKS, _RUNS = table_of(TaskModel), table_of(RunModel)
_CLOSED = [status.value for status in AlertStatus if status.is_closed]


@dataclass(slots=True)
class Known:
    """An open alert that further occurrences may join."""

    id: UUID
    first_seen: datetime
    last_seen: datetime
    count: int


class Intake(Repository):
    """Writes accepted records; reads what is needed to tell the new from the known."""

    async def records(self, keys: Sequence[bytes]) -> dict[bytes, tuple[UUID, UUID]]:
        """Return {record key: (record id, alert id)} of the records that were accepted before."""
        found: dict[bytes, tuple[UUID, UUID]] = {}
        for part in chunks(keys):
            query = select(_RECORDS.c.record_key, _RECORDS.c.id, _RECORDS.c.alert_id).where(
                _RECORDS.c.tenant == self._tenant, _RECORDS.c.record_key.in_(part)
            )
            found.update({row.record_key: (row.id, row.alert_id) for row in await self._connection.execute(query)})
        return found

    async def open_alerts(self, fingerprints: Sequence[str]) -> dict[str, list[Known]]:
        """Return the alerts of these fingerprints that are not closed."""
        found: dict[str, list[Known]] = {}
        for part in chunks(fingerprints):
            query = select(
                _ALERTS.c.dedup_hash,
                _ALERTS.c.id,
                _ALERTS.c.first_seen,
                _ALERTS.c.last_seen,
                _ALERTS.c.count.label("occurrences"),
            ).where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.dedup_hash.in_(part), _ALERTS.c.status.not_in(_CLOSED))
            for row in await self._connection.execute(query):
                found.setdefault(row.dedup_hash, []).append(
                    Known(row.id, row.first_seen, row.last_seen, row.occurrences)
                )
        return found

    async def add(
        self,
        *,
        alerts: Sequence[Mapping[str, Any]],
        entities: Sequence[Mapping[str, Any]],
        tasks: Sequence[Mapping[str, Any]],
        runs: Sequence[Mapping[str, Any]],
        records: Sequence[Mapping[str, Any]],
    ) -> None:
        """Insert a chunk. The task rows are the outbox: they exist exactly when their alerts do.

        The rows of one table have the same columns, those with a default included; JSON columns hold text.
        """
        for table, rows in (
            (_ALERTS, alerts),
            (_ENTITIES, entities),
            (_TASKS, tasks),
            (_RUNS, runs),
            (_RECORDS, records),
        ):
            if rows:
                statement, columns = _bulk_insert(table, tuple(rows[0]), self._connection.dialect)
                values = zip(*(_bound(rows, name, bind) for name, bind in columns), strict=True)
                await self._connection.exec_driver_sql(statement, list(values))

    async def seen_again(self, known: Sequence[Known]) -> None:
        """Write the counts and times of alerts that occurred again."""
        if known:
            statement = (
                update(_ALERTS)
                .where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == bindparam("alert"))
                .values(count=bindparam("n"), first_seen=bindparam("first"), last_seen=bindparam("last"))
            )
            await self._connection.execute(
                statement,
                [
                    {"alert": each.id, "n": each.count, "first": each.first_seen, "last": each.last_seen}
                    for each in known
                ],
            )


Bind = Callable[[Any], Any]
"""Makes of a value what the driver takes."""


@lru_cache(maxsize=32)
def _bulk_insert(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[str, list[tuple[str, Bind | None]]]:
    """Return an INSERT as the driver takes it, and for each of its parameters the column and what binds it.

    SQLAlchemy binds row by row and value by value: three times the work that SQLite has with the same rows.
    """
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    if sorted(compiled.positiontup or ()) != sorted(names):
        raise TypeError(f"rows for {table.name} must give every column that has a default")
    return str(compiled), [(name, _bind(table, name, dialect)) for name in compiled.positiontup or ()]


def _bind(table: Table, name: str, dialect: Dialect) -> Bind | None:
    type_ = table.c[name].type
    return None if isinstance(type_, JSON) else type_.dialect_impl(dialect).bind_processor(dialect)


def _bound(rows: Sequence[Mapping[str, Any]], name: str, bind: Bind | None) -> list[Any]:
    """Return one column of the rows, bound; a value that several rows in a row share is bound once."""
    values = [row[name] for row in rows]
    if bind is None:
        return values
    bound: list[Any] = []
    last, last_bound = values[0], bind(values[0])
    for value in values:
        if value is not last:
            last, last_bound = value, bind(value)
        bound.append(last_bound)
    return bound
