"""A tenant's memory for people: what they ask and say in words, and what they are shown as JSON values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aurora.kernel.errors import InputError
from aurora.kernel.models import EntityType, ObservableType
from aurora.kernel.observables import observable
from aurora.kernel.untrusted import quoted
from aurora.services.desk import Desk
from aurora.services.outcomes import Document, told

SHOWN = 20
"""Items that a preview lists; the count tells how many there are."""

_TYPES = tuple(dict.fromkeys((*map(str, EntityType), *map(str, ObservableType))))
"""What a subject may be for an alert to name it."""

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, *, now: datetime, option: str) -> datetime:
    """Return the moment that a person names: `2026-06-01`, `2026-06-01T12:30Z`, or `7d` for seven days ago.

    Args:
        text: As it was typed. Without a time zone it is UTC.
        now: The present.
        option: Where it was typed, for the message.

    Raises:
        InputError: it names none.
    """
    if ago := _AGO.fullmatch(text.strip()):
        return _back(now, timedelta(**{_UNITS[ago[2]]: int(ago[1])}), option)
    try:
        read = datetime.fromisoformat(text.strip())
        return (read.replace(tzinfo=UTC) if read.tzinfo is None else read).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{option} is {quoted(text, limit=40)}; give a moment such as 2026-06-01 or 2026-06-01T12:30Z (UTC unless "
            "a zone is named), or how long ago: 90m, 12h, 7d"
        ) from None


def subject_of(text: str) -> str:
    """Return what a fact is about, spelled as alerts spell it, so that triage finds it.

    Raises:
        InputError: it has no type, or its value is none of that type; the message says what would be.
    """
    kind, separator, value = text.strip().partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if not separator or not kind or not value:
        raise InputError(
            f"a fact is about TYPE:VALUE, such as host:web-1, user:j.doe or ip:192.0.2.7; {quoted(text, limit=80)} "
            "has no type"
        )
    if kind in set(ObservableType):
        found = observable(ObservableType(kind), value)
        if found is None:
            raise InputError(f"{quoted(value, limit=80)} is no {kind}, so no alert could name it as one")
        return f"{kind}:{found.value}"
    return f"{kind}:{value.lower()}" if kind in set(EntityType) else f"{kind}:{value}"


async def search_memory(desk: Desk, query: str, *, now: datetime, **filters: Any) -> Document:
    """Return what a memory answers: `hits` with their scores, `left_out` with the reasons, `abstained`.

    Where nothing was found, `without_vector` tells how many items were searched by their words alone.

    Args:
        desk: Whose memory.
        query: In any words.
        now: Ages are reckoned from here.
        filters: As `Desk.search` takes them.

    Raises:
        InputError: the question has no meaning.
    """
    found = await desk.search(query, **filters)
    left = await desk.items(each.id for each in found.left_out)
    return {
        "query": query,
        "for_action": bool(filters.get("for_action")),
        "considered": found.considered,
        "abstained": found.abstained,
        "without_vector": 0 if found.items else await desk.without_vector(),
        "hits": [
            {
                "score": round(hit.score, 4),
                "relevance": round(hit.relevance, 4),
                "parts": {name: round(value, 4) for name, value in hit.parts.items()},
                "why": hit.why,
                **item_document(hit.item, now=now),
            }
            for hit in found.items
        ],
        "left_out": [
            {"id": str(each.id), "reason": each.reason, "text": str.__str__(left[each.id].text)}
            for each in found.left_out
            if each.id in left
        ],
    }


async def describe_item(desk: Desk, id: str, *, now: datetime) -> Document:
    """Return everything that is held of an item: as `item_document`, with `versions`, `links`, `derived`, `events`.

    Raises:
        NotFound: there is no such item.
        Conflict: the text is the end of several ids.
    """
    found = await desk.show(id)
    item = found.item
    return {
        **item_document(item, now=now),
        "versions": [item_document(each, now=now) for each in found.versions],
        "links": [_link(each, item.id, found.beside) for each in found.links],
        "derived": [item_document(each, now=now) for each in found.derived],
        "reads_like": list(found.reads_like),
        "events": [
            {
                "number": each.number,
                "operation": each.operation,
                "actor": each.actor,
                "time": told(each.at),
                "details": dict(each.details),
                "hash": each.hash.hex(),
            }
            for each in found.events
        ],
    }


async def list_items(desk: Desk, *, now: datetime, **filters: Any) -> list[Document]:
    """Return items in whose place nothing else stands, the latest record first.

    Args:
        desk: Whose memory.
        now: Ages are reckoned from here.
        filters: As `Desk.list` takes them.

    Raises:
        InputError: there is no such tier or state.
    """
    return [item_document(each, now=now) for each in await desk.list(**filters)]


async def add_fact(
    desk: Desk,
    fact: tuple[str, str, str],
    *,
    now: datetime,
    reason: str,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Document:
    """State a fact about a thing and return what became of it.

    Args:
        desk: Whose memory, and who says so.
        fact: Subject, predicate and object.
        now: The fact is true from here unless another moment is named.
        reason: Why it is true.
        valid_from: Since when it is true.
        valid_to: Until when it is true.

    Raises:
        InputError: a part is blank, the subject has no type, or the fact would be true at no moment.
    """
    predicate, said = (" ".join(part.split()) for part in fact[1:])
    for name, part in (("predicate", predicate), ("object", said)):
        if not part:
            raise InputError(f"the {name} of a fact must not be blank; --fact takes three: 'host:web-1' is 'a scanner'")
    if not reason.strip():
        raise InputError("say why with --reason: whoever reads the fact in a year will ask")
    if valid_to is not None and valid_to <= (valid_from or now):
        since = "now; name --valid-from, too" if valid_from is None else "--valid-from"
        raise InputError(f"the fact would be true at no moment: --valid-to is not after {since}")
    subject = subject_of(fact[0])
    stated = await desk.state_fact(subject, predicate, said, reason=reason, valid_from=valid_from, valid_to=valid_to)
    kept = kept_document(stated)
    kind = subject.partition(":")[0]
    if kind not in _TYPES:
        kept["reasons"].append(
            f"no alert names anything of the type {quoted(kind, limit=40)}, so triage never shows it; types that "
            f"alerts have: {', '.join(_TYPES)}"
        )
    return kept


async def add_note(desk: Desk, title: str, text: str) -> Document:
    """Keep how something is done here and return what became of it.

    Raises:
        InputError: title or text is blank, or the title too long.
    """
    return kept_document(await desk.note(" ".join(title.split()), text.strip()))


async def approve_item(desk: Desk, id: str, *, now: datetime) -> Document:
    """Let an item out of quarantine and return it.

    Raises:
        NotFound: there is no such item.
        Conflict: it is not in quarantine.
    """
    (item,) = await desk.find([id])
    return item_document(await desk.approve(item.id), now=now)


async def forget_items(
    desk: Desk,
    ids: Sequence[str],
    *,
    now: datetime,
    reason: str,
    source: str | None = None,
    before: datetime | None = None,
    is_dry: bool,
) -> Document:
    """Erase items and return how many (`items`); dry, only how many it would be. `shown` are the latest of them.

    Raises:
        InputError: nothing is named, or no reason.
        NotFound: there is no such item; nothing was erased.
    """
    if not ids and source is None and before is None:
        raise InputError("say what to erase: ids of items, --source URI, or --before TIME")
    _check_reason(reason)
    named = [item.id for item in await desk.find(ids)] if ids else []
    count, latest = await desk.forgettable(named, source=source, before=before, limit=SHOWN)
    shown = [item_document(each, now=now) for each in latest]
    if not is_dry:
        count = await desk.forget(named, source=source, before=before, reason=reason)
        shown = []  # what was erased is told no more
    return {"dry_run": is_dry, "items": count, "shown": shown}


async def roll_back(
    desk: Desk,
    *,
    now: datetime,
    reason: str,
    source: str | None = None,
    after: datetime | None = None,
    is_dry: bool,
) -> Document:
    """Take back what came from a source, or was recorded after a moment; dry, only tell what it would be.

    Raises:
        InputError: neither a source nor a moment is given, or no reason.
    """
    if source is None and after is None:
        raise InputError("say what to take back: --source URI, or --after TIME, or both")
    _check_reason(reason)
    items = await desk.rollback(source=source, after=after, reason=reason, dry_run=is_dry)
    return {
        "dry_run": is_dry,
        "items": len(items),
        "shown": [item_document(each, now=now) for each in items[:SHOWN]],
    }


async def memory_stats(desk: Desk) -> Document:
    """Return a memory in numbers."""
    found = await desk.stats()
    taken_away = sum(found.by_state.get(state, 0) for state in ("rolled_back", "erased"))
    return {
        "by_tier": dict(found.by_tier),
        "by_state": dict(found.by_state),
        "by_trust": dict(found.by_trust),
        "superseded": found.superseded - taken_away,  # those stand no more either, but nothing took their place
        "sources": found.sources,
        "oldest": told(found.oldest),
        "newest": told(found.newest),
        "vectors": dict(found.vectors),
        "without_vector": await desk.without_vector(),
    }


async def verify_memory(desk: Desk) -> Document:
    """Return whether events and items are as they were written, and if not, which first is not."""
    found = await desk.verify()
    return {
        "ok": found.ok,
        "events": found.events,
        "items": found.items,
        "first_bad": found.first_bad,
        "item": None if found.item is None else str(found.item),
        "why": found.why,
    }


async def reembed_memory(
    desk: Desk, *, drop: bool = False, on_progress: Callable[[int, int], None] | None = None
) -> Document:
    """Make the vectors that items lack under the embedder of the settings, and return how many were made.

    Args:
        desk: Whose memory.
        drop: Then delete the vectors of other embedders (`dropped`).
        on_progress: Called with items that are done, and items in all.
    """

    def report(far: Any) -> None:
        if on_progress is not None:
            on_progress(far.done, far.done + far.remaining)

    far, dropped = await desk.reembed(drop=drop, report=report)
    return {"embedder": far.embedder, "done": far.done, "remaining": far.remaining, "dropped": dropped}


def item_document(item: Any, *, now: datetime) -> Document:
    """Return an item as JSON values. Its text is somebody else's: clean it before it is shown."""
    return {
        "id": str(item.id),
        "tier": item.tier.value,
        "kind": item.kind,
        "text": str.__str__(item.text),
        "trust": item.trust.name.lower(),
        "state": item.state.value,
        "subject": item.subject,
        "predicate": item.predicate,
        "object": item.object,
        "namespace": list(item.namespace),
        "key": item.key,
        "value": dict(item.value),
        "sources": [{"uri": each.uri, "provenance": each.provenance.value, "span": each.span} for each in item.sources],
        "valid_from": told(item.valid_from),
        "valid_to": told(item.valid_to),
        "recorded_at": told(item.recorded_at),
        "retired_at": told(item.retired_at),
        "superseded_by": None if item.superseded_by is None else str(item.superseded_by),
        "expires_at": told(item.expires_at),
        "age_days": max(0, (now - item.recorded_at).days),
        "importance": item.importance,
        "tokens": item.tokens,
        "content_sha256": item.content_hash.hex(),
        "version": item.version,
    }


def kept_document(kept: Any) -> Document:
    """Return what became of an item that was to be remembered."""
    return {
        "id": str(kept.id),
        "fate": kept.fate.value,
        "trust": kept.trust.name.lower(),
        "superseded": [str(each) for each in kept.superseded],
        "near": [str(each) for each in kept.near],
        "redacted": list(kept.redacted),
        "reasons": list(kept.reasons),
    }


def _link(link: tuple[str, UUID, UUID, float | None], id: UUID, beside: Mapping[UUID, Any]) -> Document:
    relation, of, to, score = link
    other = to if of == id else of
    return {
        "relation": relation,
        "direction": "to" if of == id else "from",
        "id": str(other),
        "text": str.__str__(beside[other].text) if other in beside else None,
        "score": score,
    }


def _back(now: datetime, by: timedelta, option: str) -> datetime:
    try:
        return now - by
    except OverflowError:
        raise InputError(f"{option} is before the first year") from None


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InputError("say why with --reason: the chain of events keeps it for whoever asks later")
