"""Opens a database for a memory that is used without the runtime."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from aurora.kernel.errors import ConfigError, MissingExtra, StorageUnavailable
from memory.schema import create

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_WRITES = "memory_writes"
_PASSING = ("08", "40", "53", "57", "55P03")
"""Beginnings of SQLSTATE: connection lost, rolled back (deadlock), out of resources, shutting down, locked.

PostgreSQL's documentation, appendix A."""
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")

PATIENCE = timedelta(seconds=30)
"""How long a writer waits for another. The longest of ours, writing 10,000 items, takes seconds."""

CONNECT = timedelta(seconds=10)
"""Longest time to connect to PostgreSQL."""

COMMAND = timedelta(minutes=1)
"""Longest time of one statement: a connection whose other end is gone without a word must not hold anyone for ever."""


class Database:
    """Implements `memory.ports.Transactions` on an engine.

    Args:
        engine: One that `open_database` made; SQLite needs its way to begin transactions.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with _begun(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with _begun(self._writer) as connection:
            yield connection


@asynccontextmanager
async def open_database(text: str, *, pool_size: int = 5, patience: timedelta = PATIENCE) -> AsyncIterator[Database]:
    """Open the database at a URL, and make memory's tables where there are none. Closed on exit.

    Args:
        text: `sqlite:///file`, `sqlite://` for one in memory, `postgresql://user@host/name`.
        pool_size: Connections to PostgreSQL that stay open; SQLite ignores it.
        patience: How long a writer waits for another on SQLite.

    Raises:
        ConfigError: the URL cannot be used.
        MissingExtra: the driver is not installed.
        StorageUnavailable: the database cannot be reached.
    """
    url = _url(text)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        _make_directory(url)
    else:
        times = {"timeout": CONNECT.total_seconds(), "command_timeout": COMMAND.total_seconds()}
        options = {"pool_size": pool_size, "pool_pre_ping": True, "connect_args": times}
    try:
        engine = create_async_engine(url, **options)
    except ModuleNotFoundError as missing:
        raise MissingExtra(
            f"this database needs the package {missing.name!r}: pip install 'aurora-soc[postgres]'",
            package=missing.name,
        ) from missing
    if url.get_backend_name() == "sqlite":
        _prepare_sqlite(engine, patience)
    try:
        database = Database(engine)
        await _make_tables(database)
        yield database
    finally:
        await engine.dispose()


async def _make_tables(database: Database) -> None:
    try:
        async with database.writing() as connection:
            if connection.dialect.name == "postgresql":  # several may come at once; one makes the tables
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1296387410)")
            await create(connection)
    except DBAPIError as error:
        raise StorageUnavailable(f"the database cannot be opened: {str(error.orig).splitlines()[0]}") from error


@asynccontextmanager
async def _begun(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        async with engine.begin() as connection:
            yield connection
    except OSError as error:
        raise StorageUnavailable(f"the database cannot be reached: {error.strerror or error}") from error
    except (DBAPIError, sqlite3.OperationalError) as error:  # what goes to the driver itself raises its own errors
        if not _is_passing(error):
            raise
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StorageUnavailable(f"the database refused: {str(cause).splitlines()[0]}") from error


def _is_passing(error: DBAPIError | sqlite3.OperationalError) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_PASSING)
    return error.connection_invalidated or type(error).__name__ in {"OperationalError", "InterfaceError"}


def _make_directory(url: URL) -> None:
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).resolve().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the directory of {url.database} cannot be made: {error.strerror}") from error


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(
            "the database URL cannot be read; expected e.g. sqlite:///memory.db or postgresql://user@host/name"
        ) from None
    if url.drivername in _DRIVERS:
        url = url.set(drivername=_DRIVERS[url.drivername])
    if url.drivername not in _DRIVERS.values():
        raise ConfigError(f"database driver {url.drivername!r} is not supported; use sqlite or postgresql")
    return url


def _prepare_sqlite(engine: AsyncEngine, patience: timedelta) -> None:
    """A writer takes the lock at its start; the driver's own BEGIN would fail to take it later."""

    @event.listens_for(engine.sync_engine, "connect")
    def connected(dbapi: Any, _record: object) -> None:
        dbapi.isolation_level = None
        cursor = dbapi.cursor()
        for pragma in (f"busy_timeout = {patience // timedelta(milliseconds=1)}", *_PRAGMAS):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        statement = "BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES, False) else "BEGIN"
        dbapi: Any = connection.connection.dbapi_connection
        dbapi.run_async(lambda driver: driver.execute(statement))
