"""Databases for contracts: every test gets one of its own, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.services import engine_with_schema, fresh_postgres_database, running_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The maintenance database of a server that lives as long as the test session."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def sqlite_database_url(tmp_path: Path) -> str:
    """A file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}"


@pytest.fixture
async def postgres_database_url(postgres_url: str) -> AsyncIterator[str]:
    """An empty database of this test's own."""
    async with fresh_postgres_database(postgres_url) as url:
        yield url


@pytest.fixture
async def engine_sqlite(sqlite_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh SQLite file with all tables."""
    async with engine_with_schema(sqlite_database_url) as engine:
        yield engine


@pytest.fixture
async def engine_postgres(postgres_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh PostgreSQL database with all tables."""
    async with engine_with_schema(postgres_database_url) as engine:
        yield engine
