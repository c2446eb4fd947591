"""What every database must do for the schema."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import SchemaOutdated
from aurora.storage.schema import HEAD, alembic_config, differences, ensure_current, revision, upgrade


class SchemaContract:
    """Subclass it in one file per database and provide `engine`: an open engine on an empty database."""

    clauses: ClassVar[int] = 6

    async def test_the_migrations_lead_to_what_the_models_say(self, engine: AsyncEngine) -> None:
        await upgrade(engine)

        assert (await revision(engine)).found == HEAD
        assert await differences(engine) == []

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

    async def test_somebody_elses_database_is_left_alone(self, engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE invoices (id INTEGER)"))

        with pytest.raises(SchemaOutdated, match="not Aurora's"):
            await ensure_current(engine)

        assert (await revision(engine)).tables == 1
