"""A chat model whose answers are written down in advance, and that fails when they do not fit what happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import BaseModel, PrivateAttr


class ScriptBroken(BaseException):
    """A script ran out, or was left over.

    No `Exception`: code under test that goes on without a model must not go on without this.
    """


@dataclass(frozen=True, slots=True)
class Calls:
    """A reply that calls tools: `Calls(("past_alerts", {"value": "web-1"}))`."""

    made: tuple[tuple[str, Mapping[str, Any]], ...]
    text: str = ""

    def __init__(self, *made: tuple[str, Mapping[str, Any]], text: str = "") -> None:
        object.__setattr__(self, "made", made)
        object.__setattr__(self, "text", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that the model got."""

    messages: list[BaseMessage]
    tools: list[Any] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """Everything else: `response_format`, `temperature`, …"""

    @property
    def text(self) -> str:
        """All messages as one text, to look for words in."""
        return "\n".join(str(message.text) for message in self.messages)


Reply = str | Mapping[str, Any] | BaseModel | Calls | AIMessage | Exception | Callable[[list[BaseMessage]], Any]
"""Text; a mapping or pydantic object, sent as JSON; tool calls; a whole message; an error, raised; or a function of
the messages that returns one of these."""


class ScriptedChatModel(BaseChatModel):
    """Gives its replies one after the other.

    A request when none is left raises `ScriptBroken`, and so does the end of `with` when some are left::

        with ScriptedChatModel(["It looks harmless.", {"label": "benign"}]) as model:
            ...

    In a test, the fixture `scripted_model` checks it at the end; add to `conftest.py`:
    `pytest_plugins = ["aurora.testing.fixtures"]`, then::

        async def test_the_analyst_says_benign(scripted_model):
            model = scripted_model("It looks harmless.", {"label": "benign"})

    Args:
        replies: What it says, in order.
        tokens: Tokens in and out that it reports for each reply; `None`: it reports none.
    """

    _replies: list[Reply] = PrivateAttr(default_factory=list)
    _position: int = PrivateAttr(default=0)
    _overrun: int = PrivateAttr(default=0)
    _requests: list[Asked] = PrivateAttr(default_factory=list)
    _tokens: tuple[int, int] | None = PrivateAttr(default=None)

    def __init__(self, replies: Sequence[Reply], *, tokens: tuple[int, int] | None = (100, 20)) -> None:
        super().__init__()
        self._replies = list(replies)
        self._tokens = tokens

    @property
    def _llm_type(self) -> str:
        return "aurora-scripted"

    @property
    def requests(self) -> list[Asked]:
        """What it was asked, in order."""
        return self._requests

    def assert_used(self) -> None:
        """Return if the script was used up exactly.

        Raises:
            ScriptBroken: replies are left, or some were missing.
        """
        if self._overrun:
            raise ScriptBroken(f"the model was asked {self._overrun} times more than it has replies")
        if left := len(self._replies) - self._position:
            raise ScriptBroken(f"{left} of {len(self._replies)} replies of the model were not asked for")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:  # an error that is under way is the one to see
            self.assert_used()

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tools = kwargs.pop("tools", [])
        self._requests.append(Asked(messages=list(messages), tools=tools, options=kwargs))
        if self._position >= len(self._replies):
            self._overrun += 1
            raise ScriptBroken(f"the script has {len(self._replies)} replies, and the model was asked once more")
        reply = self._replies[self._position]
        self._position += 1
        return as_result(reply, messages, tokens=self._tokens)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Without the thread that the base class would start: virtual time knows nothing of threads.
        return self._generate(messages, stop, None, **kwargs)


def as_result(reply: Reply, messages: list[BaseMessage], *, tokens: tuple[int, int] | None) -> ChatResult:
    """Return a reply as LangChain has it.

    Raises:
        Exception: the reply is one.
    """
    if callable(reply) and not isinstance(reply, BaseModel):
        reply = reply(messages)
    if isinstance(reply, Exception):
        raise reply
    message = reply if isinstance(reply, AIMessage) else _message(reply)
    if tokens is not None:
        message.usage_metadata = {
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "total_tokens": sum(tokens),
        }
    return ChatResult(generations=[ChatGeneration(message=message)])


def _message(reply: Any) -> AIMessage:
    if isinstance(reply, Calls):
        calls = [
            ToolCall(name=name, args=dict(arguments), id=f"scripted-{n}", type="tool_call")
            for n, (name, arguments) in enumerate(reply.made)
        ]
        return AIMessage(reply.text, tool_calls=calls)
    if isinstance(reply, BaseModel):
        return AIMessage(reply.model_dump_json())
    return AIMessage(reply if isinstance(reply, str) else json.dumps(reply))
