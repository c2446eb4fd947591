"""Making a message fit: its middle goes, a mark says so, and no address or number is cut in two."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from memory.messages import Message
from memory.tokens import TokenCounter

MARK_TOKENS = 20
"""Of a mark, at most. A text that has no more is never shortened."""

_ENDS_A_WORD = frozenset(" \t\r\n,;\"'`|&{}[]()<>")
_LONGEST_WORD = 400
"""Characters. What is longer is no address, and may be cut anywhere."""

_Cut = Callable[[str], str]


def shortened(text: str, *, tokens: int, count: TokenCounter) -> str:
    """Return the beginning and the end of a text with a mark between them, in at most `tokens` tokens.

    Two thirds are beginning. It is cut between words: half an address is another address. Where there is room for
    nothing else the mark is all that is left, even if `tokens` is less than its `MARK_TOKENS`.
    """
    total = count.count(text)
    if total <= max(tokens, MARK_TOKENS):
        return text
    # In proportion first, then smaller until it fits: tokens need not be spread evenly over a text.
    kept = int(len(text) * max(0, tokens - MARK_TOKENS) / total)
    while kept > 0:
        head = _whole_words(text[: kept * 2 // 3 + 1], text[kept * 2 // 3 + 1])
        start = len(text) - kept // 3
        tail = _whole_words(text[start:][::-1], text[start - 1])[::-1]
        done = head + _mark(len(text) - len(head) - len(tail)) + tail
        if (size := count.count(done)) <= tokens:
            return done
        kept = min(int(kept * tokens / size * 0.95), kept - 1)
    return _mark(len(text)).strip()


def shortened_message(message: Message, *, tokens: int, count: TokenCounter) -> Message | None:
    """Return a copy of a message in at most `tokens` tokens; `None` if it cannot be made so short.

    Its role, its name, and the ids and names of its calls stay. What is no text in its content goes first; then the
    longest of its texts, and of the values in the arguments of its calls, lose their middles.
    """
    total = count.count_message(message)
    if total <= tokens:
        return message
    sizes: list[int] = []

    def measured(text: str) -> str:
        sizes.append(count.count(text))
        return text

    bare = _mapped(message, measured)
    if bare is None:
        return None
    total = count.count_message(bare)
    room = tokens - (total - sum(sizes))
    while True:
        level = _level(sizes, max(room, 0))
        done = _mapped(bare, lambda text: shortened(text, tokens=level, count=count))  # noqa: B023 - called at once
        over = count.count_message(done) - tokens
        if over <= 0:
            return done
        if level == 0:
            return None
        # Arguments are JSON in a message, and quotes around a shorter text may join other tokens than before.
        room = min(room, sum(min(size, level) for size in sizes)) - over


def smallest(message: Message, *, count: TokenCounter) -> Message:
    """Return the shortest copy of a message there is: marks in place of its texts."""
    done = _mapped(message, lambda text: shortened(text, tokens=0, count=count))
    return message if done is None else done


def _level(sizes: list[int], room: int) -> int:
    """Return the size to which the largest come down so that all of them together fit into `room`."""
    left = room
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)


def _mapped(message: Message, cut: _Cut) -> Message | None:
    """Return a copy with `cut` applied to its texts and nothing else in its content; `None` if its shape is unknown."""
    changes: dict[str, Any] = {}
    content = _get(message, "content")
    if isinstance(content, str):
        changes["content"] = cut(content)
    elif isinstance(content, list):
        changes["content"] = [_block(block, cut) for block in content]
    for name in ("tool_calls", "invalid_tool_calls"):
        if isinstance(made := _get(message, name), list):
            changes[name] = [_call(call, cut) for call in made]
    if not changes:
        return None
    if isinstance(message, Mapping):
        return {**message, **changes}
    copy = getattr(message, "model_copy", None)
    return copy(update=changes) if callable(copy) else None


def _block(block: Any, cut: _Cut) -> Any:
    if isinstance(block, str):
        return cut(block)
    if isinstance(block, Mapping) and isinstance(block.get("text"), str):
        return {"type": "text", "text": cut(block["text"])}
    # A part of an image is none, and the signature of a part of a thought does not verify.
    return {"type": "text", "text": "[… left out …]"}


def _call(call: Any, cut: _Cut) -> Any:
    if not isinstance(call, Mapping):
        return call
    if "args" in call:
        return {**call, "args": _strings(call["args"], cut)}
    if isinstance(function := call.get("function"), Mapping):
        given = function.get("arguments")
        if isinstance(given, str):
            try:
                given = json.dumps(_strings(json.loads(given), cut))
            except (ValueError, RecursionError):
                given = cut(given)
        return {**call, "function": {**function, "arguments": given}}
    return call


def _strings(value: Any, cut: _Cut) -> Any:
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, Mapping):
        return {name: _strings(each, cut) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strings(each, cut) for each in value]
    return value


def _whole_words(text: str, following: str) -> str:
    """Return `text` without the word at its end that goes on with `following`."""
    if following in _ENDS_A_WORD:
        return text
    for back in range(1, min(len(text), _LONGEST_WORD) + 1):
        if text[-back] in _ENDS_A_WORD:
            return text[: len(text) - back + 1]
    return "" if len(text) <= _LONGEST_WORD else text


def _mark(characters: int) -> str:
    return f" […{characters} characters left out…] "


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
