"""The schema's revision: what the database has, what this Aurora needs, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from aurora.kernel.errors import SchemaOutdated, StorageUnavailable
from aurora.storage.engine import WRITES

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0004"
"""Revision that this Aurora needs; a test holds it to the newest migration. Reading it costs no import of Alembic."""

_BEFORE_MEMORY, _WITH_MEMORY = "0003", "0004"
"""Around the migration that makes memory's tables. A memory that was opened without Aurora has them already, as that
migration makes them; whichever migration changes them must find out here which of both it meets."""

_LOCK = 0x41555241
"""PostgreSQL advisory lock of whoever migrates: "AURA"."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a database holds."""

    found: str | None
    """`None`: nothing of ours yet."""
    tables: int
    """Tables that are there, ours or not; of a memory that was made without Aurora, whose tables come beside it, 0."""

    @property
    def is_current(self) -> bool:
        """Whether this Aurora can work with it."""
        return self.found == HEAD


async def revision(engine: AsyncEngine) -> Revision:
    """Return the revision of the database.

    Raises:
        StorageUnavailable: it cannot be reached, or the file is no database.
    """
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise StorageUnavailable(f"the database cannot be opened: {str(cause).splitlines()[0]}") from error


async def ensure_current(engine: AsyncEngine) -> None:
    """Create the schema in an empty database, or beside a memory; refuse one of another revision.

    Raises:
        SchemaOutdated: the database must be upgraded first, or belongs to a newer Aurora or to something else.
        StorageUnavailable: it cannot be reached.
    """
    state = await revision(engine)
    if state.is_current:
        return
    if state.found is None and state.tables:
        raise SchemaOutdated("the database holds tables that are not Aurora's; give Aurora a database of its own")
    if state.found is not None:
        raise SchemaOutdated(
            f"the database has schema revision {state.found}, this Aurora needs {HEAD}: run `aurora db upgrade`",
            found=state.found,
            needed=HEAD,
        )
    await upgrade(engine)


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision. Of several that call it at once, one migrates and the others wait."""
    try:
        async with engine.execution_options(**{WRITES: True}).begin() as connection:
            await connection.run_sync(_upgrade)
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise StorageUnavailable(f"the database cannot be upgraded: {str(cause).splitlines()[0]}") from error


async def integrity(engine: AsyncEngine) -> list[str]:
    """Return what is damaged in a SQLite file, in its own words; PostgreSQL checks itself.

    Raises:
        StorageUnavailable: the database cannot be opened.
    """
    if engine.dialect.name != "sqlite":
        return []
    try:
        async with engine.connect() as connection:
            said = list((await connection.execute(text("PRAGMA integrity_check"))).scalars())
            dangling = (await connection.execute(text("PRAGMA foreign_key_check"))).all()
    except DBAPIError as error:
        raise StorageUnavailable(f"the database cannot be checked: {error.orig}") from error
    return [each for each in said if each != "ok"] + [
        f"row {row[1]} of {row[0]} refers to a row of {row[2]} that does not exist" for row in dangling
    ]


async def differences(engine: AsyncEngine) -> list[Any]:
    """Return how the database's tables differ from the models; empty if they are equal."""
    async with engine.connect() as connection:
        return await connection.run_sync(_differences)


def _revision(connection: Connection) -> Revision:
    tables = inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        return Revision(None, 0 if _is_memory_alone(tables) else len(tables))
    return Revision(connection.scalar(text("SELECT version_num FROM alembic_version")), len(tables))


def _is_memory_alone(tables: Collection[str]) -> bool:
    """Tell whether a program that has no Aurora made them: `memory.opening.open_memory`, or a store."""
    return "memory_items" in tables and all(table.startswith("memory_") for table in tables)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - only a migration pays for Alembic
    from alembic.util import CommandError  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = alembic_config(connection)
    try:
        if _is_memory_alone(inspect(connection).get_table_names()):
            command.upgrade(config, _BEFORE_MEMORY)
            command.stamp(config, _WITH_MEMORY)
        command.upgrade(config, "head")
    except CommandError as error:
        found = _revision(connection).found
        raise SchemaOutdated(
            f"the database has schema revision {found}, which this Aurora does not know: install a newer Aurora",
            found=found,
        ) from error


def _differences(connection: Connection) -> list[Any]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only a check pays for Alembic
    from alembic.migration import MigrationContext  # noqa: PLC0415

    from aurora.storage.models import Base  # noqa: PLC0415

    options = {"compare_type": True, "include_object": _is_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def _is_ours(thing: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:  # noqa: FBT001 - Alembic's
    """Memory's tables are not ours: they have models, and a test that compares them, of their own."""
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", "")
    return not (table or "").startswith("memory_")


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, bound to a connection."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
