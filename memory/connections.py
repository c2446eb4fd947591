"""Opens a database for a memory that is used without the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from aurora.kernel.errors import ConfigError, MissingExtra, StorageError, StorageUnavailable
from memory.faults import told_plainly
from memory.schema import create

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_WRITES = "memory_writes"
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")

PATIENCE = timedelta(seconds=30)
"""How long a writer waits for another. The longest of ours, writing 10,000 items, takes seconds."""

CONNECT = timedelta(seconds=10)
"""Longest time to connect to PostgreSQL."""

COMMAND = timedelta(minutes=1)
"""Longest time of one statement: a connection whose other end is gone without a word must not hold anyone for ever."""


class Database:
    """Implements `memory.ports.Transactions` on an engine.

    A database in memory has one connection, which all share: there a transaction waits until the one before it has
    ended, readers too, and none is begun within another.

    Args:
        engine: One that `open_database` made; SQLite needs its way to begin transactions.
        patience: How long a transaction waits for another where there is one connection.
    """

    def __init__(self, engine: AsyncEngine, *, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self._turns = _Turns(patience) if isinstance(engine.pool, StaticPool) else None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads.

        Raises:
            AuroraError: the database refused.
        """
        async with self._begun(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; on SQLite it takes the write lock at its start.

        Raises:
            AuroraError: the database refused; nothing was written.
        """
        async with self._begun(self._writer) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        with told_plainly():
            async with nullcontext() if self._turns is None else self._turns.taken(), engine.begin() as connection:
                yield connection


class _Turns:
    """Lets one task at a time have the only connection."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if task is not None and self._holder is task:
            raise StorageError(
                "a transaction was begun within another of the same task; a database in memory has one connection: "
                "end the first, or use a file"
            )
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._lock.acquire()
        except TimeoutError:
            raise StorageUnavailable("the database refused: another transaction holds its one connection") from None
        self._holder = task
        try:
            yield
        finally:
            self._holder = None
            self._lock.release()


@asynccontextmanager
async def open_database(text: str, *, pool_size: int = 5, patience: timedelta = PATIENCE) -> AsyncIterator[Database]:
    """Open the database at a URL, and make memory's tables where there are none. Closed on exit.

    Args:
        text: `sqlite:///file`, `sqlite://` for one in memory, `postgresql://user@host/name`.
        pool_size: Connections to PostgreSQL that stay open; SQLite ignores it.
        patience: How long a writer waits for another on SQLite; in memory, any transaction.

    Raises:
        ConfigError: the URL cannot be used.
        MissingExtra: the driver is not installed.
        StorageUnavailable: the database cannot be reached.
        StorageError: it is no database, or may only be read.
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
        database = Database(engine, patience=patience)
        await _make_tables(database)
        yield database
    finally:
        await engine.dispose()


async def _make_tables(database: Database) -> None:
    async with database.writing() as connection:
        if connection.dialect.name == "postgresql":  # several may come at once; one makes the tables
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1296387410)")
        await create(connection)


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
