"""From our request to LangChain's and back, with what the server can do; what it refuses is learnt and left out."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from aurora.kernel.clock import Clock
from aurora.kernel.untrusted import clean
from aurora.llm.errors import ModelError, ModelRequestRefused, ModelTooLong, ModelUnavailable
from aurora.llm.factory import BuiltModel
from aurora.llm.faults import model_error, status_of, words_of
from aurora.llm.providers import AnswerFormat
from aurora.llm.request import Json, Message, ModelRequest, Reply, ToolCall

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

MAX_CALLS = 8
"""Tool calls of one reply that are kept."""

_MAX_ARGUMENTS = 4096
"""Characters; longer arguments are as good as none."""
_MAX_TOKENS = 10**9
_SAMPLING = re.compile(r"temperature", re.IGNORECASE)
_FEATURE = re.compile(r"tool|function|jinja|response_format|json|schema|grammar|structured", re.IGNORECASE)
_TAGS = re.compile("[\U000e0000-\U000e0fff]")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a request makes use of."""

    tools: bool = False
    format: AnswerFormat = "text"
    temperature: bool = True


class Abilities:
    """What the server of a model can do, as far as this process found out. Starts with the best.

    Args:
        formats: How an answer may be asked for, best first.
        sets_temperature: Whether requests state it; otherwise the client does so itself.
    """

    def __init__(self, formats: Sequence[AnswerFormat], *, sets_temperature: bool) -> None:
        self.tools = True
        self.formats = tuple(formats)
        self.temperature = sets_temperature

    def features(self, request: ModelRequest) -> Features:
        """Return what to use for a request."""
        return Features(
            tools=self.tools and bool(request.tools),
            format=self.formats[0] if request.schema is not None else "text",
            temperature=self.temperature,
        )

    def weaker(self, features: Features, words: str) -> Features | None:
        """Return features that ask for less, or `None` if there is nothing to leave out.

        Args:
            features: What was refused.
            words: What the server said.
        """
        if features.temperature and _SAMPLING.search(words):
            return replace(features, temperature=False)
        if features.tools:
            return replace(features, tools=False)
        later = self.formats[self.formats.index(features.format) + 1 :] if features.format in self.formats else ()
        return replace(features, format=later[0]) if later else None

    def learn(self, before: Features, after: Features) -> None:
        """Remember that the server refused `before` and took `after`."""
        self.tools = self.tools and after.tools == before.tools
        self.temperature = self.temperature and after.temperature == before.temperature
        if after.format != before.format:
            self.formats = self.formats[self.formats.index(after.format) :]
        log.info("model.learnt", extra={"tools": self.tools, "format": self.formats[0]})


class ChatWire:
    """Speaks to one chat model. One object a process.

    Args:
        build: Returns the model; called at the first request.
        name: Of the model, for messages.
        temperature: Stated with each request, where the client does not do so itself.
        max_answer_bytes: A longer answer is an error.
        clock: For `Retry-After` dates.
    """

    def __init__(
        self,
        build: Any,
        *,
        name: str,
        formats: Sequence[AnswerFormat],
        temperature: float | None,
        max_answer_bytes: int,
        clock: Clock,
    ) -> None:
        self._build = build
        self._built: BuiltModel | None = None
        self._name = name
        self._temperature = temperature
        self._max_answer_bytes = max_answer_bytes
        self._clock = clock
        self.abilities = Abilities(formats, sets_temperature=temperature is not None)

    @property
    def built(self) -> BuiltModel:
        """The model; built when it is needed first.

        Raises:
            ConfigError: it cannot be built.
        """
        if self._built is None:
            self._built = self._build()
        return self._built

    async def aclose(self) -> None:
        """Close its connections."""
        if self._built is not None:
            await self._built.aclose()

    async def send(self, request: ModelRequest) -> Reply:
        """Return the reply to a request; what the server refuses to know is left out, now and from then on.

        Raises:
            ModelError: there is none.
            ConfigError: the model cannot be built.
        """
        wanted = features = self.abilities.features(request)
        while True:
            try:
                reply = await self.exchange(request, features)
            except (ModelRequestRefused, ModelUnavailable) as error:
                words = words_of(error.__cause__) if error.__cause__ is not None else ""
                weaker = self.abilities.weaker(features, words) if _is_about_features(error, words) else None
                if weaker is None:
                    raise
                features = weaker
                continue
            if features != wanted:
                self.abilities.learn(wanted, features)
            return reply

    async def exchange(self, request: ModelRequest, features: Features) -> Reply:
        """Send a request as it is, once.

        Raises:
            ModelError: there is no reply; the client's own error is its cause.
            ConfigError: the model cannot be built.
        """
        chat = self.built.chat
        options = self._options(chat, request, features)
        try:
            # Straight to what integrations implement. The public methods around it hand on the callbacks of a run of
            # LangGraph, send every prompt to a tracing service if a variable says so, and turn a script that is
            # broken into an AttributeError.
            result = await chat._agenerate(_messages(request.messages), **options)  # noqa: SLF001 - see above
            return self._reply(cast("AIMessage", result.generations[0].message), request)
        except ModelError:
            raise
        except Exception as error:
            # Clients trip over malformed replies in ways of their own: TypeError, KeyError, IndexError, …
            raise model_error(error, model=self._name, now=self._clock.now()) from error

    def _options(self, chat: BaseChatModel, request: ModelRequest, features: Features) -> Json:
        options: Json = {}
        if features.temperature and self._temperature is not None:
            options["temperature"] = self._temperature
        if features.tools:
            options |= getattr(chat.bind_tools(list(request.tools)), "kwargs", {})
        if features.format == "text":
            return options
        form: Json = {"type": features.format}
        if features.format == "json_schema":
            form["json_schema"] = {"name": "answer", "strict": True, "schema": dict(request.schema or {})}
        if hasattr(chat, "extra_body"):
            # The client of OpenAI would walk through the whole schema and parse the answer itself: 5 ms, and errors
            # of its own. What stands in `extra_body` it sends as it is.
            options["extra_body"] = {**(chat.extra_body or {}), "response_format": form}
        else:
            options["response_format"] = form
        return options

    def _reply(self, message: AIMessage, request: ModelRequest) -> Reply:
        words = str(message.text)
        if len(words) > self._max_answer_bytes or len(words.encode(errors="replace")) > self._max_answer_bytes:
            raise ModelTooLong(f"{self._name} answered with more than {self._max_answer_bytes:,} bytes")
        calls = [_call(each) for each in message.tool_calls[:MAX_CALLS]]
        calls += [
            ToolCall(name=_harmless(str(each.get("name") or ""))[:64], arguments=None)
            for each in message.invalid_tool_calls[: MAX_CALLS - len(calls)]
        ]
        usage: Mapping[str, Any] = message.usage_metadata or {}
        told = [_count(usage.get("input_tokens")), _count(usage.get("output_tokens"))]
        estimate = [_estimate(sum(len(each.get("text", "")) for each in request.messages)), _estimate(len(words))]
        is_estimated = not any(told)
        tokens = estimate if is_estimated else told
        return Reply(
            text=_harmless(words),
            calls=tuple(calls),
            more_calls=len(message.tool_calls) + len(message.invalid_tool_calls) - len(calls),
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            are_estimated=is_estimated,
            refusal=bool(message.additional_kwargs.get("refusal")),
            is_cut=message.response_metadata.get("finish_reason") in {"length", "max_tokens", "MAX_TOKENS"},
        )


def _is_about_features(error: ModelError, words: str) -> bool:
    """Return whether leaving something out may help: a refusal always, a failure if it speaks of it.

    llama.cpp answers a request for tools with 500 when its template has none.
    """
    if isinstance(error, ModelRequestRefused):
        return True
    return error.__cause__ is not None and status_of(error.__cause__) in {500, 501} and bool(_FEATURE.search(words))


def _call(call: Mapping[str, Any]) -> ToolCall:
    arguments = call.get("args")
    is_usable = isinstance(arguments, dict) and _room(arguments, _MAX_ARGUMENTS) >= 0
    return ToolCall(
        name=_harmless(str(call.get("name") or ""))[:64],
        arguments=harmless(arguments) if is_usable else None,
    )


def _room(value: Any, left: int) -> int:
    """Return how many characters are left when a JSON value is written; it stops when there are none."""
    left -= len(value) if isinstance(value, str) else 8
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    for each in value if isinstance(value, list) else ():
        if left < 0:
            break
        left = _room(each, left)
    return left


def harmless(value: Any) -> Any:
    """Return a JSON value with every text in it made harmless, keys too. It must not be nested deeply."""
    if isinstance(value, str):
        return _harmless(value)
    if isinstance(value, dict):
        return {_harmless(str(key)): harmless(each) for key, each in value.items()}
    if isinstance(value, list):
        return [harmless(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _harmless(text: str) -> str:
    """Return what a model wrote, without what hides, reorders or breaks text; inside JSON it stays JSON."""
    return clean(_TAGS.sub("\ufffd", text.removeprefix("\ufeff").replace("\r\n", "\n")))


def _count(value: object) -> int:
    return min(value, _MAX_TOKENS) if isinstance(value, int) and value > 0 else 0


def _estimate(characters: int) -> int:
    # Alert JSON has two to three characters a token; to count too many is the safe side.
    return -(-characters // 2)


def _messages(messages: Sequence[Message]) -> list[BaseMessage]:
    from langchain_core.messages import (  # noqa: PLC0415 - only where a model is configured
        AIMessage,
        HumanMessage,
        SystemMessage,
        ToolMessage,
    )

    made: list[BaseMessage] = []
    for message in messages:
        words = message["text"]
        if message["role"] == "system":
            made.append(SystemMessage(words))
        elif message["role"] == "user":
            made.append(HumanMessage(words))
        elif message["role"] == "tool":
            made.append(ToolMessage(words, tool_call_id=message["call"]))
        else:
            calls = [
                {"id": each["id"], "name": each["name"], "args": each["arguments"], "type": "tool_call"}
                for each in message.get("calls", ())
            ]
            made.append(AIMessage(words, tool_calls=calls))
    return made
