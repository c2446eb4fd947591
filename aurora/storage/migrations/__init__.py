"""Alembic migrations; run by `aurora.storage.schema`, never by hand."""
