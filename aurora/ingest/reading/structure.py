"""Where a JSON object ends, found by its braces: for values that are not one a line.

Only strings and brackets are looked at, each run of other text in one regular expression
step; whether the object is valid JSON is for the parser to say.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurora.ingest.reading.window import Window

# Possessive, so that no text makes it go back: linear time.
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"[^"{}\[\]]*+)*+')
_TO_STRING_END = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_OPENED_BY = {ord("}"): ord("{"), ord("]"): ord("[")}
_QUOTE, _OPEN_OBJECT, _OPEN_LIST = b'"{['
_MAX_OPEN = 128
"""Twice what a record may have: beyond, looking for the end of rubbish would only cost time."""


class Scan(Enum):
    """How looking for the end of a value went."""

    DONE = "the value is complete"
    BROKEN = "no JSON can go on like this"
    ENDED = "the text ends first"
    LARGE = "the value is larger than allowed"
    DEEP = "the value is nested beyond all measure"


def scan(window: Window, *, limit: int, inside: bytes = b"") -> tuple[Scan, int]:
    """Look for the end of the object or list that starts at `window.pos`, reading on as needed.

    Broken structure is noticed early (an object where a key belongs, a string over a line
    end), so that a cut line does not swallow the lines after it.

    Args:
        window: Its `pos` stays where it is in the text.
        limit: Bytes the value may have.
        inside: Brackets already open at `window.pos`, if the start of the value is gone.

    Returns:
        The outcome, and the length from `window.pos` to the end of the value or to where
        looking stopped.
    """
    stack = bytearray(inside)
    at = 0
    while True:
        data, base = window.data, window.pos
        found = _next_bracket(data, base + at)
        at = (~found if found < 0 else found) - base
        if at > limit:
            return Scan.LARGE, at
        if found < 0:
            return Scan.BROKEN, at
        if found == len(data) or data[found] == _QUOTE:
            if len(data) - base > limit:  # a string that long would never move `at`
                return Scan.LARGE, at
            if not window.more():
                return Scan.ENDED, len(window.data) - window.pos
            continue
        if (wrong := _take_bracket(data, base, found, stack)) is not None:
            return wrong, at
        at += 1
        if not stack:
            return (Scan.DONE if at <= limit else Scan.LARGE), at


def is_deeper(raw: bytes, levels: int) -> bool:
    """Say whether more than `levels` brackets are open at one place of `raw`, outside strings."""
    depth = at = 0
    while (at := _TO_BRACKET.match(raw, at).end()) < len(raw):  # type: ignore[union-attr]  # matches nothing too
        if raw[at] == _QUOTE:
            break
        depth += -1 if raw[at] in _OPENED_BY else 1
        if depth > levels:
            return True
        at += 1
    return False


def _next_bracket(data: bytes, at: int) -> int:
    """Return the index of the next bracket outside strings.

    Or of the place from where to go on with more data: the end, or a string not complete yet.
    A string with a line end inside gives the complement of the line end's index, which is negative.
    """
    found: int = _TO_BRACKET.match(data, at).end()  # type: ignore[union-attr]  # matches the empty text too
    if found < len(data) and data[found] == _QUOTE:
        stop: int = _TO_STRING_END.match(data, found).end()  # type: ignore[union-attr]  # starts at a quote
        if data.startswith((b"\n", b"\\\n"), stop):
            return ~stop
    return found


def _take_bracket(data: bytes, start: int, at: int, stack: bytearray) -> Scan | None:
    """Open or close with the bracket at index `at`; return what is wrong if it cannot stand there."""
    bracket = data[at]
    if bracket in _OPENED_BY:
        return None if stack and stack.pop() == _OPENED_BY[bracket] else Scan.BROKEN
    if stack and not _may_open(data, start, at, stack[-1]):
        return Scan.BROKEN
    if len(stack) == _MAX_OPEN:
        return Scan.DEEP
    stack.append(bracket)
    return None


def _may_open(data: bytes, start: int, at: int, container: int) -> bool:
    """Say whether a bracket may open at index `at`, by what stands before it."""
    before = data[max(start, at - 64) : at].rstrip() or data[start:at].rstrip()
    if not before:
        return True  # the start of the value is gone
    if container == _OPEN_OBJECT:
        return before.endswith(b":")
    return before.endswith((b",", b"["))
