# ruff: noqa: S608 - every part of a statement is fixed, or one of our own names and numbers
"""The statements of the write path, by hand: here SQLAlchemy would take longer than the database.

On SQLite they go to the driver itself; values are bound as the types of `memory.models` bind them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from memory.hand import Hand, micros, read_id, read_moment
from memory.items import State, Trust

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_MANY = 10_000
"""Values that are looked up at a time."""
_BLOBS = 500
"""Of values that JSON cannot carry; each has a mark of its own."""


@dataclass(slots=True)
class Held:
    """An item that is held: read from the database, or about to be written to it."""

    seq: int
    id: UUID
    trust: Trust
    state: State
    recorded_at: datetime
    valid_from: datetime
    valid_to: datetime | None
    subject: str | None
    predicate: str | None
    namespace: str
    key: str | None
    content_hash: bytes
    expires_at: datetime | None
    retired_at: datetime | None = None
    superseded_by: UUID | None = None
    version: int = 0
    is_new: bool = False

    @property
    def stands(self) -> bool:
        """Whether it speaks for anything: what was rolled back or erased does not."""
        return self.retired_at is None and self.state in {State.ACTIVE, State.QUARANTINED, State.ARCHIVED}

    @property
    def fact(self) -> tuple[str, str] | None:
        """Subject and predicate, if it is a fact."""
        return None if self.subject is None or self.predicate is None else (self.subject, self.predicate)

    @property
    def name(self) -> tuple[str, str] | None:
        """Namespace and key, if it has a name of its own."""
        return None if self.key is None else (self.namespace, self.key)


_HELD = (
    "i.seq, i.id, i.trust, i.state, i.recorded_at, i.valid_from, i.valid_to, i.subject, i.predicate, i.namespace,"
    " i.key, i.content_hash, i.expires_at"
)
_STANDING = "i.retired_at IS NULL AND i.state IN ('active', 'quarantined', 'archived')"
_ITEM = (
    "seq, id, tenant, scope, tier, kind, namespace, key, subject, predicate, object, text, terms, value, trust, state,"
    " importance, valid_from, valid_to, recorded_at, retired_at, superseded_by, expires_at, content_hash, tokens,"
    " version"
)


class Rows:
    """Reads and writes the rows of one tenant in one transaction."""

    def __init__(self, connection: AsyncConnection, *, tenant: str) -> None:
        self._hand = Hand(connection)
        self._tenant = tenant

    async def at_once(self, *told: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run several methods in line; see `memory.hand.Hand.at_once`."""
        return await self._hand.at_once(*told)

    async def known(self, ids: Sequence[UUID]) -> dict[UUID, tuple[str, Trust]]:
        """Return tenant and trust of each of the items that exist, whoever's they are."""
        statement = f"SELECT id, tenant, trust FROM memory_items WHERE id {self._hand.among('$1', 'uuid')}"
        found: dict[UUID, tuple[str, Trust]] = {}
        for some in _pieces([self.id(each) for each in ids]):
            rows = await self._hand.fetch(statement, self._hand.many(some))
            found.update((read_id(each), (tenant, Trust(trust))) for each, tenant, trust in rows)
        return found

    async def by_hash(self, hashes: Sequence[bytes]) -> list[Held]:
        """Return the items that stand with one of these contents."""
        found: list[Held] = []
        for some in _pieces(hashes, size=_BLOBS):
            if self._hand.is_postgres:
                among, values = "= ANY($2::bytea[])", (some,)
            else:
                among, values = f"IN ({', '.join(f'${place}' for place in range(2, len(some) + 2))})", tuple(some)
            statement = f"SELECT {_HELD} FROM memory_items i WHERE {_STANDING} AND i.tenant = $1 AND i.content_hash"
            found += _held(await self._hand.fetch(f"{statement} {among}", self._tenant, *values))
        return found

    async def by_fact(self, facts: Iterable[tuple[str, str]]) -> list[Held]:
        """Return the items that stand of these subjects and predicates."""
        return await self._by_pair("i.subject", "i.predicate", list(facts), where=_STANDING)

    async def by_name(self, names: Iterable[tuple[str, str]]) -> list[Held]:
        """Return the items that are not retired of these namespaces and keys, whatever their state.

        The name is taken even by one that was rolled back and not retired.
        """
        return await self._by_pair("i.namespace", "i.key", list(names), where="i.retired_at IS NULL")

    async def sources_of(self, seqs: Sequence[int]) -> dict[int, set[str]]:
        """Return the URIs of the sources of items."""
        statement = f"SELECT seq, uri FROM memory_sources WHERE seq {self._hand.among('$1', 'bigint')}"
        found: dict[int, set[str]] = {}
        for some in _pieces(seqs):
            for seq, uri in await self._hand.fetch(statement, self._hand.many(some)):
                found.setdefault(seq, set()).add(uri)
        return found

    async def standing(self, seqs: Iterable[int]) -> dict[int, UUID]:
        """Return the ids of those of these rows that are the tenant's, active and not retired."""
        aside = self._hand.aside
        stands = f"{aside('tenant')} = $2 AND retired_at IS NULL AND {aside('state')} = 'active'"
        statement = f"SELECT seq, id FROM memory_items WHERE seq {self._hand.among('$1', 'bigint')} AND {stands}"
        found: dict[int, UUID] = {}
        for some in _pieces([*seqs]):
            rows = await self._hand.fetch(statement, self._hand.many(some), self._tenant)
            found.update((seq, read_id(each)) for seq, each in rows)
        return found

    async def next_seqs(self, count: int) -> list[int]:
        """Return the numbers of the next rows, ascending."""
        if not self._hand.is_postgres:
            # The transaction has the write lock: nobody else numbers rows now.
            rows = await self._hand.fetch("SELECT coalesce(max(seq), 0) FROM memory_items")
            first = rows[0][0] + 1
            return list(range(first, first + count))
        sequence = "pg_get_serial_sequence('memory_items', 'seq')"
        drawn = await self._hand.fetch(f"SELECT nextval({sequence}) FROM generate_series(1, $1)", count)
        return sorted(row[0] for row in drawn)

    async def embedder(self, name: str, *, dimensions: int) -> int:
        """Return the id of an embedder; it gets one where it has none."""
        lookup = "SELECT id FROM memory_embedders WHERE name = $1"
        rows = await self._hand.fetch(lookup, name)
        if not rows:
            insert = "INSERT INTO memory_embedders (name, dimensions) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
            await self._hand.fetch(insert, name, dimensions)
            rows = await self._hand.fetch(lookup, name)
        number: int = rows[0][0]
        return number

    async def insert_items(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert items, in the order of the table's columns, and put them into the text index."""
        await self._insert("memory_items", _ITEM, rows)
        if not self._hand.is_postgres:
            # seq, scope, text, terms
            await self._insert(
                "memory_text", "rowid, scope, text, terms", [(row[0], row[3], row[11], row[12]) for row in rows]
            )

    async def insert_sources(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert sources: seq, uri, tenant, provenance, span. One that is there stays as it is."""
        await self._insert(
            "memory_sources", "seq, uri, tenant, provenance, span", rows, tail=" ON CONFLICT (seq, uri) DO NOTHING"
        )

    async def insert_vectors(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert vectors: embedder, seq, tenant, vector."""
        await self._insert("memory_vectors", "embedder, seq, tenant, vector", rows)

    async def insert_links(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert links: from, relation, to, tenant, score. One that is there stays as it is."""
        await self._insert(
            "memory_links",
            "from_id, relation, to_id, tenant, score",
            rows,
            tail=" ON CONFLICT (from_id, relation, to_id) DO NOTHING",
        )

    async def retire(self, held: Sequence[Held]) -> None:
        """Write what superseding did to items that were there before."""
        await self._hand.each(
            "UPDATE memory_items SET retired_at = $1, superseded_by = $2, valid_to = $3, version = $4"
            " WHERE seq = $5 AND tenant = $6",
            [
                (
                    micros(each.retired_at),
                    self.id(each.superseded_by),
                    micros(each.valid_to),
                    each.version,
                    each.seq,
                    self._tenant,
                )
                for each in held
            ],
        )

    async def touch(self, held: Sequence[Held]) -> None:
        """Write what joining did to items that were there before."""
        await self._hand.each(
            "UPDATE memory_items SET expires_at = $1, version = $2 WHERE seq = $3 AND tenant = $4",
            [(micros(each.expires_at), each.version, each.seq, self._tenant) for each in held],
        )

    async def renew(self, seqs: Sequence[int], *, version: int) -> None:
        """Give items a later version, by which the indexes of other processes read them again."""
        mine = f"{self._hand.aside('tenant')} = $1"
        statement = f"UPDATE memory_items SET version = $3 WHERE {mine} AND seq {self._hand.among('$2', 'bigint')}"
        await self._hand.fetch(statement, self._tenant, self._hand.many(seqs), version)

    def id(self, value: UUID | None) -> object:
        """Return an id as the database's driver takes it."""
        return self._hand.id(value)

    async def _by_pair(self, first: str, second: str, pairs: Sequence[tuple[str, str]], *, where: str) -> list[Held]:
        found: list[Held] = []
        for some in _pieces(pairs):
            if self._hand.is_postgres:
                statement = (
                    f"SELECT {_HELD} FROM unnest($1::text[], $2::text[]) AS j(a, b)"
                    f" JOIN memory_items i ON i.tenant = $3 AND {first} = j.a AND {second} = j.b WHERE {where}"
                )
                values: tuple[object, ...] = ([a for a, _ in some], [b for _, b in some], self._tenant)
            else:
                statement = (
                    f"SELECT {_HELD} FROM json_each($1) j CROSS JOIN memory_items i ON i.tenant = $2"
                    f" AND {first} = json_extract(j.value, '$[0]') AND {second} = json_extract(j.value, '$[1]')"
                    f" WHERE {where}"
                )
                values = (orjson.dumps(some).decode(), self._tenant)
            found += _held(await self._hand.fetch(statement, *values))
        return found

    async def _insert(self, table: str, columns: str, rows: Sequence[Sequence[object]], *, tail: str = "") -> None:
        if rows:
            marks = ", ".join(f"${place}" for place in range(1, len(rows[0]) + 1))
            await self._hand.each(f"INSERT INTO {table} ({columns}) VALUES ({marks}){tail}", rows)


def _held(rows: Sequence[Sequence[Any]]) -> list[Held]:
    return [
        Held(
            seq=row[0],
            id=read_id(row[1]),
            trust=Trust(row[2]),
            state=State(row[3]),
            recorded_at=read_moment(row[4]),
            valid_from=read_moment(row[5]),
            valid_to=None if row[6] is None else read_moment(row[6]),
            subject=row[7],
            predicate=row[8],
            namespace=row[9],
            key=row[10],
            content_hash=bytes(row[11]),
            expires_at=None if row[12] is None else read_moment(row[12]),
        )
        for row in rows
    ]


def _pieces(values: Sequence[Any], *, size: int = _MANY) -> Iterable[Sequence[Any]]:
    return (values[at : at + size] for at in range(0, len(values), size))
