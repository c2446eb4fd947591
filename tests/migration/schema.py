"""What every database must do for the schema."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import SchemaOutdated
from aurora.storage.schema import HEAD, alembic_config, differences, ensure_current, revision, upgrade
from memory.models import MemoryBase
from memory.schema import create


class SchemaContract:
    """Subclass it in one file per database and provide `engine`: an open engine on an empty database."""

    clauses: ClassVar[int] = 8

    async def test_the_migrations_lead_to_what_the_models_say(self, engine: AsyncEngine) -> None:
        await upgrade(engine)

        assert (await revision(engine)).found == HEAD
        assert await differences(engine) == []

    async def test_memory_gets_from_its_migration_what_it_makes_for_itself_elsewhere(self, engine: AsyncEngine) -> None:
        await upgrade(engine)
        async with engine.connect() as connection:
            migrated = await connection.run_sync(_memory)
            different = await connection.run_sync(_memory_differences)
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "0003"))
            gone = await connection.run_sync(_memory)
            await create(connection)

        async with engine.connect() as connection:
            assert await connection.run_sync(_memory) == migrated
        assert different == []
        assert gone == {}

    async def test_differences_are_found(self, engine: AsyncEngine) -> None:
        await upgrade(engine)
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE cases ADD COLUMN surprise INTEGER"))

        assert "surprise" in str(await differences(engine))

    async def test_down_and_up_again_is_the_same(self, engine: AsyncEngine) -> None:
        await upgrade(engine)

        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "base"))
        assert (await revision(engine)).found is None
        await upgrade(engine)

        assert await differences(engine) == []

    async def test_an_empty_database_is_made_ready_by_several_at_once(self, engine: AsyncEngine) -> None:
        await asyncio.gather(*(ensure_current(engine) for _ in range(4)))

        assert (await revision(engine)).is_current

    async def test_another_revision_is_refused_with_the_command_that_mends_it(self, engine: AsyncEngine) -> None:
        await upgrade(engine)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

        with pytest.raises(SchemaOutdated, match="aurora db upgrade"):
            await ensure_current(engine)

    async def test_a_memory_that_was_made_without_aurora_gets_auroras_tables_beside_it(self, engine) -> None:
        async with engine.begin() as connection:
            await create(connection)
            await connection.execute(text("INSERT INTO memory_heads VALUES ('default', 7, :hash)"), {"hash": b"h" * 32})
            made = await connection.run_sync(_memory)

        await asyncio.gather(*(ensure_current(engine) for _ in range(4)))

        assert (await revision(engine)).is_current
        assert await differences(engine) == []
        async with engine.connect() as connection:
            assert await connection.run_sync(_memory) == made
            assert (await connection.execute(text("SELECT number FROM memory_heads"))).scalar_one() == 7

    async def test_somebody_elses_database_is_left_alone(self, engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE invoices (id INTEGER)"))

        with pytest.raises(SchemaOutdated, match="not Aurora's"):
            await ensure_current(engine)

        assert (await revision(engine)).tables == 1


def _memory(connection: Connection) -> dict[str, object]:
    """Return what is there of memory, as the database itself tells it."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE tbl_name LIKE 'memory#_%' ESCAPE '#'"
        return {name: sorted((sql or "").replace('"', "").split()) for name, sql in connection.execute(text(query))}
    found = inspect(connection)
    columns = (
        "SELECT column_name, data_type, character_maximum_length, collation_name, is_nullable, generation_expression"
        " FROM information_schema.columns"
    )
    return {
        name: (
            sorted(map(str, connection.execute(text(f"{columns} WHERE table_name = '{name}'")))),
            sorted(str(each) for each in found.get_indexes(name)),
            str(found.get_pk_constraint(name)),
            sorted(str(each) for each in found.get_foreign_keys(name)),
        )
        for name in found.get_table_names()
        if name.startswith("memory_")
    }


def _memory_differences(connection: Connection) -> list[object]:
    ours = {*MemoryBase.metadata.tables}

    def is_memory(thing: Any, name: str | None, kind: str, *_: object) -> bool:
        table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", "")
        return table in ours and "terms_index" not in (name or "")

    options = {"compare_type": True, "include_object": is_memory}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), MemoryBase.metadata))
