"""Statements written by hand, for the few places where SQLAlchemy takes longer than the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from aurora.storage.repositories.base import Repository


class ByHand(Repository):
    """Binds and reads values as the column types of `aurora.storage.base` do."""

    @property
    def _is_postgres(self) -> bool:
        return self._connection.dialect.name == "postgresql"

    async def _fetch(self, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows as the driver makes them.

        On SQLite past SQLAlchemy: it makes four hops to the driver's thread of what the driver does in one.
        """
        if self._is_postgres:
            result = await self._connection.exec_driver_sql(statement, values)
            return result.all() if result.returns_rows else ()
        rows: Sequence[Sequence[Any]] = await (await self._driver()).execute_fetchall(statement, values)
        return rows

    async def _change_each(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        """Run a statement once for each row of values, on SQLite; return how many rows it changed in all."""
        cursor = await (await self._driver()).executemany(statement, rows)
        changed: int = cursor.rowcount
        return changed

    async def _driver(self) -> Any:
        return (await self._connection.get_raw_connection()).driver_connection

    def _id(self, value: UUID) -> object:
        return value if self._is_postgres else value.hex

    def _moment(self, value: datetime | None) -> object:
        return value if self._is_postgres else self._text(value)

    def _text(self, value: datetime | None) -> str | None:
        """Return a moment as a JSON document holds it for a statement."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        if self._is_postgres:
            return moment.isoformat()
        return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def read_id(value: UUID | str) -> UUID:
    """Return an id as the driver of either database gives it."""
    return value if isinstance(value, UUID) else UUID(int=int(value, 16))


def read_moment(value: datetime | str) -> datetime:
    """Return a moment as the driver of either database gives it."""
    return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value + "+00:00")


def read_document(value: Any) -> Any:
    """Return a JSON value; one driver has read it already."""
    return orjson.loads(value) if isinstance(value, str) else value


def document(value: object) -> str:
    """Return a value as JSON."""
    return orjson.dumps(value).decode()
