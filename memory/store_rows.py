# ruff: noqa: S608 - every part of a statement is fixed, or one of our own marks
"""What the store reads of its tenant's items, by hand, and the times it sets. Every statement names the tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from memory.hand import Hand, document, micros, read_id, read_moment
from memory.items import Trust
from memory.namespaces import bounds
from memory.store_narrowing import narrowed
from memory.store_ops import Name, matches
from memory.store_values import ROOT, Opened, opened, read_key, read_namespace, tainted

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_MANY = 5_000
_KEPT = (
    "i.tenant = $1 AND i.tier = 'store' AND i.key IS NOT NULL AND i.retired_at IS NULL"
    " AND i.state IN ('active', 'archived') AND (i.expires_at IS NULL OR i.expires_at > $2)"
)
"""A value that is there: not deleted, not in quarantine, not taken back, not expired."""
_COLUMNS = "i.seq, i.namespace, i.key, i.value, i.trust, i.expires_at, coalesce(e.at, i.recorded_at)"
_ITEMS = "memory_items i LEFT JOIN memory_events e ON e.tenant = i.tenant AND e.number = i.version"
"""The event that last changed an item tells when that was."""
_IN_SQLITE = (
    f"SELECT {_COLUMNS} FROM json_each($3) j CROSS JOIN {_ITEMS}"
    " WHERE i.namespace = json_extract(j.value, '$[0]') AND i.key = json_extract(j.value, '$[1]')"
    f" AND {_KEPT}"
)
_IN_POSTGRES = (
    f"SELECT {_COLUMNS} FROM {_ITEMS} WHERE (i.namespace, i.key)"
    f" IN (SELECT * FROM unnest($3::text[], $4::text[])) AND {_KEPT}"
)
_REFRESH = (
    "UPDATE memory_items SET expires_at = $1 WHERE seq = $2 AND tenant = $3 AND retired_at IS NULL"
    " AND expires_at IS NOT NULL AND expires_at < $1"
)
_EXPIRED = (
    "SELECT i.namespace, i.key FROM memory_items i WHERE i.tenant = $1 AND i.tier = 'store' AND i.key IS NOT NULL"
    " AND i.retired_at IS NULL AND i.expires_at <= $2 LIMIT $3"
)


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value of the store, and what the store knows of it."""

    seq: int
    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    ttl: timedelta | None


class StoreRows:
    """Reads the store of one tenant in one transaction.

    Args:
        connection: The caller's.
        tenant: From whoever opened the store, never from data.
        now: What has expired by then is not there any more.
    """

    def __init__(self, connection: AsyncConnection, *, tenant: str, now: datetime) -> None:
        self._hand = Hand(connection)
        self._tenant = tenant
        self._now = now

    async def named(self, names: Iterable[Name]) -> dict[Name, StoredValue]:
        """Return the values of these names that there are."""
        wanted = list(dict.fromkeys(names))
        found: dict[Name, StoredValue] = {}
        for some in _pieces(wanted):
            values = ([a for a, _ in some], [b for _, b in some]) if self._hand.is_postgres else (document(some),)
            statement = _IN_POSTGRES if self._hand.is_postgres else _IN_SQLITE
            for row in await self._fetch(statement, *values):
                found[row[1], row[2]] = _value(row, opened(row[3]))
        return found

    async def numbered(
        self, seqs: Sequence[int], *, wanted: Mapping[str, Any] | None = None
    ) -> Mapping[int, StoredValue]:
        """Return the values in these rows that there are, and that meet a filter."""
        statement = f"SELECT {_COLUMNS} FROM {_ITEMS} WHERE {_KEPT} AND i.seq {self._hand.among('$3', 'bigint')}"
        found: dict[int, StoredValue] = {}
        for some in _pieces(seqs):
            for row in await self._fetch(statement, self._hand.many(some)):
                held = opened(row[3])
                if matches(held.value, wanted):
                    found[row[0]] = _value(row, held)
        return found

    async def under(
        self,
        prefix: Sequence[str],
        *,
        wanted: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[int]:
        """Return the rows of the values in a namespace and those below it, the last changed first.

        With a filter some are left out that it would not let pass, not all of them.
        """
        where, values = self._below(prefix)
        narrow, more = narrowed(wanted, is_postgres=self._hand.is_postgres, first=5)
        statement = f"SELECT i.seq FROM memory_items i WHERE {_KEPT}{where}{narrow} ORDER BY i.version DESC"
        if limit is not None:
            statement += f" LIMIT ${len(more) + 5} OFFSET ${len(more) + 6}"
            more = (*more, limit, offset)
        return [row[0] for row in await self._fetch(statement, *values, *more)]

    async def seqs_of(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the rows of items."""
        statement = f"SELECT i.id, i.seq FROM memory_items i WHERE {_KEPT} AND i.id {self._hand.among('$3', 'uuid')}"
        rows = await self._fetch(statement, self._hand.many([self._hand.id(each) for each in ids]))
        return {read_id(each): seq for each, seq in rows}

    async def namespaces(self, prefix: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the namespaces below one, and itself, that have values."""
        where, values = self._below(prefix)
        rows = await self._fetch(f"SELECT DISTINCT i.namespace FROM memory_items i WHERE {_KEPT}{where}", *values)
        return [read_namespace(row[0]) for row in rows]

    async def expired(self, *, limit: int) -> list[Name]:
        """Return names whose time is over."""
        rows = await self._hand.fetch(_EXPIRED, self._tenant, micros(self._now), limit)
        return [(row[0], row[1]) for row in rows]

    async def refresh(self, until: Mapping[int, datetime]) -> None:
        """Let values live until then, unless they live longer already or were deleted meanwhile."""
        await self._hand.each(_REFRESH, [(micros(moment), seq, self._tenant) for seq, moment in until.items()])

    def _below(self, prefix: Sequence[str]) -> tuple[str, tuple[object, ...]]:
        between = bounds((ROOT, *prefix))
        if between is None:
            raise ValueError("every namespace of the store has a first label")
        column = 'i.namespace COLLATE "C"' if self._hand.is_postgres else "i.namespace"
        return f" AND {column} >= $3 AND {column} < $4", between

    async def _fetch(self, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        return await self._hand.fetch(statement, self._tenant, micros(self._now), *values)


def _value(row: Sequence[Any], held: Opened) -> StoredValue:
    seq, namespace, key, _, trust, expires_at, changed_at = row
    return StoredValue(
        seq=seq,
        namespace=read_namespace(namespace),
        key=read_key(key),
        value=tainted(held.value) if trust == Trust.EXTERNAL_CONTENT else held.value,
        created_at=held.created_at,
        updated_at=read_moment(changed_at),
        expires_at=None if expires_at is None else read_moment(expires_at),
        ttl=held.ttl,
    )


def _pieces(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + _MANY] for at in range(0, len(values), _MANY))
