"""What can be remembered at all: sizes, kinds, moments, JSON. Each fault names the item and the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from aurora.kernel.errors import InputError
from aurora.kernel.evidence import Provenance
from memory.items import MAX_TEXT, NewItem, Tier, Trust
from memory.namespaces import encode
from memory.ports import Redactor

KINDS: Mapping[Tier, frozenset[str]] = MappingProxyType(
    {
        Tier.EPISODIC: frozenset({"case", "run", "decision", "outcome", "thread"}),
        Tier.SEMANTIC: frozenset({"fact", "indicator", "asset"}),
        Tier.PROCEDURAL: frozenset({"note"}),
        Tier.STORE: frozenset({"value"}),
    }
)
LINKS = frozenset({"evidence", "corrects", "summarises", "near"})

MAX_VALUE = 262_144
"""Characters of an item's value as JSON."""
MAX_DEPTH = 32
"""Of a value; what a parser of either database reads without complaint."""
MAX_SOURCES = 200
MAX_LINKS = 200
MAX_URI = 400
MAX_SPAN = 200
MAX_ACTOR = 100
MAX_NAMESPACE = 800
"""As it is stored, with what ends each label."""
SIZES = MappingProxyType({"subject": 400, "predicate": 100, "object": MAX_TEXT, "key": 400, "value": MAX_VALUE})

_INTEGER = 1 << 63
_TRUSTS = frozenset(Trust)


class MemoryInvalid(InputError):
    """What is to be remembered cannot be kept as it is; nothing of the batch was written."""

    code = "aurora.input.memory"


def checked(item: NewItem, number: int) -> dict[str, Any]:
    """Return the value of an item as plain JSON, if the item can be kept.

    Args:
        item: What is to be remembered.
        number: Its place in the batch, counted from 1.

    Raises:
        MemoryInvalid: it cannot; the message names number and field.
    """
    _check_kind(item, number)
    _check_text(item, number)
    _check_sources(item, number)
    _check_numbers(item, number)
    given: Any = item.value
    if not isinstance(given, Mapping):
        raise _fault(number, "value", "must be a JSON object")
    try:
        value: dict[str, Any] = {} if not given else _plain(given, 0)
    except _NotJson as fault:
        raise _fault(number, "value", f"is no JSON: {fault}") from None
    return value


def check_sizes(number: int, **texts: str | None) -> None:
    """Check what became of texts in preparing them.

    Raises:
        MemoryInvalid: one is longer than what is kept.
    """
    for field, text in texts.items():
        if text is not None and len(text) > SIZES[field]:
            raise _fault(number, field, f"has {len(text)} characters as it is kept; {SIZES[field]} fit")


def check_name(number: int, name: str, redactor: Redactor) -> None:
    """Check namespace and key, which stay as they are: without a secret two names might be one.

    Raises:
        MemoryInvalid: there is a secret in them.
    """
    if kinds := redactor(name).kinds:
        raise _fault(number, "key", f"or namespace holds a secret ({', '.join(kinds)}): name the item without it")


def check_actor(actor: Any) -> None:
    """Check who does something.

    Raises:
        MemoryInvalid: nobody is named, or the name is too long.
    """
    if not isinstance(actor, str) or not actor.strip() or _size(actor) > MAX_ACTOR:
        raise MemoryInvalid(
            f"actor must have 1 to {MAX_ACTOR} characters: who remembers, such as `user:<name>`", field="actor"
        )


def _fault(number: int, field: str, message: str) -> MemoryInvalid:
    return MemoryInvalid(f"item {number}: {field} {message}", item=number, field=field)


def _check_kind(item: NewItem, number: int) -> None:
    tier: Any = item.tier
    if not isinstance(tier, Tier):
        raise _fault(number, "tier", f"is none of {', '.join(Tier)}")
    if item.kind not in KINDS[item.tier]:
        raise _fault(number, "kind", f"is not known in tier {item.tier}; it has {', '.join(sorted(KINDS[item.tier]))}")
    if item.trust is not None and item.trust not in _TRUSTS:
        raise _fault(number, "trust", "is no degree of trust")


def _check_text(item: NewItem, number: int) -> None:
    text: Any = item.text
    if not isinstance(text, str) or not text.strip():
        raise _fault(number, "text", "is empty; it is what the item is found by")
    if len(text) > MAX_TEXT:
        raise _fault(
            number, "text", f"has {len(text)} characters; at most {MAX_TEXT}: keep a summary, and name the source"
        )
    for field, text in (
        ("subject", item.subject),
        ("predicate", item.predicate),
        ("object", item.object),
        ("key", item.key),
    ):
        if text is not None and not (isinstance(text, str) and text.strip() and len(text) <= SIZES[field]):
            raise _fault(number, field, f"must be text of 1 to {SIZES[field]} characters, or None")
    if item.subject is None and (item.predicate is not None or item.object is not None):
        raise _fault(number, "subject", "is missing: a predicate and an object are said of something")
    try:
        size = len(encode(item.namespace))
    except (TypeError, ValueError) as fault:
        raise _fault(number, "namespace", str(fault)) from None
    if size > MAX_NAMESPACE:
        raise _fault(number, "namespace", f"has {size} characters as it is kept; {MAX_NAMESPACE} fit")


def _check_sources(item: NewItem, number: int) -> None:
    if not item.sources:
        raise _fault(number, "sources", "is empty; name at least one, it bounds how far the item is trusted")
    if len(item.sources) > MAX_SOURCES:
        raise _fault(number, "sources", f"has {len(item.sources)} entries; at most {MAX_SOURCES}")
    for place, source in enumerate(item.sources, 1):
        if not source.uri.strip() or _size(source.uri) > MAX_URI:
            raise _fault(number, f"sources.{place}.uri", f"must have 1 to {MAX_URI} characters")
        if not isinstance(source.provenance, Provenance):
            raise _fault(number, f"sources.{place}.provenance", f"is none of {', '.join(Provenance)}")
        if source.span is not None and _size(source.span) > MAX_SPAN:
            raise _fault(number, f"sources.{place}.span", f"has more than {MAX_SPAN} characters")


def _size(text: str) -> int:
    """Return the characters of a text as it is kept: what no database takes is made visible, and longer."""
    if text.isascii() and "\x00" not in text:
        return len(text)
    return len(text) + sum((_VISIBLE - 1) * (char == "\x00" or "\ud800" <= char <= "\udfff") for char in text)


_VISIBLE = len("\\u0000")


def _check_numbers(item: NewItem, number: int) -> None:
    importance: Any = item.importance
    if not isinstance(importance, int | float) or not 0.0 <= importance <= 1.0:
        raise _fault(number, "importance", "must be a number from 0 to 1")
    moment: Any
    for field, moment in (
        ("valid_from", item.valid_from),
        ("valid_to", item.valid_to),
        ("expires_at", item.expires_at),
    ):
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise _fault(number, field, "must be a moment with a time zone")
    if item.valid_from is not None and item.valid_to is not None and item.valid_to < item.valid_from:
        raise _fault(number, "valid_to", "is before valid_from")
    if len(item.links) > MAX_LINKS:
        raise _fault(number, "links", f"has {len(item.links)} entries; at most {MAX_LINKS}")
    for relation, _ in item.links:
        if relation not in LINKS:
            raise _fault(number, "links", f"names a relation that is none of {', '.join(sorted(LINKS))}")


class _NotJson(Exception):
    """A value is no JSON; the message says why, and holds nothing of the value."""


def _plain(value: Any, depth: int) -> Any:
    """Return a value as it will be read back from JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return _number(value)
    if depth >= MAX_DEPTH:
        raise _NotJson(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise _NotJson("a name is no text")
        return {str.__str__(name): _plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in value]
    raise _NotJson(f"a {type(value).__name__} is none of its types")


def _number(value: float) -> int | float:
    if isinstance(value, int):
        if not -_INTEGER <= value < _INTEGER:
            raise _NotJson("an integer does not fit 64 bits")
        return int(value)
    if not math.isfinite(value):
        raise _NotJson("a number is not finite")
    return float(value)
