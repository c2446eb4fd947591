"""Memory: items of three tiers, their sources, vectors and links, the chain of events, threads, background jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aurora.storage.base import BigInt, Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = (
    "memory_vectors",
    "memory_sources",
    "memory_threads",
    "memory_messages",
    "memory_links",
    "memory_jobs",
    "memory_items",
    "memory_heads",
    "memory_events",
    "memory_embedders",
)


def upgrade() -> None:
    """Make memory's tables and its text index."""
    op.create_table(
        "memory_embedders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_embedders")),
        sa.UniqueConstraint("name", name=op.f("uq_memory_embedders_name")),
    )
    op.create_table(
        "memory_events",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", BigInt, autoincrement=False, nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_memory_events")),
    )
    op.create_index("ix_memory_events_item", "memory_events", ["tenant", "item_id"], unique=False)
    op.create_table(
        "memory_heads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_memory_heads")),
    )
    op.create_table(
        "memory_items",
        sa.Column("seq", BigInt, autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=24), nullable=False),
        sa.Column("tier", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column(
            "namespace",
            sa.String(length=800).with_variant(sa.String(length=800, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("key", sa.String(length=400), nullable=True),
        sa.Column("subject", sa.String(length=400), nullable=True),
        sa.Column("predicate", sa.String(length=100), nullable=True),
        sa.Column("object", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.Column("trust", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("importance", sa.Float(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("superseded_by", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_memory_items")),
        sa.UniqueConstraint("id", name=op.f("uq_memory_items_id")),
    )
    op.create_index("ix_memory_items_hash", "memory_items", ["tenant", "content_hash"], unique=False)
    op.create_index("ix_memory_items_kind", "memory_items", ["tenant", "tier", "kind", "recorded_at"], unique=False)
    op.create_index("ix_memory_items_state", "memory_items", ["tenant", "state", "expires_at"], unique=False)
    op.create_index(
        "ix_memory_items_subject", "memory_items", ["tenant", "subject", "predicate", "trust", "seq"], unique=False
    )
    op.create_index("ix_memory_items_version", "memory_items", ["tenant", "version"], unique=False)
    op.create_index(
        "uq_memory_items_tenant_namespace_key",
        "memory_items",
        ["tenant", "namespace", "key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL AND retired_at IS NULL"),
        postgresql_where=sa.text("key IS NOT NULL AND retired_at IS NULL"),
    )
    op.create_table(
        "memory_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_jobs")),
    )
    op.create_index("ix_memory_jobs_due", "memory_jobs", ["finished_at", "due_at"], unique=False)
    op.create_index("uq_memory_jobs_tenant_kind_key", "memory_jobs", ["tenant", "kind", "key"], unique=True)
    op.create_table(
        "memory_links",
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("relation", sa.String(length=16), nullable=False),
        sa.Column("to_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("from_id", "relation", "to_id", name=op.f("pk_memory_links")),
    )
    op.create_index("ix_memory_links_to", "memory_links", ["tenant", "to_id"], unique=False)
    op.create_table(
        "memory_messages",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=True),
        sa.Column("content", Json, nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("encoding", sa.String(length=32), nullable=False),
        sa.Column("trust", sa.Integer(), nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.Column("dropped", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "thread", "position", name=op.f("pk_memory_messages")),
    )
    op.create_index(
        "ix_memory_messages_window",
        "memory_messages",
        ["tenant", "thread", "position"],
        unique=False,
        sqlite_where=sa.text("dropped IS NULL"),
        postgresql_where=sa.text("dropped IS NULL"),
    )
    op.create_index(
        "uq_memory_messages_tenant_thread_message_id",
        "memory_messages",
        ["tenant", "thread", "message_id"],
        unique=True,
    )
    op.create_table(
        "memory_threads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=200), nullable=False),
        sa.Column("next_position", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("summarised_to", sa.Integer(), nullable=False),
        sa.Column("trust", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "thread", name=op.f("pk_memory_threads")),
    )
    op.create_table(
        "memory_sources",
        sa.Column("seq", BigInt, nullable=False),
        sa.Column("uri", sa.String(length=400), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provenance", sa.String(length=20), nullable=False),
        sa.Column("span", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["seq"], ["memory_items.seq"], name=op.f("fk_memory_sources_seq_memory_items"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", "uri", name=op.f("pk_memory_sources")),
    )
    op.create_index("ix_memory_sources_uri", "memory_sources", ["tenant", "uri"], unique=False)
    op.create_table(
        "memory_vectors",
        sa.Column("embedder", sa.Integer(), nullable=False),
        sa.Column("seq", BigInt, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["embedder"], ["memory_embedders.id"], name=op.f("fk_memory_vectors_embedder_memory_embedders")
        ),
        sa.ForeignKeyConstraint(
            ["seq"], ["memory_items.seq"], name=op.f("fk_memory_vectors_seq_memory_items"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("embedder", "seq", name=op.f("pk_memory_vectors")),
    )
    op.create_index("ix_memory_vectors_tenant", "memory_vectors", ["tenant", "embedder", "seq"], unique=False)

    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE memory_text USING fts5"
            "(scope, text, terms, content='memory_items', content_rowid='seq', tokenize='porter unicode61')"
        )
        op.execute("CREATE VIRTUAL TABLE memory_words USING fts5vocab(memory_text, row)")
    else:
        op.execute(
            "ALTER TABLE memory_items ADD COLUMN terms_index tsvector GENERATED ALWAYS AS"
            " (to_tsvector('english', text) || to_tsvector('simple', terms)) STORED"
        )
        op.execute("CREATE INDEX ix_memory_items_terms_index ON memory_items USING gin (terms_index)")


def downgrade() -> None:
    """Forget everything."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE memory_words")
        op.execute("DROP TABLE memory_text")
    for table in _TABLES:
        op.drop_table(table)
