"""What the repositories share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import DeclarativeBase

T = TypeVar("T")

CHUNK = 500
"""Values in one IN list: well under SQLite's and PostgreSQL's limits on parameters."""


class Repository:
    """Queries of one subject. Every one of them is bound to the tenant."""

    def __init__(self, connection: AsyncConnection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT; both dialects spell it the same."""
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)


def table_of(model: type[DeclarativeBase]) -> Table:
    """Return the Core table of a model."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Yield `items` in slices of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
