r"""The one way by which outside text enters a prompt: as JSON, in a frame that nothing inside can close.

Inside the frame stands canonical JSON in which everything that could end the frame, a fence or a turn, or hide
or reorder text, is written as `\uXXXX`: for a JSON parser the same value, for a model visibly data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

MAX_CHARS = 32_000
"""Longest content of one frame. About 16,000 tokens: alert JSON has two to three characters a token."""

_NAME = re.compile(r"[a-z][a-z_]{0,31}")
# Angle brackets close the frame and make the control tokens of most chat templates (`<|im_end|>`, `</s>`); others are
# words in square brackets (`[INST]`), and JSON never has a capital letter after a bracket of its own. The rest is
# what `kernel.untrusted` makes visible, and more that is invisible; JSON itself escapes line breaks.
_ESCAPED = re.compile(
    r"[<>&`\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]|\\[(?=/?[A-Z])"
)
_TURN = re.compile(r"<(?=[|/\w\uff5c])|\[(?=/?[A-Z])")
_DEEPEST = 24
_LONGEST_KEY = 200
_SHRINKS = ((8000, 400), (4000, 200), (2000, 100), (1000, 60), (500, 40), (200, 25), (80, 12), (40, 6))
"""Longest text and most items, tried in order until the document fits."""


def frame(name: str, document: Any, *, limit: int = MAX_CHARS) -> str:
    """Return a document as a block that a model reads as data.

    Deterministic. What is too long is cut where it is longest, and says so: `… [cut: 4,711 more characters]`.
    If nothing was cut, parsing what stands between the first and the last line gives the document back.

    Args:
        name: Of the block: lower-case letters and underscores, from code, never from data.
        document: JSON values, from outside or not. What JSON does not know is shown as text.
        limit: Longest content, in characters; at least 200.

    Raises:
        ValueError: `name` or `limit` is not as described.
    """
    if not _NAME.fullmatch(name) or limit < 200:
        raise ValueError(f"name={name!r} must be lower-case letters, and limit={limit!r} at least 200")
    return "\n".join([f"<{name}>", _content(document, limit), f"</{name}>"])


def disarmed(text: str) -> str:
    """Return what a model wrote, to be shown to it again as its own turn, without tokens that end one.

    A model that quotes an attacker would else carry `<|im_start|>system` out of the frame: some servers read
    control tokens wherever they stand.
    """
    return _TURN.sub(_escape, text)


def _content(document: Any, limit: int) -> str:
    for longest, most in ((limit, limit), *_SHRINKS):
        plain = _plain(_shown(document, longest=longest, most=most))
        # Escaping makes it longer only, and of megabytes it would take long.
        if len(plain) <= limit and len(content := _ESCAPED.sub(_escape, plain)) <= limit:
            return content
    # Even so too long: very many keys in very many levels. A prefix of it, as text.
    whole = _plain(_shown(document, longest=40, most=6))
    note = f"… [cut: {len(whole):,} characters]"
    return _ESCAPED.sub(_escape, _plain({"cut": whole[: limit // 16] + note}))


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _escape(match: re.Match[str]) -> str:
    # Beyond the Basic Multilingual Plane JSON wants a pair of surrogates: `json` writes it.
    character = match.group()
    return f"\\u{ord(character):04x}" if character <= "\uffff" else json.dumps(character)[1:-1]


def _shown(value: Any, *, longest: int, most: int, depth: int = 0) -> Any:
    """Return `value` with JSON values only, and none of them larger than it may be."""
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 10**18 else _cut(hex(value), longest)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _cut(str.__str__(value), longest)
    if depth >= _DEEPEST:
        return f"[cut: nested more than {_DEEPEST} deep]"
    if isinstance(value, Mapping):
        shown = {
            _cut(str.__str__(key) if isinstance(key, str) else repr(key), _LONGEST_KEY): _shown(
                each, longest=longest, most=most, depth=depth + 1
            )
            for key, each in islice(value.items(), most)
        }
        if len(value) > most:
            shown["[cut]"] = f"{len(value) - most:,} more keys"
        return shown
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        items = [_shown(each, longest=longest, most=most, depth=depth + 1) for each in islice(value, most)]
        return items if len(value) <= most else [*items, f"[cut: {len(value) - most:,} more items]"]
    return _cut(str(value), longest)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return text[:longest] + f"… [cut: {len(text) - longest:,} more characters]"
