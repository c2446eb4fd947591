"""The schema on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.engine import open_engine
from tests.migration.schema import SchemaContract

pytestmark = pytest.mark.integration


@pytest.fixture
async def engine(postgres_database_url: str) -> AsyncIterator[AsyncEngine]:
    async with open_engine(postgres_database_url) as engine:
        yield engine


class TestSchema(SchemaContract):
    pass
