"""Opens the database. SQLite: WAL, full sync, writes that take the lock at their start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aurora.kernel.errors import ConfigError, MissingExtra, StorageUnavailable
from aurora.storage.sqlite import apply_pragmas

WRITES = "aurora_writes"
"""Execution option of a connection that is going to write."""

CONNECT = timedelta(seconds=10)
"""Longest time to connect to PostgreSQL."""

COMMAND = timedelta(minutes=1)
"""Longest time of one statement: a connection whose other end is gone without a word must not hold a worker for ever.

The longest of ours, correlating a batch of 100,000 alerts, takes seconds."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def async_url(text: str) -> URL:
    """Return the URL with its asynchronous driver; `sqlite:///x`, `postgresql://…` and full forms are taken.

    Raises:
        ConfigError: not a database URL, or a database that Aurora does not know. The password is not shown.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(
            "the database URL cannot be read; expected e.g. sqlite:///aurora.db or postgresql+asyncpg://user@host/name"
        ) from None
    if url.drivername in _DRIVERS:
        url = url.set(drivername=_DRIVERS[url.drivername])
    if url.drivername not in _DRIVERS.values():
        raise ConfigError(
            f"database driver {url.drivername!r} is not supported; use sqlite+aiosqlite or postgresql+asyncpg",
            driver=url.drivername,
        )
    return url


def file_of(text: str) -> Path | None:
    """Return the file of a SQLite database; `None` for one in memory or on a server.

    Raises:
        ConfigError: the URL cannot be used.
    """
    url = async_url(text)
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None


@asynccontextmanager
async def open_engine(text: str, *, pool_size: int = 5) -> AsyncIterator[AsyncEngine]:
    """Open the database at a URL; the directory of a SQLite file is made. Closed on exit.

    Args:
        text: Any URL that `async_url` takes.
        pool_size: Connections to PostgreSQL that stay open; SQLite ignores it.

    Raises:
        ConfigError: the URL cannot be used.
        MissingExtra: the driver is not installed.
        StorageUnavailable: a directory is where its file should be.
    """
    url = async_url(text)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        _make_directory(url.database)
    if url.get_backend_name() == "postgresql":
        options = {
            "pool_size": pool_size,
            "pool_pre_ping": True,
            "connect_args": {"timeout": CONNECT.total_seconds(), "command_timeout": COMMAND.total_seconds()},
        }
    try:
        engine = create_async_engine(url, **options)
    except ModuleNotFoundError as missing:
        raise MissingExtra(
            f"this database needs the package {missing.name!r}: pip install 'aurora-soc[postgres]'",
            package=missing.name,
        ) from missing
    if url.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
    try:
        yield engine
    finally:
        await engine.dispose()


def _make_directory(database: str) -> None:
    try:
        Path(database).resolve().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the directory of the database {database} cannot be made: {error.strerror}") from error
    if Path(database).is_dir():
        # Said here: the driver's thread, which cannot open it, may outlive the loop and complain to the terminal.
        raise StorageUnavailable(f"the database cannot be opened: {database} is a directory")


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """Let SQLAlchemy begin transactions itself: a writer takes the lock at once.

    The driver's own deferred BEGIN upgrades a read lock at the first write, and that fails with
    "database is locked" whatever the timeout when somebody else wrote meanwhile.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def connected(dbapi: Any, _record: object) -> None:
        dbapi.isolation_level = None
        apply_pragmas(dbapi)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        statement = "BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES, False) else "BEGIN"
        # One hop to the driver's thread; through a cursor of SQLAlchemy's it would be three, 0.1 ms each.
        dbapi: Any = connection.connection.dbapi_connection
        dbapi.run_async(lambda driver: driver.execute(statement))
