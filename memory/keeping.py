"""Messages as they are kept: plain JSON that chat libraries read again, without secrets and of bounded size."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from aurora.kernel.errors import InputError
from memory.guard.redaction import redact_value
from memory.items import MAX_TEXT, Json
from memory.messages import Message, role
from memory.ports import Redactor

MAX_CHARS = 8 * MAX_TEXT
"""Longest text in one message. What is longer loses its middle before it is kept."""

_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}
_MAX_ID = 200
_DEEPEST = 32
# PostgreSQL has no NUL in JSON, and no encoding knows half a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UnreadableMessage(InputError):
    """A message is none that a thread can keep; nothing of the call was stored."""

    code = "aurora.memory.message"


def kept(message: Message, redactor: Redactor) -> Json:
    """Return a message as JSON.

    It has a `role` (`system`, `user`, `assistant` or `tool`) and `content`, and of `id`, `name`, `tool_calls`,
    `invalid_tool_calls`, `tool_call_id` and `status` what the message has. Secrets are taken out of all its text,
    arguments of calls included; ids stay, for they tie calls to results.
    What a provider adds for itself (usage, raw replies) is left out.

    Raises:
        UnreadableMessage: it has no role, or an id that is longer than 200 characters.
    """
    spoken_by = _ROLES.get(role(message))
    if spoken_by is None:
        raise UnreadableMessage(
            "a message has no role that is known; expected a LangChain message, or a dict with `role` system, user, "
            "assistant or tool"
        )
    found: Json = {"role": spoken_by, "content": _content(_get(message, "content"), redactor)}
    for name in ("id", "tool_call_id"):
        if (value := _id(_get(message, name), name)) is not None:
            found[name] = value
    for name in ("name", "status"):
        if isinstance(value := _get(message, name), str) and value:
            found[name] = _clean(value, redactor)
    for name in ("tool_calls", "invalid_tool_calls"):
        made = _get(message, name)
        if isinstance(made, list | tuple) and made:
            found[name] = [_call(call, name, redactor) for call in made]
    return found


def _content(content: Any, redactor: Redactor) -> Any:
    if content is None or isinstance(content, str):
        return _clean(content or "", redactor)
    if not isinstance(content, list | tuple):
        return _clean(str(content), redactor)
    return [_part(part, redactor) for part in content]


def _part(part: Any, redactor: Redactor) -> Any:
    is_data = isinstance(part, Mapping) and part.get("type") != "text"
    if is_data and len(str(part)) > MAX_CHARS:
        return {"type": "text", "text": "[… left out: too large to be kept …]"}
    return _clean(part, redactor)


def _call(call: Any, name: str, redactor: Redactor) -> Any:
    if not isinstance(call, Mapping):
        return _clean(call, redactor)
    rest = {key: value for key, value in call.items() if key not in {"id", "type"}}
    found: Json = {**_clean(rest, redactor)}
    if (value := _id(call.get("id"), f"{name}.id")) is not None:
        found["id"] = value
    if isinstance(call.get("type"), str):
        found["type"] = _text(call["type"])
    return found


def _id(value: Any, name: str) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    if len(value) > _MAX_ID:
        raise UnreadableMessage(f"`{name}` of a message has {len(value)} characters; at most {_MAX_ID}", field=name)
    return _text(value)


def _clean(value: Any, redactor: Redactor) -> Any:
    # The whole text is looked at before anything is cut: half a secret is not recognised.
    return _bounded(redact_value(_json(value, 0), redactor, kinds=set()))


def _json(value: Any, depth: int) -> Any:
    """Return a value as JSON that both databases take; what JSON does not know becomes text."""
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _DEEPEST:
        return "[… nested too deep …]"
    if isinstance(value, Mapping):
        return {_text(str(name)): _json(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each, depth + 1) for each in value]
    return _text(str(value))


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_CHARS:
        half = MAX_CHARS // 2
        return f"{value[:half]} […{len(value) - 2 * half} characters left out…] {value[-half:]}"
    if isinstance(value, Mapping):
        return {name: _bounded(each) for name, each in value.items()}
    return [_bounded(each) for each in value] if isinstance(value, list) else value


def _text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", str.__str__(text))


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
