"""What is done to new items before the database is asked: checked, made storable, rid of secrets, hashed, counted."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from aurora.kernel.evidence import Provenance
from memory.checking import MAX_SPAN, MAX_URI, check_actor, check_name, check_sizes, checked
from memory.guard.redaction import lines_of, redact_value
from memory.guard.trust import MEMORY, memory_ids
from memory.items import MAX_TEXT, Item, NewItem, Source, Trust
from memory.namespaces import encode
from memory.ports import Redactor
from memory.terms import exact_terms

_AT_ONCE = 32
"""Items after which other work gets its turn: some 3 ms."""
_BETWEEN = "\n" * 5
"""More than any pattern of a redactor reaches over."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(slots=True)
class Prepared:
    """A new item, ready to be written."""

    number: int
    """Its place in what was handed in, counted from 1."""
    id: UUID | None
    tier: str
    kind: str
    text: str
    terms: str
    value: str
    """As JSON."""
    subject: str | None
    predicate: str | None
    object: str | None
    namespace: str
    """As it is stored."""
    key: str | None
    asked: Trust | None
    sources: tuple[Source, ...]
    valid_from: datetime | None
    valid_to: datetime | None
    importance: float
    expires_at: datetime | None
    links: tuple[tuple[str, UUID], ...]
    content_hash: bytes
    redacted: tuple[str, ...]
    tokens: int = 0


async def prepare(items: Sequence[NewItem], *, redactor: Redactor) -> list[Prepared]:
    """Return the items as they are written, but for their tokens. Other work gets its turn between them.

    Raises:
        MemoryInvalid: an item cannot be kept; the message names its number and the field.
    """
    prepared: list[Prepared] = []
    for number, item in enumerate(items, 1):
        prepared.append(_prepared(item, number, redactor))
        if not number % _AT_ONCE:
            await asyncio.sleep(0)
    return prepared


def storable(text: str) -> str:
    r"""Return text that both databases take: NUL and lone surrogates made visible as `\uXXXX`."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def checked_actor(actor: str) -> str:
    """Return who did it, as an event keeps it.

    Raises:
        MemoryInvalid: nobody is named, or the name is too long.
    """
    check_actor(actor)
    return storable(actor)


def content_hash_of(item: Item) -> bytes:
    """Return what `Item.content_hash` must be by the item's content; another one says that it was altered."""
    return content_hash(
        item.tier.value,
        item.kind,
        item.namespace,
        item.key,
        item.subject,
        item.predicate,
        item.object,
        str.__str__(item.text),
        item.value,
    )


def content_hash(*content: Any) -> bytes:
    """Return the hash of what makes two items the same: see `Item.content_hash`. Equal numbers have one spelling."""
    *named, value = content
    return hashlib.sha256(orjson.dumps((*named, _numbered(value)), option=orjson.OPT_SORT_KEYS)).digest()


def _numbered(value: Any) -> Any:
    """Return a value with its numbers as any database gives them back: PostgreSQL has one type for all of them."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int | float):
        if isinstance(value, int) and -_EXACT < value < _EXACT:
            return value
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < _EXACT else number
    if isinstance(value, Mapping):
        return {name: _numbered(each) for name, each in value.items()}
    return [_numbered(each) for each in value]


_EXACT = 1 << 53
"""From here on not every integer is a number of 64 bits with a point."""


def _prepared(item: NewItem, number: int, redactor: Redactor) -> Prepared:
    value = checked(item, number)
    text, subject, predicate, said, key = (
        None if each is None else str.__str__(each)
        for each in (item.text, item.subject, item.predicate, item.object, item.key)
    )
    sources: Sequence[Source] = [_spelled(source) for source in item.sources]
    kinds: set[str] = set()
    # Seldom is there a secret at all: one look at everything tells.
    name = (*map(str.__str__, item.namespace), key)
    parts = (text, subject, predicate, said, *_words_of(sources), *lines_of(value), *name)
    whole = _BETWEEN.join([part for part in parts if part])
    if not whole.isascii() or "\x00" in whole or not (key or "").isascii():
        text, subject, predicate, said, key, value = (
            _storable(each) for each in (text, subject, predicate, said, key, value)
        )
        sources = [_storable_source(source) for source in sources]
        whole = storable(whole)
    if redactor(whole).kinds:
        check_name(number, _BETWEEN.join(filter(None, name)), redactor)
        text, subject, predicate, said = (
            None if each is None else _clean(each, redactor, kinds) for each in (text, subject, predicate, said)
        )
        value = redact_value(value, redactor, kinds=kinds)
        sources = [_redacted_source(source, redactor, kinds) for source in sources]
    # What stands for a secret may be longer than it was.
    text, said = (text or "")[:MAX_TEXT], None if said is None else said[:MAX_TEXT]
    document = orjson.dumps(value).decode()
    check_sizes(number, subject=subject, predicate=predicate, key=key, value=document)
    searched = text if subject is None else " ".join(filter(None, (text, subject, said)))
    return Prepared(
        number=number,
        id=item.id,
        tier=item.tier.value,
        kind=item.kind,
        text=text,
        terms=exact_terms(searched),
        value=document,
        subject=subject,
        predicate=predicate,
        object=said,
        namespace=encode(item.namespace),
        key=key,
        asked=item.trust,
        sources=tuple(sources if len(sources) == 1 else _each_once(sources)),
        valid_from=item.valid_from,
        valid_to=item.valid_to,
        importance=float(item.importance),
        expires_at=item.expires_at,
        links=tuple(dict.fromkeys(item.links)),
        content_hash=content_hash(
            item.tier.value, item.kind, item.namespace, key, subject, predicate, said, text, value
        ),
        redacted=tuple(sorted(kinds)),
    )


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value


def _clean(text: str, redactor: Redactor, kinds: set[str]) -> str:
    redacted = redactor(text)
    kinds.update(redacted.kinds)
    return redacted.text


def _words_of(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        yield source.uri
        if source.span is not None:
            yield source.span


def _spelled(source: Source) -> Source:
    """Return a source that is an item under its one name, so that whoever takes that back finds what came of it."""
    ids = memory_ids((source,))
    return replace(source, uri=f"{MEMORY}{ids[0]}") if ids else source


def _storable_source(source: Source) -> Source:
    span = None if source.span is None else storable(source.span)
    return Source(uri=storable(source.uri), provenance=source.provenance, span=span)


def _redacted_source(source: Source, redactor: Redactor, kinds: set[str]) -> Source:
    span = None if source.span is None else _clean(source.span, redactor, kinds)[:MAX_SPAN]
    return Source(uri=_clean(source.uri, redactor, kinds)[:MAX_URI], provenance=source.provenance, span=span)


def _each_once(sources: Sequence[Source]) -> list[Source]:
    """Return each URI once; of several with the same, the least trusted."""
    kept: dict[str, Source] = {}
    for source in sources:
        known = kept.get(source.uri)
        if known is None or _LEAST_FIRST.index(source.provenance) < _LEAST_FIRST.index(known.provenance):
            kept[source.uri] = source
    return [*kept.values()]


_LEAST_FIRST = (
    Provenance.ATTACKER_WRITABLE,
    Provenance.SANDBOX,
    Provenance.SENSOR,
    Provenance.IDENTITY_SERVER,
    Provenance.AGENT_DERIVED,
    Provenance.HUMAN,
)
