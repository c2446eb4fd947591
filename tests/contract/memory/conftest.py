"""A database for memories: SQLite always, PostgreSQL among the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory.connections import Database, open_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_database_url")
        return url
    return f"sqlite:///{tmp_path / 'memory.db'}"


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Database]:
    """The database with memory's tables."""
    async with open_database(database_url) as database:
        yield database
