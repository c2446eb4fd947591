"""Namespaces as text whose prefixes are ranges of a B-tree: segment by segment, whatever the labels hold."""

from __future__ import annotations

from collections.abc import Sequence

_END = "\x01"
"""Ends a label. Labels hold none of it, as they are escaped."""

_ESCAPE = "\x02"
_ESCAPED = {"\x00": "\x020", "\x01": "\x021", "\x02": "\x022"}
_PLAIN = {escaped: plain for plain, escaped in _ESCAPED.items()}


def encode(namespace: Sequence[str]) -> str:
    """Return a namespace as text: `acme` is no prefix of `acme-corp`, and no label can be two.

    Raises:
        ValueError: a label is empty, or half a surrogate pair.
    """
    parts = []
    for place, label in enumerate(namespace):
        if not label:
            raise ValueError(f"label {place} is empty")
        if any("\ud800" <= char <= "\udfff" for char in label):
            raise ValueError(f"label {place} holds half a surrogate pair")
        parts.append("".join(_ESCAPED.get(char, char) for char in label) + _END)
    return "".join(parts)


def decode(text: str) -> tuple[str, ...]:
    """Return the namespace that `encode` made into this text."""
    return tuple(_unescaped(label) for label in text.split(_END)[:-1])


def bounds(prefix: Sequence[str]) -> tuple[str, str] | None:
    """Return the range of all namespaces that begin with these labels: from the first text to before the second.

    `None`: every namespace does. Texts must be compared by code point: SQLite does, PostgreSQL with `COLLATE "C"`.

    Raises:
        ValueError: as `encode`.
    """
    if not prefix:
        return None
    first = encode(prefix)
    return first, first[:-1] + _ESCAPE  # what follows the end of a label


def _unescaped(label: str) -> str:
    if _ESCAPE not in label:
        return label
    for escaped, plain in _PLAIN.items():
        label = label.replace(escaped, plain)
    return label
