"""What is asked of a model and what it says, as plain values: what is sent, and what the journal keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

Json = dict[str, Any]

Role = Literal["system", "user", "assistant", "tool"]


class _CallMade(TypedDict):
    id: str
    name: str
    arguments: Json


class Message(TypedDict, total=False):
    """One turn of a conversation."""

    role: Role
    text: str
    calls: list[_CallMade]
    """Of an assistant: the tools that it called."""
    call: str
    """Of a tool: id of the call that this answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request to a model, whatever its server can do."""

    messages: Sequence[Message]
    tools: Sequence[Json] = ()
    """Functions in OpenAI's form, which every integration of LangChain takes."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer; the server is held to it where it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model wants called, as it said it."""

    name: str
    arguments: Json | None
    """`None`: what it gave was no JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    more_calls: int = 0
    """Calls beyond those that are kept."""
    input_tokens: int
    output_tokens: int
    are_estimated: bool = False
    """Whether the server told no numbers, so that the tokens are estimates."""
    refusal: bool = False
    is_cut: bool = False
    """Whether the model stopped because it was not to say more."""
