"""Which places of a record no evidence comes from: what triage did not look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

LARGEST = 256 * 1024
"""Characters: walking through a longer record takes longer than a report should."""
_MOST = 4000
"""Places that are looked at."""


def unread(raw: str, read: Iterable[str]) -> list[str] | None:
    """Return the places of a JSON record that hold a value and gave no evidence, in record order.

    JSON that stands as text within a record counts as part of it. Keys that begin with `_` were
    added by whoever shipped the record, and are left out.

    Args:
        raw: The record.
        read: JSON pointers of the values that became evidence.

    Returns:
        JSON pointers; `None` if the record is too long, or no JSON.
    """
    if len(raw) > LARGEST:
        return None
    try:
        document = orjson.loads(raw)
    except ValueError:
        return None
    seen = set(read)
    places: list[str] = []
    stack: list[tuple[str, Any]] = [("", document)]
    while stack and len(places) < _MOST:
        place, value = stack.pop()
        if place in seen:
            continue
        inner = _inside(value)
        if isinstance(inner, dict):
            found = [(f"{place}/{_escaped(key)}", each) for key, each in inner.items() if not key.startswith("_")]
            stack += reversed(found)
        elif isinstance(inner, list):
            stack += reversed([(f"{place}/{number}", each) for number, each in enumerate(inner)])
        elif value not in (None, "", False):
            places.append(place)
    return places


def _inside(value: Any) -> Any:
    """Return what a text holds that is JSON itself, and any other value as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
