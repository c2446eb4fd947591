"""Memory's schema: its tables, and the text index that each database has in its own way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from memory.models import MemoryBase

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_BESIDES = {
    "sqlite": (
        (
            "CREATE VIRTUAL TABLE memory_text USING fts5"
            "(scope, text, terms, content='memory_items', content_rowid='seq', tokenize='porter unicode61')"
        ),
        "CREATE VIRTUAL TABLE memory_words USING fts5vocab(memory_text, row)",
    ),
    "postgresql": (
        # Ranges of namespaces are ranges of code points.
        'ALTER TABLE memory_items ALTER COLUMN namespace TYPE varchar(800) COLLATE "C"',
        (
            "ALTER TABLE memory_items ADD COLUMN terms_index tsvector GENERATED ALWAYS AS"
            " (to_tsvector('english', text) || to_tsvector('simple', terms)) STORED"
        ),
        "CREATE INDEX ix_memory_items_terms_index ON memory_items USING gin (terms_index)",
    ),
}
"""What the models do not say. Migration 0004 repeats it: a migration never changes."""


async def create(connection: AsyncConnection) -> None:
    """Make what is missing of the schema, in the caller's transaction. Whoever runs Aurora has it from a migration."""
    await connection.run_sync(_create)


async def is_there(connection: AsyncConnection) -> bool:
    """Tell whether the database has memory's tables."""
    return await connection.run_sync(lambda sync: inspect(sync).has_table("memory_items"))


def scope_of(tenant: str) -> str:
    """Return the token that names a tenant in the text index: of letters and digits alone, whatever the name holds."""
    return "t" + hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _create(connection: Connection) -> None:
    if inspect(connection).has_table("memory_items"):
        return
    MemoryBase.metadata.create_all(connection)
    for statement in _BESIDES[connection.dialect.name]:
        connection.exec_driver_sql(statement)
