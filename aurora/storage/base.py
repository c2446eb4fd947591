"""The declarative base, and column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, LargeBinary, MetaData, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from aurora.kernel.clock import SystemClock
from aurora.kernel.ids import Uuid7Factory

DEFAULT_TENANT = "default"
"""The tenant of an installation that has only one."""

# The runtime always passes ids and moments from its injected clock. These two serve code that
# builds rows by hand (the founding contract: an id and `created_at` appear on insert).
generated_id: Callable[[], UUID] = Uuid7Factory(clock=SystemClock())
current_moment: Callable[[], datetime] = SystemClock().now

Tenant = String(64)
"""Partition key of every row; it comes from the runtime, never from data or a model."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document; `JSONB` on PostgreSQL. `None` is SQL's NULL, not a document that says null."""

BigInt = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit integer on both; SQLite's INTEGER is 64 bits wide and may be a row id."""

Digest = LargeBinary(32)
"""A SHA-256 digest as 32 raw bytes."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment. Naive values are refused; what comes back is aware on both databases."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"moment {value!r} has no time zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Id(TypeDecorator[UUID]):
    """A UUID; text in canonical form is accepted too. Native on PostgreSQL, 32 hex digits on SQLite."""

    impl = Uuid
    cache_ok = True

    def process_bind_param(self, value: UUID | str | None, dialect: Dialect) -> UUID | None:
        return UUID(value) if isinstance(value, str) else value


class Base(DeclarativeBase):
    """Base of all tables of the runtime. Constraint names are fixed, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
