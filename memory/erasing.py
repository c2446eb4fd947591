"""Erasing: what was said goes, that there was something stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from memory.chain import Chain
from memory.hand import Hand, micros, read_id
from memory.items import State
from memory.lineage import ERASED

_CHUNK = 1000
_TO_ERASE = (
    "SELECT seq, id, scope, text, terms, content_hash FROM memory_items WHERE {} = $1 AND id {} AND state <> 'erased'"
    " ORDER BY seq"
)
_UNINDEX = "INSERT INTO memory_text (memory_text, rowid, scope, text, terms) VALUES ('delete', $1, $2, $3, $4)"
_BARE = (
    "UPDATE memory_items SET state = $1, text = $2, terms = '', scope = '', value = '{}', namespace = '', key = NULL,"
    " subject = NULL, predicate = NULL, object = NULL, retired_at = coalesce(retired_at, $3), version = $4"
    " WHERE tenant = $5 AND seq = $6"
)
_TOLD = (
    "UPDATE memory_sources SET span = $1 WHERE tenant = $2 AND uri = $3"
    " AND seq = (SELECT seq FROM memory_items WHERE tenant = $2 AND id = $4)"
)


class Erasing:
    """Erases items of one tenant, in the caller's transaction.

    Args:
        hand: On the connection of a transaction that may write.
        tenant: Whose memory.
        chain: Locked in this transaction.
    """

    def __init__(self, hand: Hand, *, tenant: str, chain: Chain) -> None:
        self._hand = hand
        self._tenant = tenant
        self._chain = chain

    async def erase(self, ids: Sequence[UUID], *, actor: str, now: datetime, reason: str) -> int:
        """Erase those of these items that are not erased yet. Return how many.

        Text, value, names, sources, links and vectors go, from the text index too; on SQLite the pages of the file
        are overwritten. Id, times, trust and the hash of the content stay. Copies of a page that a backup or a log of
        the database holds are out of reach.

        Args:
            ids: Of items.
            actor: Who erases them.
            now: When.
            reason: Why.
        """
        hand, erased = self._hand, 0
        if not hand.is_postgres:
            await hand.fetch("PRAGMA secure_delete = ON")
        query = _TO_ERASE.format(hand.aside("tenant"), hand.among("$2", "uuid"))
        for start in range(0, len(ids), _CHUNK):
            some = hand.many([hand.id(each) for each in ids[start : start + _CHUNK]])
            rows = await hand.fetch(query, self._tenant, some)
            changed = []
            for seq, item_id, _, _, _, content_hash in rows:
                details = {"hash": bytes(content_hash).hex(), "reason": reason}
                version = self._chain.add("erased", read_id(item_id), actor=actor, at=now, details=details)
                changed.append((State.ERASED.value, ERASED, micros(now), version, self._tenant, seq))
            if not hand.is_postgres:
                # SQLite's text index must be told the words; that of PostgreSQL follows its row.
                await hand.each(_UNINDEX, [(row[0], *row[2:5]) for row in rows])
            await hand.each(_BARE, changed)
            await self._cut([row[0] for row in rows], [row[1] for row in rows])
            erased += len(rows)
        await self._chain.flush()
        if erased and not hand.is_postgres:
            # What was taken out of the text index stays in its segments until they are merged.
            await hand.fetch("INSERT INTO memory_text (memory_text) VALUES ('optimize')")
        return erased

    async def tell(self, stays: Mapping[UUID, Sequence[UUID]], *, actor: str, now: datetime) -> None:
        """Let the sources of items that stay say that some of them are erased.

        Args:
            stays: The items, each with those of its sources that are erased.
            actor: Who erased them.
            now: When.
        """
        sources, versions = [], []
        for item, lost in stays.items():
            details = {"sources": [each.hex for each in lost]}
            version = self._chain.add("source_erased", item, actor=actor, at=now, details=details)
            versions.append((version, self._tenant, self._hand.id(item)))
            sources += [(ERASED, self._tenant, f"memory:{each}", self._hand.id(item)) for each in lost]
        await self._hand.each(_TOLD, sources)
        await self._hand.each("UPDATE memory_items SET version = $1 WHERE tenant = $2 AND id = $3", versions)
        await self._chain.flush()

    async def _cut(self, seqs: Sequence[int], ids: Sequence[object]) -> None:
        """Take away what hangs on these items."""
        hand, tenant = self._hand, self._hand.aside("tenant")
        rows, items = hand.many(seqs), hand.many(ids)
        for table in ("memory_vectors", "memory_sources"):
            statement = f"DELETE FROM {table} WHERE {tenant} = $1 AND seq {hand.among('$2', 'bigint')}"  # noqa: S608 - names
            await hand.fetch(statement, self._tenant, rows)
        for end in ("from_id", "to_id"):
            statement = f"DELETE FROM memory_links WHERE tenant = $1 AND {end} {hand.among('$2', 'uuid')}"  # noqa: S608 - names
            await hand.fetch(statement, self._tenant, items)
