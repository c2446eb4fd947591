"""Alembic's environment: migrates the connection that `aurora.storage.schema` hands in."""

from __future__ import annotations

from alembic import context

from aurora.storage.models import Base
from memory.models import MemoryBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Base.metadata, MemoryBase.metadata],
    compare_type=True,
    render_as_batch=True,  # SQLite cannot alter most things in place
    transaction_per_migration=False,
)
context.run_migrations()
