"""Whether a memory is as it was written: the chain of events by itself, then each item by the events about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from memory import chain
from memory.chain import ChainReport, Event
from memory.items import Item, State
from memory.preparing import content_hash_of
from memory.reading import Items

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_PAGE = 2000
_WRITES = ("stored", "quarantined")


@dataclass(slots=True)
class _Told:
    """What events say of an item."""

    hash: str
    trust: int
    is_held_back: bool
    """It went to quarantine, and nobody let it out."""
    is_erased: bool = False


async def audit(connection: AsyncConnection, tenant: str) -> ChainReport:
    """Read a tenant's events and items, and find the first that is not as it was written.

    An item must have been stored by an event, with the content and the trust that it names. What an event says was
    erased has no content any more, and nothing else is without; what went to quarantine is there until an event lets
    it out.

    Args:
        connection: In a transaction that only reads.
        tenant: Whose memory.
    """
    report = await chain.verify(connection, tenant)
    if not report.ok:
        return report
    told = await _told(connection, tenant)
    async for page in Items(connection, tenant=tenant).pages(size=_PAGE):
        for item in page:
            if why := _fault(item, told.pop(item.id, None)):
                return replace(report, ok=False, item=item.id, why=why)
            report = replace(report, items=report.items + 1)
    for missing in told:
        return replace(report, ok=False, item=missing, why="an event stored it, and it is gone")
    return report


async def _told(connection: AsyncConnection, tenant: str) -> dict[UUID, _Told]:
    told: dict[UUID, _Told] = {}
    last = 0
    while page := await chain.events(connection, tenant, after=last, limit=_PAGE):
        for event in page:
            _take(told, event)
        last = page[-1].number
    return told


def _take(told: dict[UUID, _Told], event: Event) -> None:
    if event.item_id is None:
        return
    if event.operation in _WRITES:
        details: Mapping[str, object] = event.details
        trust = details.get("trust")
        told[event.item_id] = _Told(
            hash=str(details.get("hash")),
            trust=trust if isinstance(trust, int) else -1,
            is_held_back=event.operation == "quarantined",
        )
    elif (known := told.get(event.item_id)) is not None:
        known.is_erased |= event.operation == "erased"
        known.is_held_back &= event.operation != "approved"


def _fault(item: Item, told: _Told | None) -> str:
    if told is None:
        return "no event stored it"
    if (item.state is State.ERASED) != told.is_erased:
        return "it was not erased" if item.state is State.ERASED else "it was erased, and has content"
    if told.is_held_back and item.state in {State.ACTIVE, State.ARCHIVED}:
        return "it is in quarantine, and nobody let it out"
    if int(item.trust) != told.trust:
        return f"it was not trusted as {item.trust.name.lower()}"
    if item.state is State.ERASED:
        return ""
    is_whole = item.content_hash.hex() == told.hash and content_hash_of(item) == item.content_hash
    return "" if is_whole else "its content is not what was stored"
