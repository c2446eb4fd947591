"""What every connection to SQLite must be set to, whoever opens it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

BUSY_TIMEOUT = timedelta(seconds=30)
"""How long SQLite itself waits for the write lock.

A group commit of 100 checkpoints holds it for about 10 ms, but another process that correlates a batch
holds it for seconds."""


class Cursor(Protocol):
    """What of a DBAPI cursor is used here."""

    def execute(self, statement: str, /) -> object: ...

    def close(self) -> object: ...


class Connection(Protocol):
    """A `sqlite3` connection, or SQLAlchemy's face of an `aiosqlite` one."""

    def cursor(self, *args: Any, **options: Any) -> Cursor: ...


def apply_pragmas(connection: Connection, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
    """Make a fresh connection durable and patient: WAL, a sync at every commit, foreign keys checked.

    The timeout comes first: changing the journal mode of a busy file needs it.
    """
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {int(busy_timeout.total_seconds() * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
