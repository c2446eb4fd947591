"""A tenant's whole memory as JSON, record by record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Table, select

from aurora.kernel.models.alert import moment
from memory import chain
from memory.items import Item, Json
from memory.models import LinkModel
from memory.reading import Items

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_LINKS = cast("Table", LinkModel.__table__)
_PAGE = 500


async def records(connection: AsyncConnection, tenant: str) -> AsyncIterator[Json]:
    """Yield items with their sources, then links, then events, each in the order in which they were written.

    Every record names its `record`: `item`, `link` or `event`. Texts are as they are kept: from outside, unquoted.
    """
    async for page in Items(connection, tenant=tenant).pages(size=_PAGE):
        for item in page:
            yield {"record": "item", **_item(item)}
    query = (
        select(_LINKS.c.from_id, _LINKS.c.relation, _LINKS.c.to_id, _LINKS.c.score)
        .where(_LINKS.c.tenant == tenant)
        .order_by(_LINKS.c.from_id, _LINKS.c.relation, _LINKS.c.to_id)
    )
    for from_id, relation, to_id, score in await connection.execute(query):
        yield {"record": "link", "from": str(from_id), "relation": relation, "to": str(to_id), "score": score}
    last = 0
    while page_of_events := await chain.events(connection, tenant, after=last, limit=_PAGE):
        for event in page_of_events:
            yield {"record": "event", **_event(event)}
        last = page_of_events[-1].number


def _item(item: Item) -> Json:
    return {
        "id": str(item.id),
        "tier": item.tier.value,
        "kind": item.kind,
        "text": str.__str__(item.text),
        "value": dict(item.value),
        "sources": [
            {"uri": source.uri, "provenance": source.provenance.value, "span": source.span} for source in item.sources
        ],
        "trust": item.trust.name.lower(),
        "state": item.state.value,
        "subject": item.subject,
        "predicate": item.predicate,
        "object": item.object,
        "namespace": list(item.namespace),
        "key": item.key,
        "valid_from": moment(item.valid_from),
        "valid_to": _moment(item.valid_to),
        "recorded_at": moment(item.recorded_at),
        "retired_at": _moment(item.retired_at),
        "superseded_by": None if item.superseded_by is None else str(item.superseded_by),
        "importance": item.importance,
        "expires_at": _moment(item.expires_at),
        "tokens": item.tokens,
        "content_hash": item.content_hash.hex(),
        "version": item.version,
    }


def _event(event: chain.Event) -> dict[str, Any]:
    return {
        "number": event.number,
        "operation": event.operation,
        "item": None if event.item_id is None else str(event.item_id),
        "actor": event.actor,
        "at": moment(event.at),
        "details": dict(event.details),
        "previous": event.previous.hex(),
        "hash": event.hash.hex(),
    }


def _moment(value: datetime | None) -> str | None:
    return None if value is None else moment(value)
