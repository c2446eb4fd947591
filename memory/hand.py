"""Statements by hand, where SQLAlchemy would take longer than the database: on SQLite they go to the driver itself.

Values are bound as the types of `memory.models` bind them. Every statement is a constant of the code; what comes from
outside is a value of it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from memory.faults import told_plainly

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Hand:
    """Runs statements on one connection, in whatever transaction it is.

    Args:
        connection: Of SQLite or PostgreSQL.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.is_postgres = connection.dialect.name == "postgresql"

    async def fetch(self, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows as the driver makes them. Values are marked `$1`, `$2`, … in their order.

        On SQLite it takes one hop to the driver's thread, not the four that SQLAlchemy makes.

        Raises:
            AuroraError: the database refused; see `memory.faults.told_plainly`.
        """
        with told_plainly():
            if self.is_postgres:
                result = await self.connection.exec_driver_sql(statement, values)
                return result.all() if result.returns_rows else ()
            rows: Sequence[Sequence[Any]] = await (await self._driver()).execute_fetchall(_spelled(statement), values)
            return rows

    async def each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values.

        Raises:
            AuroraError: as `fetch`.
        """
        if not rows:
            return
        with told_plainly():
            if self.is_postgres:
                await self.connection.exec_driver_sql(statement, [tuple(row) for row in rows])
            else:
                await (await self._driver()).executemany(_spelled(statement), rows)

    async def at_once(self, *told: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run what uses this connection, and return what each returns.

        On SQLite their first statements stand in line at the driver's thread in this order, without waiting for each
        other's answer, which takes longer than most statements. PostgreSQL's driver takes one after the other.

        Raises:
            AuroraError: of the first that failed; what was in line behind it has been run, so roll back.
        """
        if self.is_postgres:
            return await _in_turn(told)
        done = await asyncio.gather(*told, return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return done

    def among(self, mark: str, type: str) -> str:
        """Return what tells of the column before it that it has one of many values, handed in as `many` makes them.

        Args:
            mark: Of the value, as `$1`.
            type: Of the column on PostgreSQL.
        """
        if self.is_postgres:
            return f"= ANY({mark}::{type}[])"
        return f"IN (SELECT value FROM json_each({mark}))"  # noqa: S608 - a mark, no value

    def aside(self, column: str) -> str:
        """Return a column so that SQLite looks it up in no index: it takes any tenant for a handful of rows."""
        return column if self.is_postgres else f"+{column}"

    def many(self, values: Sequence[object]) -> object:
        """Return values, ids as `id` makes them, as one value of a statement: however many they are."""
        return values if self.is_postgres else orjson.dumps(values).decode()

    def id(self, value: UUID | None) -> object:
        """Return an id as the database's driver takes it."""
        return value if self.is_postgres or value is None else value.hex

    async def _driver(self) -> Any:
        return (await self.connection.get_raw_connection()).driver_connection


async def _in_turn(told: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Return what each returns; after the first that fails none is begun."""
    waiting = deque(told)
    try:
        return [await waiting.popleft() for _ in told]
    finally:
        for each in waiting:
            each.close()


@lru_cache(maxsize=200)
def _spelled(statement: str) -> str:
    """Return a statement as SQLite's driver wants its values marked."""
    return re.sub(r"\$(\d)", r"?\1", statement)


def micros(moment: datetime | None) -> int | None:
    """Return a moment as `memory.models.Moment` stores it."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def read_moment(value: int) -> datetime:
    """Return a moment as it was before it was stored."""
    return _EPOCH + timedelta(microseconds=value)


def read_id(value: UUID | str) -> UUID:
    """Return an id as the driver of either database gives it."""
    return UUID(hex=value) if isinstance(value, str) else value


def read_document(value: Any) -> Any:
    """Return a JSON value; one driver may have read it already."""
    return orjson.loads(value) if isinstance(value, (str, bytes)) else value


def document(value: object) -> str:
    """Return a value as JSON."""
    return orjson.dumps(value).decode()
