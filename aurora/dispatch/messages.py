"""What travels on the streams: canonical JSON with an id that its content determines. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from aurora.kernel.errors import MessageInvalid
from aurora.kernel.ports.broker import Message, Stream

__all__ = ["MAX_BYTES", "Message", "Stream", "encoded", "sized"]

MAX_BYTES = 64 * 1024
"""Largest message. Messages name rows by id; one that is larger carries what belongs into the database."""


def encoded(content: Mapping[str, Any]) -> Message:
    """Return the message of some content.

    Raises:
        MessageInvalid: JSON cannot say it, or it takes more than `MAX_BYTES`.
    """
    try:
        data = orjson.dumps(dict(content), default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # orjson's own error is one
        raise MessageInvalid(f"the message cannot be written as JSON: {error}") from error
    return sized(Message(hashlib.sha256(data).hexdigest(), data))


def sized(message: Message) -> Message:
    """Return the message. Every broker asks it before it sends one.

    Raises:
        MessageInvalid: it takes more than `MAX_BYTES`.
    """
    if len(message.data) > MAX_BYTES:
        raise MessageInvalid(
            f"the message takes {len(message.data)} bytes, at most {MAX_BYTES} are allowed: "
            "store what it carries and publish its id",
            size_bytes=len(message.data),
        )
    return message


def _plain(value: object) -> str:
    """Return a UUID as text: drivers have classes of their own for it, which orjson does not know."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON can say")
