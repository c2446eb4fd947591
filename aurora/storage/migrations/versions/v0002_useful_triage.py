"""Useful triage: the journal, runs with an input of their own, verdicts that models had a part in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aurora.storage.base import Digest, Id, Json, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what runs with models need; no row that exists changes."""
    op.create_table(
        "journal",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("request_sha256", Digest, nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("answer_sha256", Digest, nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=14, scale=8), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_journal_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "scope", "number", name=op.f("pk_journal")),
    )
    op.add_column("tasks", sa.Column("input", Json, nullable=True))
    op.add_column("verdicts", sa.Column("model", Json, nullable=True))


def downgrade() -> None:
    """Remove them, and with them all that models said."""
    op.drop_column("verdicts", "model")
    op.drop_column("tasks", "input")
    op.drop_table("journal")
