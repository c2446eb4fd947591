"""Reading chat messages by their shape, so that no chat library has to be imported.

Understood are LangChain messages (`type`, `tool_calls`, `tool_call_id`) and plain dicts in LangChain's or
OpenAI's spelling (`role` instead of `type`). Whatever else is added is kept as a message of no role.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Message: TypeAlias = Any
"""A message of whatever library; it is kept as it is and never changed."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "human": "human",
    "user": "human",
    "ai": "ai",
    "assistant": "ai",
    "AIMessageChunk": "ai",
    "tool": "tool",
}


def role(message: Message) -> str:
    """Return `system`, `human`, `ai` or `tool`, or an empty string for anything else."""
    for name in ("type", "role"):
        value = _field(message, name)
        if isinstance(value, str) and value in _ROLES:
            return _ROLES[value]
    return ""


def calls(message: Message) -> frozenset[str]:
    """Return the ids of the tool calls that the message makes, unreadable ones included: each wants an answer."""
    return frozenset(_ids(message))


def answers(message: Message) -> str | None:
    """Return the id of the tool call whose result the message is, or `None` if it is no result."""
    return _text(message, "tool_call_id")


def text_of(message: Message) -> str:
    """Return what the message says; of content in parts, the parts that are text, one a line."""
    content = _field(message, "content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    parts = (part if isinstance(part, str) else _text(part, "text") for part in content)
    return "\n".join(part for part in parts if part)


def calls_of(message: Message) -> list[tuple[str, str]]:
    """Return the tool calls that the message makes, unreadable ones too: name, and arguments as JSON."""
    found: list[tuple[str, str]] = []
    for call in _made(message):
        inner = _field(call, "function")
        name = _text(call, "name") or _text(inner, "name") or ""
        given = _field(call, "args") if inner is None else _field(inner, "arguments")
        found.append((name, given if isinstance(given, str) else json.dumps(given or {}, default=str)))
    return found


def _ids(message: Message) -> Iterator[str]:
    yield from filter(None, (_text(call, "id") for call in _made(message)))


def _made(message: Message) -> Iterator[Any]:
    for name in ("tool_calls", "invalid_tool_calls"):
        made = _field(message, name)
        if isinstance(made, list | tuple):
            yield from made


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _text(thing: Any, name: str) -> str | None:
    value = _field(thing, name)
    return value if isinstance(value, str) and value else None
