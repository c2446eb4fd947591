"""Memory's tables. They are its own: a MetaData apart from the runtime's, in the same database or another.

Every row has a tenant, which comes from whoever opened the memory, never from data or a model.
The text index is no table of SQLAlchemy's: `memory_text` (FTS5) on SQLite, the column `terms_index` on PostgreSQL;
`memory.schema` makes it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    Uuid,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Tenant = String(64)
Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite's INTEGER is 64 bits wide; only by that name can it be a row id."""


class Moment(TypeDecorator[datetime]):
    """An aware moment as microseconds since 1970: it compares, indexes and hashes alike on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"moment {value!r} has no time zone")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryBase(DeclarativeBase):
    """Base of memory's tables. Constraint names are fixed, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ItemModel(MemoryBase):
    """An item of the episodic, semantic or procedural tier, or of the store. See `memory.items.Item`."""

    __tablename__ = "memory_items"

    seq: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    """Row id of the text index, and position in the vector index."""
    id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    tenant: Mapped[str] = mapped_column(Tenant)
    scope: Mapped[str] = mapped_column(String(24))
    """A token that names the tenant in the text index, so that one tenant's search reads no other's postings."""
    tier: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str] = mapped_column(String(32))
    namespace: Mapped[str] = mapped_column(String(800), default="")
    """As `memory.namespaces` encodes it: prefixes are ranges of a B-tree."""
    key: Mapped[str | None] = mapped_column(String(400))
    subject: Mapped[str | None] = mapped_column(String(400))
    predicate: Mapped[str | None] = mapped_column(String(100))
    object: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    terms: Mapped[str] = mapped_column(Text, default="")
    """Exact tokens: addresses, hashes, CVEs, technique ids, spelled so that the tokenizer keeps them whole."""
    value: Mapped[dict[str, Any]] = mapped_column(Document)
    trust: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(12))
    importance: Mapped[float] = mapped_column(Float)
    valid_from: Mapped[datetime] = mapped_column(Moment)
    valid_to: Mapped[datetime | None] = mapped_column(Moment)
    recorded_at: Mapped[datetime] = mapped_column(Moment)
    retired_at: Mapped[datetime | None] = mapped_column(Moment)
    superseded_by: Mapped[UUID | None] = mapped_column(Uuid)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    tokens: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Number)
    """Number of the tenant's event that last changed it."""

    __table_args__ = (
        Index(
            "uq_memory_items_tenant_namespace_key",
            "tenant",
            "namespace",
            "key",
            unique=True,
            sqlite_where=sql("key IS NOT NULL AND retired_at IS NULL"),
            postgresql_where=sql("key IS NOT NULL AND retired_at IS NULL"),
        ),
        Index("ix_memory_items_kind", "tenant", "tier", "kind", "recorded_at"),
        Index("ix_memory_items_subject", "tenant", "subject", "predicate", "trust", "seq"),
        Index("ix_memory_items_hash", "tenant", "content_hash"),
        Index("ix_memory_items_state", "tenant", "state", "expires_at"),
        Index("ix_memory_items_version", "tenant", "version"),
    )


class SourceModel(MemoryBase):
    """Where an item came from; one row a source."""

    __tablename__ = "memory_sources"

    seq: Mapped[int] = mapped_column(ForeignKey("memory_items.seq", ondelete="CASCADE"), primary_key=True)
    uri: Mapped[str] = mapped_column(String(400), primary_key=True)
    tenant: Mapped[str] = mapped_column(Tenant)
    provenance: Mapped[str] = mapped_column(String(20))
    span: Mapped[str | None] = mapped_column(String(200))

    __table_args__ = (Index("ix_memory_sources_uri", "tenant", "uri"),)


class VectorModel(MemoryBase):
    """The vector of an item under one embedder: float16, unit length, little-endian."""

    __tablename__ = "memory_vectors"

    embedder: Mapped[int] = mapped_column(ForeignKey("memory_embedders.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(ForeignKey("memory_items.seq", ondelete="CASCADE"), primary_key=True)
    tenant: Mapped[str] = mapped_column(Tenant)
    vector: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (Index("ix_memory_vectors_tenant", "tenant", "embedder", "seq"),)


class EmbedderModel(MemoryBase):
    """An embedder that has vectors here."""

    __tablename__ = "memory_embedders"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    """With its revision: other weights are another embedder."""
    dimensions: Mapped[int] = mapped_column(Integer)


class LinkModel(MemoryBase):
    """A relation between two items of a tenant."""

    __tablename__ = "memory_links"

    from_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    relation: Mapped[str] = mapped_column(String(16), primary_key=True)
    """`near`, `evidence`, `corrects`, `summarises`."""
    to_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant: Mapped[str] = mapped_column(Tenant)
    score: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (Index("ix_memory_links_to", "tenant", "to_id"),)


class HeadModel(MemoryBase):
    """The end of a tenant's chain of events. Whoever writes locks it: that is what puts writers in order."""

    __tablename__ = "memory_heads"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True)
    number: Mapped[int] = mapped_column(Number)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class EventModel(MemoryBase):
    """What was done to a memory: append-only, each event bound to the one before."""

    __tablename__ = "memory_events"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True)
    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    operation: Mapped[str] = mapped_column(String(16))
    """`stored`, `joined`, `superseded`, `quarantined`, `approved`, `archived`, `rolled_back`,
    `restored`, `erased`, `source_erased`, `deleted`, `reembedded`."""
    item_id: Mapped[UUID | None] = mapped_column(Uuid)
    actor: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(Moment)
    details: Mapped[dict[str, Any]] = mapped_column(Document)
    """Never the text itself: that may have to be erased. Its hash."""
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))

    __table_args__ = (Index("ix_memory_events_item", "tenant", "item_id"),)


class JobModel(MemoryBase):
    """Work on a memory in the background, leased: consolidation, decay, new vectors."""

    __tablename__ = "memory_jobs"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant: Mapped[str] = mapped_column(Tenant)
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(200))
    """Asked for twice, a job is done once."""
    payload: Mapped[dict[str, Any]] = mapped_column(Document)
    due_at: Mapped[datetime] = mapped_column(Moment)
    owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    error: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (
        Index("uq_memory_jobs_tenant_kind_key", "tenant", "kind", "key", unique=True),
        Index("ix_memory_jobs_due", "finished_at", "due_at"),
    )


class ThreadModel(MemoryBase):
    """A thread of the working tier."""

    __tablename__ = "memory_threads"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True)
    thread: Mapped[str] = mapped_column(String(200), primary_key=True)
    next_position: Mapped[int] = mapped_column(Integer, default=0)
    summary: Mapped[str] = mapped_column(Text, default="")
    """Of what fell out of the window."""
    summarised_to: Mapped[int] = mapped_column(Integer, default=0)
    """Messages before this position are in the summary."""
    trust: Mapped[int] = mapped_column(Integer)
    """The least of all that the summary was made of."""
    updated_at: Mapped[datetime] = mapped_column(Moment)


class MessageModel(MemoryBase):
    """A message of a thread, with what it costs in tokens."""

    __tablename__ = "memory_messages"

    tenant: Mapped[str] = mapped_column(Tenant, primary_key=True)
    thread: Mapped[str] = mapped_column(String(200), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(String(10))
    message_id: Mapped[str | None] = mapped_column(String(200))
    """As whoever made it named it: told again, it is the same message."""
    content: Mapped[dict[str, Any]] = mapped_column(Document)
    tokens: Mapped[int] = mapped_column(Integer)
    encoding: Mapped[str] = mapped_column(String(32))
    """What counted the tokens."""
    trust: Mapped[int] = mapped_column(Integer)
    is_pinned: Mapped[bool] = mapped_column(Boolean)
    dropped: Mapped[str | None] = mapped_column(String(20))
    """Why it is not in the window any more; see `memory.ledger.DropReason`."""
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        Index("uq_memory_messages_tenant_thread_message_id", "tenant", "thread", "message_id", unique=True),
        Index(
            "ix_memory_messages_window",
            "tenant",
            "thread",
            "position",
            sqlite_where=sql("dropped IS NULL"),
            postgresql_where=sql("dropped IS NULL"),
        ),
    )
