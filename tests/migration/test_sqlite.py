"""The schema on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import StorageUnavailable
from aurora.storage.engine import open_engine
from aurora.storage.schema import HEAD, alembic_config, revision
from tests.migration.schema import SchemaContract


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with open_engine(f"sqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield engine


class TestSchema(SchemaContract):
    pass


def test_no_clause_went_missing() -> None:
    assert sum(name.startswith("test_") for name in dir(SchemaContract)) == SchemaContract.clauses


def test_the_revision_in_the_code_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


async def test_a_file_that_is_no_database_is_named_so(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, this is not a database at all\n" * 50)

    async with open_engine(f"sqlite:///{file}") as engine:
        with pytest.raises(StorageUnavailable, match="not a database"):
            await revision(engine)
