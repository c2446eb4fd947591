"""Values of the store as items hold them: what was put comes back exactly, on either database. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from aurora.kernel.untrusted import UntrustedText
from memory.checking import MAX_DEPTH, MAX_NAMESPACE, MAX_VALUE, SIZES, MemoryInvalid
from memory.hand import micros, read_moment
from memory.namespaces import decode, encode

ROOT = "store"
"""First label of every namespace of the store, as it is kept: no item of another tier can have such a name."""

_INTEGER = 1 << 63
_EXACT = 1e15
"""Whole numbers from here on are written with an exponent, and PostgreSQL reads those as integers."""


@dataclass(slots=True)
class Plain:
    """A value as JSON."""

    value: dict[str, Any]
    is_awkward: bool = False
    """One of the databases would not give it back as it is: it is kept as text."""
    is_tainted: bool = False
    """Some text in it has the type of text from outside."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an item of the store holds."""

    value: dict[str, Any]
    created_at: datetime
    ttl: timedelta | None
    """How long it lives after it was last read or written; `None`: until it is deleted."""


def plain(value: Any) -> Plain:
    """Return a value as JSON; tuples become lists.

    Raises:
        MemoryInvalid: it is no JSON object.
    """
    if not isinstance(value, Mapping):
        raise MemoryInvalid("value must be a JSON object", field="value")
    found = Plain({})
    found.value = _plain(value, found, 0)
    return found


def enveloped(value: Plain, *, created_at: datetime, ttl: timedelta | None) -> str:
    """Return, as JSON, what the item of a value holds: the value itself, and what the store knows of it.

    Raises:
        MemoryInvalid: it is too long.
    """
    held: dict[str, Any] = {"created_at": micros(created_at)}
    if ttl is not None:
        held["ttl_us"] = ttl // timedelta(microseconds=1)
    if value.is_awkward:
        held["json"] = json.dumps(value.value, separators=(",", ":"))
    else:
        held["value"] = value.value
    text = orjson.dumps(held).decode()
    if len(text) > MAX_VALUE:
        raise MemoryInvalid(f"value has {len(text)} characters as JSON; at most {MAX_VALUE} fit", field="value")
    return text


def opened(document: Any) -> Opened:
    """Return what an item holds, from its value, as JSON or read from JSON."""
    held = orjson.loads(document) if isinstance(document, str | bytes) else document
    ttl = held.get("ttl_us")
    return Opened(
        value=json.loads(held["json"]) if "json" in held else held["value"],
        created_at=read_moment(held["created_at"]),
        ttl=None if ttl is None else timedelta(microseconds=ttl),
    )


def tainted(value: Any) -> Any:
    """Return a value of outside content, with the texts in it as what they are; names of fields stay as they were."""
    if isinstance(value, str):
        return UntrustedText(value)
    if isinstance(value, dict):
        return {name: tainted(each) for name, each in value.items()}
    return [tainted(each) for each in value] if isinstance(value, list) else value


def stored_key(key: Any) -> str | None:
    """Return a key as it is kept; `None`: no key can be so."""
    if not isinstance(key, str):
        return None
    try:
        text = encode((key,))[:-1] if key else ""
    except ValueError:
        return None
    return text if len(text) <= SIZES["key"] else None


def read_key(text: str) -> str:
    """Return the key that `stored_key` made into this text."""
    return decode(f"{text}\x01")[0] if "\x02" in text else text


def stored_namespace(namespace: Sequence[Any]) -> str | None:
    """Return a namespace as it is kept; `None`: no namespace can be so."""
    if not all(isinstance(label, str) for label in namespace):
        return None
    try:
        text = encode((ROOT, *namespace))
    except ValueError:
        return None
    return text if len(text) <= MAX_NAMESPACE else None


@lru_cache(maxsize=1024)
def read_namespace(text: str) -> tuple[str, ...]:
    """Return the namespace that `stored_namespace` made into this text."""
    return decode(text)[1:]


def texts_at(value: Mapping[str, Any], paths: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the text that some paths name in a value, a line each; a path that leads nowhere has none.

    Args:
        value: As `plain` made it.
        paths: Each with its parts, as LangGraph reads them; `$` is the whole value.
    """
    from langgraph.store.base.embed import get_text_at_path  # noqa: PLC0415 - `import memory` must stay light

    return "\n".join(
        text for path, parts in paths for text in get_text_at_path(value, "$" if path == "$" else [*parts])
    )


def _plain(value: Any, found: Plain, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, found)
    if isinstance(value, int):
        found.is_awkward |= not -_INTEGER <= value < _INTEGER
        return int(value)
    if isinstance(value, float):
        found.is_awkward |= (
            not math.isfinite(value) or abs(value) >= _EXACT or (not value and math.copysign(1, value) < 0)
        )
        return float(value)
    if depth >= MAX_DEPTH:
        raise MemoryInvalid(f"value is nested deeper than {MAX_DEPTH}", field="value")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise MemoryInvalid("value has a name that is no text", field="value")
        return {_text(name, found): _plain(each, found, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, found, depth + 1) for each in value]
    raise MemoryInvalid(f"value holds a {type(value).__name__}, which JSON has not", field="value")


def _text(value: str, found: Plain) -> str:
    found.is_tainted |= isinstance(value, UntrustedText)
    text = str.__str__(value)
    if not text.isascii() or "\x00" in text:
        found.is_awkward |= "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text)
    return text
