"""Conditions that let the database leave out most of what a filter will not pass. Pure.

They pass everything that the filter passes, and more: `memory.store_ops.matches` has the last word. Names of fields and
what they are compared with are values of the statement, never part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 2
"""Conditions; a statement has room for nine values, and the store needs five of them."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}", re.ASCII)
_SIGNS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_EXACT = 1 << 53
"""Below this both databases compare whole numbers and others as Python does."""

_TEXT_IN_SQLITE = "json_extract(i.value, {0}) = {1}"
_NUMBER_IN_SQLITE = "(json_type(i.value, {0}) = 'text' OR json_extract(i.value, {0}) {2} {1})"
_TEXT_IN_POSTGRES = "i.value -> 'value' ->> {0}::text = {1}::text"
_NUMBER_IN_POSTGRES = (
    "CASE jsonb_typeof(i.value -> 'value' -> {0}::text) WHEN 'number'"
    " THEN (i.value -> 'value' ->> {0}::text)::double precision {2} {1}::double precision"
    " ELSE jsonb_typeof(i.value -> 'value' -> {0}::text) IN ('string', 'boolean') END"
)


def narrowed(wanted: Mapping[str, Any] | None, *, is_postgres: bool, first: int) -> tuple[str, tuple[object, ...]]:
    """Return conditions on a row `i` of `memory_items`, each after an AND, and their values.

    Args:
        wanted: The filter.
        is_postgres: Else it is SQLite.
        first: Number of the first mark that is free.
    """
    said: list[str] = []
    values: list[object] = []
    for name, sign, other in _simple(wanted or {})[:MOST]:
        path, value = f"${first + len(values)}", f"${first + len(values) + 1}"
        if isinstance(other, str):
            test = _TEXT_IN_POSTGRES if is_postgres else _TEXT_IN_SQLITE
        else:
            test = _NUMBER_IN_POSTGRES if is_postgres else _NUMBER_IN_SQLITE
        # What is kept as text in whole is nobody's to leave out.
        kept = "i.value -> 'json' IS NOT NULL" if is_postgres else "json_type(i.value, '$.json') IS NOT NULL"
        said.append(f" AND ({kept} OR {test.format(path, value, sign)})")
        values += [name if is_postgres else f"$.value.{name}", other]
    return "".join(said), tuple(values)


def _simple(wanted: Mapping[str, Any]) -> Sequence[tuple[str, str, str | float]]:
    """Return the comparisons that both databases make as Python does."""
    found: list[tuple[str, str, str | float]] = []
    for name, condition in wanted.items():
        if not _NAME.fullmatch(str(name)):
            continue
        is_operators = isinstance(condition, Mapping) and any(str(each).startswith("$") for each in condition)
        for operator, other in condition.items() if is_operators else [("$eq", condition)]:
            sign = _SIGNS.get(operator)
            if sign is None:
                continue
            if isinstance(other, str) and sign == "=" and other.isascii() and "\x00" not in other:
                found.append((str(name), sign, str.__str__(other)))
            elif isinstance(other, int | float) and abs(other) < _EXACT:
                found.append((str(name), sign, float(other)))
    return found
