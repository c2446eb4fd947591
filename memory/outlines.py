# ruff: noqa: S608 - every part of a statement is fixed, or one of our own names and numbers
"""What is remembered of one subject, in outline: enough to choose by, at the same price however much there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from memory.hand import Hand, micros, read_document, read_id, read_moment
from memory.items import Trust
from memory.namespaces import encode

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# What has a predicate is a fact. Of the rest an end in the world is an end of the record, too.
_LATEST = """
    SELECT seq, id, trust, recorded_at, value FROM memory_items
    WHERE tenant = $1 AND subject = $2 AND predicate IS NULL AND trust = {trust} AND kind = $3 AND namespace = $4
    AND state = 'active' AND recorded_at <= $5 AND valid_from <= $5 AND (valid_to IS NULL OR valid_to > $5)
    AND (retired_at IS NULL OR retired_at > $5) AND (expires_at IS NULL OR expires_at > $5){before}
    ORDER BY seq DESC LIMIT $6
"""
# Rows are numbered as they are recorded, so past the last one of a time nothing has to be looked at.
_BEFORE = """
    AND seq <= coalesce((SELECT seq FROM memory_items WHERE tenant = $1 AND tier = 'episodic' AND kind = $3
    AND recorded_at <= $5 ORDER BY recorded_at DESC, seq DESC LIMIT 1), 0)
"""


@dataclass(frozen=True, slots=True)
class Outline:
    """As much of an item as tells whether the whole of it is wanted."""

    seq: int
    id: UUID
    trust: Trust
    recorded_at: datetime
    value: Any


class Outlines:
    """Reads outlines of one tenant's items in one transaction."""

    def __init__(self, connection: AsyncConnection, *, tenant: str) -> None:
        self._hand = Hand(connection)
        self._tenant = tenant

    async def latest(
        self, subject: str, *, kind: str, namespace: Sequence[str], now: datetime, as_of: datetime | None, limit: int
    ) -> list[Outline]:
        """Return the latest episodes of a subject of each degree of trust: one degree hides none of another.

        Args:
            subject: What they are about.
            kind: Of the episodic tier.
            namespace: In which they are.
            now: The present.
            as_of: Held when; `None`: now.
            limit: So many at most of each degree.
        """
        before = "" if as_of is None else _BEFORE
        pieces = [_LATEST.format(trust=int(trust), before=before) for trust in sorted(Trust, reverse=True)]
        every = " UNION ALL ".join(f"SELECT * FROM ({piece}) of_{place}" for place, piece in enumerate(pieces))
        rows = await self._hand.fetch(
            every, self._tenant, subject, kind, encode(namespace), micros(as_of or now), limit
        )
        return [
            Outline(row[0], read_id(row[1]), Trust(row[2]), read_moment(row[3]), read_document(row[4])) for row in rows
        ]

    async def is_any_known(self, subjects: Collection[str]) -> bool:
        """Tell whether a fact about one of these was ever stated. Most alerts name nobody that is known."""
        statement = (
            f"SELECT 1 FROM memory_items WHERE tenant = $1 AND subject {self._hand.among('$2', 'text')}"
            " AND predicate IS NOT NULL LIMIT 1"
        )
        return bool(await self._hand.fetch(statement, self._tenant, self._hand.many([*subjects])))
