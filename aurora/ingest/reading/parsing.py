"""One piece of text becomes a document, or the exact reason why it cannot."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from aurora.ingest.reading.records import Fault
from aurora.ingest.reading.structure import is_deeper

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH = 64
"""Levels of nesting in a record. Real alerts have up to 12; what walks documents may recurse."""

_NAN = re.compile(rb"-?(?:NaN|Infinity)\b")
_SPACE_BEFORE_COLON = re.compile(rb"[ \t\r\n]:")
_KEY_END = re.compile(rb'"[ \t\r\n]*+:')
_ESCAPED_KEY_END = re.compile(rb'\\"[ \t\r\n]*+:')
_BACKSLASH_AT_KEY_END = re.compile(rb'\\\\"[ \t\r\n]*+:')
_SHOWN_CHARS = 80
_INTEGERS = range(-(2**63), 2**64)  # what a signed or unsigned field of 64 bits holds
_MAX_INTEGER_CHARS = 20  # of the largest unsigned one, and of the smallest signed one with its sign
_ALMOST_TOO_LARGE = 2.0**63  # orjson makes a float of an integer that is too large: never a smaller one
_DOUBTFUL = 1 << 60  # more keys than a record can have


def parse(raw: bytes) -> dict[str, Any] | Fault:
    """Return the object that `raw` holds, or what is wrong with it. Never raises for bad input.

    What orjson lets pass in silence is refused here: the same key twice in one object (the
    last would win), integers beyond 64 bits (they would become floats), and objects nested
    deeper than `MAX_DEPTH`.
    """
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _syntax_fault(raw, error)
    if type(document) is not dict:
        return Fault("not_object", f"a record must be a JSON object, this is {_kind(document)}")
    try:
        keys = _count_keys(document.values(), len(document), MAX_DEPTH)
    except RecursionError:
        return too_deep()
    if keys != _count_written_keys(raw):
        return exact_fault(raw) or document
    return document


def _count_keys(values: Iterable[Any], keys: int, levels: int) -> int:
    """Return `keys` plus those of all objects in `values`; at least `_DOUBTFUL` if a number may be too large.

    Raises:
        RecursionError: there are more than `levels` levels.
    """
    if not levels:
        raise RecursionError
    for value in values:
        kind = type(value)
        if kind is str or kind is int:
            continue
        if kind is dict:
            keys = _count_keys(value.values(), keys + len(value), levels - 1)
        elif kind is list:
            keys = _count_keys(value, keys, levels - 1)
        elif kind is float and not -_ALMOST_TOO_LARGE < value < _ALMOST_TOO_LARGE:
            keys += _DOUBTFUL
    return keys


def _count_written_keys(raw: bytes) -> int:
    r"""Return at least the number of keys in the JSON text `raw`, or -1 if that takes a closer look.

    Every key ends with `":`. A string may hold the same two bytes: after a backslash, which
    is subtracted, or where it starts with a colon, which makes the result too large. A key
    that ends with a backslash (`\\":`) must not be subtracted. So a result equal to the
    number of keys in the parsed document proves that no key was lost, and a different one
    proves nothing.
    """
    if b" :" in raw or ((b"\n" in raw or b"\t" in raw or b"\r" in raw) and _SPACE_BEFORE_COLON.search(raw)):
        if _BACKSLASH_AT_KEY_END.search(raw):
            return -1
        return len(_KEY_END.findall(raw)) - len(_ESCAPED_KEY_END.findall(raw))
    if b"\\" not in raw:
        return raw.count(b'":')
    return -1 if b'\\\\":' in raw else raw.count(b'":') - raw.count(b'\\":')


def exact_fault(raw: bytes) -> Fault | None:
    """Return the first repeated key or too large integer in valid JSON, exact and some ten times slower."""
    repeated: list[str] = []
    too_large: list[str] = []

    def keep_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            seen: set[str] = set()
            repeated.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return members

    def keep_integer(digits: str) -> int:
        # The length first: int() of a million digits would take minutes.
        if len(digits) > _MAX_INTEGER_CHARS or int(digits) not in _INTEGERS:
            too_large.append(digits)
        return 0

    json.loads(raw.decode("utf-8"), object_pairs_hook=keep_pairs, parse_int=keep_integer)
    if repeated:
        return Fault("duplicate_key", f"the key {_shown(repeated[0])} stands twice in one object")
    if too_large:
        size = f"{len(too_large[0].lstrip('-'))} digits"
        return Fault("number_out_of_range", f"an integer of {size} does not fit into 64 bits")
    return None


def _syntax_fault(raw: bytes, error: orjson.JSONDecodeError) -> Fault:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as invalid:
        return Fault("invalid_utf8", f"invalid UTF-8 ({invalid.reason})", invalid.start)
    if is_deeper(raw, MAX_DEPTH):
        return too_deep()
    at = len(text[: error.pos].encode("utf-8"))
    if _NAN.match(raw, at):
        return Fault("not_a_number", "NaN and Infinity are no JSON", at)
    if "infinity" in error.msg:
        return Fault("number_out_of_range", "a number is too large for a double", at)
    return Fault("invalid_json", f"not JSON: {error.msg}", at)


def too_deep() -> Fault:
    """Return the fault of a record with too many levels."""
    return Fault("too_deep", f"the record is nested deeper than {MAX_DEPTH} levels")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(key: str) -> str:
    """Return `key` quoted, short and without control characters: it comes from outside."""
    short = key if len(key) <= _SHOWN_CHARS else key[:_SHOWN_CHARS] + "…"
    return json.dumps(short)
