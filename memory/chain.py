"""The chain of what was done to a tenant's memory: each event is bound to the one before, and the head to the last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sqlalchemy import Table, select

from aurora.kernel.canonical import canonical
from aurora.kernel.models.alert import moment
from memory.hand import Hand, document, micros, read_moment
from memory.models import EventModel, HeadModel

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

START = bytes(32)
"""What the first event is bound to."""

_HEADS, _EVENTS = cast("Table", HeadModel.__table__), cast("Table", EventModel.__table__)
_PAGE = 5000
_LOCK = "SELECT number FROM memory_heads WHERE tenant = $1 FOR UPDATE"
_HEAD = (
    "SELECT h.number, h.hash, e.at FROM memory_heads h"
    " LEFT JOIN memory_events e ON e.tenant = h.tenant AND e.number = h.number WHERE h.tenant = $1"
)
_NEW_HEAD = "INSERT INTO memory_heads (tenant, number, hash) VALUES ($1, $2, $3) ON CONFLICT (tenant) DO NOTHING"
_NEXT_HEAD = "UPDATE memory_heads SET number = $2, hash = $3 WHERE tenant = $1"
_NEW_EVENT = (
    "INSERT INTO memory_events (tenant, number, operation, item_id, actor, at, details, previous, hash)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was done."""

    number: int
    operation: str
    item_id: UUID | None
    actor: str
    at: datetime
    details: Mapping[str, Any]
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """Whether a chain is as it was written."""

    ok: bool
    events: int
    """That were read."""
    first_bad: int | None = None
    """Number of the first event that is not what its neighbours say, or that is missing."""
    items: int = 0
    """That were compared with their events; see `memory.auditing`."""
    item: UUID | None = None
    """The first that is not what the events say."""
    why: str = ""


class Chain:
    """The end of a tenant's chain, locked for the length of the caller's transaction. Made by `lock`."""

    def __init__(self, connection: AsyncConnection, *, tenant: str, number: int, head: bytes, at: datetime) -> None:
        self._hand = Hand(connection)
        self._tenant = tenant
        self._added: list[tuple[object, ...]] = []
        self.number = number
        """Of the last event."""
        self.at = at
        """When it was. Nothing is recorded before it, nor retired, whatever a clock says that was set back."""
        self._hash = head

    @classmethod
    async def lock(cls, connection: AsyncConnection, *, tenant: str) -> Chain:
        """Return the chain. Whoever else wants it waits until this transaction has ended."""
        hand = Hand(connection)
        if hand.is_postgres:  # on SQLite whoever may write is alone already
            # A statement of its own: whoever waited for the lock must see the event that was written meanwhile.
            if not await hand.fetch(_LOCK, tenant):
                await hand.fetch(_NEW_HEAD, tenant, 0, START)
                await hand.fetch(_LOCK, tenant)
            rows = await hand.fetch(_HEAD, tenant)
        elif not (rows := await hand.fetch(_HEAD, tenant)):
            await hand.fetch(_NEW_HEAD, tenant, 0, START)
            rows = await hand.fetch(_HEAD, tenant)
        number, head, at = rows[0]
        return cls(connection, tenant=tenant, number=number, head=head, at=read_moment(at or 0))

    def add(
        self,
        operation: str,
        item_id: UUID | None,
        *,
        actor: str,
        at: datetime,
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """Bind a further event to the chain and return its number; `flush` writes it.

        Args:
            operation: What was done; see `memory.models.EventModel`.
            item_id: To which item.
            actor: Who did it.
            at: When; the time of the event before it, if that is later.
            details: JSON. Never text of an item, which may have to be erased: its hash.
        """
        self.number += 1
        self.at = max(self.at, at)
        event = Event(
            number=self.number,
            operation=operation,
            item_id=item_id,
            actor=actor,
            at=self.at,
            details=details or {},
            previous=self._hash,
            hash=b"",
        )
        self._hash = hash_of(event)
        self._added.append(
            (
                self._tenant,
                self.number,
                operation,
                self._hand.id(item_id),
                actor,
                micros(self.at),
                document(event.details),
                event.previous,
                self._hash,
            )
        )
        return self.number

    async def flush(self) -> None:
        """Write what was added, and the new head."""
        if not self._added:
            return
        added, self._added = self._added, []
        await self._hand.at_once(
            self._hand.each(_NEW_EVENT, added),
            self._hand.fetch(_NEXT_HEAD, self._tenant, self.number, self._hash),
        )


def hash_of(event: Event) -> bytes:
    """Return what binds an event to all before it: SHA-256 of the hash before and of its own canonical JSON."""
    own = {
        "number": event.number,
        "operation": event.operation,
        "item": None if event.item_id is None else str(event.item_id),
        "actor": event.actor,
        "at": moment(event.at),
        "details": event.details,
    }
    return hashlib.sha256(event.previous + canonical(own)).digest()


async def events(connection: AsyncConnection, tenant: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
    """Return events in their order, those with a higher number than `after`."""
    query = (
        select(EventModel)
        .with_only_columns(*(column for column in _EVENTS.c if column.name != "tenant"))
        .where(_EVENTS.c.tenant == tenant, _EVENTS.c.number > after)
        .order_by(_EVENTS.c.number)
        .limit(limit)
    )
    return [Event(**row) for row in (await connection.execute(query)).mappings()]


async def verify(connection: AsyncConnection, tenant: str) -> ChainReport:
    """Read the whole chain and find the first event that was edited, removed, moved or cut off."""
    row = (await connection.execute(select(_HEADS.c.number, _HEADS.c.hash).where(_HEADS.c.tenant == tenant))).first()
    number, previous = 0, START
    while page := await events(connection, tenant, after=number, limit=_PAGE):
        for event in page:
            why = _fault(event, number + 1, previous)
            if why:
                return ChainReport(ok=False, events=number, first_bad=number + 1, why=why)
            number, previous = event.number, event.hash
    head = (0, START) if row is None else (row.number, row.hash)
    if head != (number, previous):
        return ChainReport(
            ok=False, events=number, first_bad=number + 1, why=f"the head says {head[0]} events, there are {number}"
        )
    return ChainReport(ok=True, events=number)


def _fault(event: Event, expected: int, previous: bytes) -> str:
    if event.number != expected:
        return f"event {expected} is missing"
    if event.previous != previous:
        return "it does not follow the event before it"
    return "" if hash_of(event) == event.hash else "it is not what was written"
