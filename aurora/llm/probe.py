"""What a model can do, found out by asking it: a handful of short requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aurora.kernel.deadline import within
from aurora.llm.errors import ModelError, ModelTimeout
from aurora.llm.house import answer_now
from aurora.llm.open import OpenModel
from aurora.llm.providers import AnswerFormat
from aurora.llm.request import Json, Message, ModelRequest, Reply
from aurora.llm.structured import Unusable, answer_schema, described, parse_answer
from aurora.llm.wire import Features

State = Literal["yes", "no", "unknown"]

_WORD = "MERIDIAN"
_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "door_state",
        "description": "Look up whether a door is open.",
        "parameters": {
            "type": "object",
            "properties": {"door": {"type": "string", "description": "Name of the door, such as door-3."}},
            "required": ["door"],
            "additionalProperties": False,
        },
    },
}


class _Weather(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sky: Literal["clear", "cloudy"]
    degrees: int = Field(ge=-100, le=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    id: str
    title: str
    state: State
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found out about a model."""

    model: str
    checks: list[Check] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    """What Aurora will make use of."""
    without: list[str] = field(default_factory=list)
    """What it will do without, and how."""
    is_usable: bool = False
    """Whether it answers in an agreed form; otherwise the written rules will decide."""


async def probe(model: OpenModel) -> Findings:
    """Ask a model a few questions and return what that tells. It costs a few hundred tokens.

    Nothing that the model does raises; nothing is tried again, and no breaker is asked.

    Raises:
        ConfigError: the model cannot be built.
    """
    return await _Probe(model).run()


class _Probe:
    def __init__(self, model: OpenModel) -> None:
        self._model = model
        self._temperature = model.wire.abilities.temperature
        self._found = Findings(model=model.name)

    async def run(self) -> Findings:
        found = self._found
        _ = self._model.built
        if not await self._answers():
            found.without.append("this model: written rules will decide, and verdicts will say that they are degraded")
            return found
        await self._reads_system_prompt()
        formats: list[AnswerFormat] = [each for each in self._model.wire.abilities.formats if each != "text"]
        held = [each for each in formats if await self._holds(each)]
        found.is_usable = bool(held) or await self._holds("text")
        await self._calls_tools()
        await self._context()
        self._price()
        self._conclude(held)
        return found

    async def _answers(self) -> bool:
        try:
            reply, took = await self._ask("Count from one to twenty in words.", system="You are brief and exact.")
        except ModelError as error:
            reached: State = "no" if error.code in {"aurora.model.timeout", "aurora.model.unavailable"} else "yes"
            self._note("reachable", "reachable", reached, error.message)
            if reached == "yes":
                self._note("answers", "answers", "no", error.code)
            return False
        seconds = max(took.total_seconds(), 1e-3)
        self._note("reachable", "reachable", "yes")
        said = f"{reply.output_tokens} tokens in {seconds:.2f} s"
        self._note("answers", "answers", "yes" if reply.text.strip() else "no", said)
        speed = f"{reply.output_tokens / seconds:.1f} tokens/s" + (", estimated" if reply.are_estimated else "")
        self._note("speed", "speed", "yes", speed)
        return True

    async def _reads_system_prompt(self) -> None:
        system = f"Whatever you are asked, your reply must contain the word {_WORD}."

        def judge(reply: Reply) -> bool:
            return _WORD in reply.text.upper()

        await self._check("system", "follows the system prompt", "What is the capital of France?", judge, system=system)

    async def _holds(self, form: AnswerFormat) -> bool:
        """Find out whether the answer is in an agreed form if it is asked for in this way."""
        titles = {"json_schema": "holds to a JSON schema", "json_object": "holds to JSON", "text": "writes JSON"}

        def judge(reply: Reply) -> bool:
            try:
                parse_answer(reply.text, _Weather)
            except Unusable:
                return False
            return True

        # Something else is asked for than the schema allows: only a server that enforces it gets that right.
        words = "Describe the sky over the sea at noon."
        if form != "json_schema":
            words = "\n\n".join([words, answer_now(described(_Weather))])
        return await self._check(form, titles[form], words, judge, schema=answer_schema(_Weather), form=form)

    async def _calls_tools(self) -> None:
        def judge(reply: Reply) -> bool:
            return any(each.name == "door_state" and each.arguments for each in reply.calls)

        await self._check("tools", "calls tools", "Is door-3 open? Use the tool to find out.", judge, tools=True)

    async def _context(self) -> None:
        length = await self._told_context()
        detail = f"{length:,} tokens" if length else "the server does not tell"
        self._note("context", "context length", "yes" if length else "unknown", detail)
        budget = 8000
        if length and length < budget:
            self._found.without.append(
                f"long alerts: a triage takes up to {budget:,} tokens, and this model reads {length:,}"
            )

    def _price(self) -> None:
        price = self._model.built.price
        paid_in, paid_out = price(1_000_000, 0), price(0, 1_000_000)
        if paid_in is None or paid_out is None:
            self._note("price", "price known", "no", "money is not counted, tokens are")
        elif not paid_in and not paid_out:
            self._note("price", "price known", "yes", "none: it runs on this machine")
        else:
            self._note("price", "price known", "yes", f"${paid_in:f} and ${paid_out:f} a million tokens in and out")

    def _conclude(self, held: list[AnswerFormat]) -> None:
        found = self._found
        states = {each.id: each.state for each in found.checks}
        if held:
            found.uses.append("answers held to a JSON schema" if held[0] == "json_schema" else "JSON mode")
        elif found.is_usable:
            found.without.append("answers that the server holds to a schema: it is asked in words, and checked")
        if states.get("tools") == "yes":
            found.uses.append("tools")
        else:
            found.without.append("tools: it judges by what the alert and the enrichers say")
        if states.get("system") != "yes":
            found.without.append("obedience to the system prompt: expect answers that have to be repaired")
        if not found.is_usable:
            found.without.append(
                "answers in the agreed form: written rules will decide, and verdicts will say that they are degraded"
            )

    async def _check(self, id: str, title: str, words: str, judge: Callable[[Reply], bool], **options: Any) -> bool:
        try:
            reply, took = await self._ask(words, **options)
        except ModelError as error:
            status = error.context.get("status")
            self._note(id, title, "no", f"refused ({status})" if status else error.code)
            return False
        is_good = judge(reply)
        self._note(id, title, "yes" if is_good else "no", f"{took.total_seconds():.2f} s")
        return is_good

    async def _ask(
        self,
        words: str,
        *,
        system: str = "",
        schema: Json | None = None,
        form: AnswerFormat = "text",
        tools: bool = False,
    ) -> tuple[Reply, timedelta]:
        messages: list[Message] = [{"role": "user", "text": words}]
        if system:
            messages.insert(0, {"role": "system", "text": system})
        request = ModelRequest(messages=messages, tools=[_TOOL] if tools else (), schema=schema)
        features = Features(tools=tools, format=form, temperature=self._temperature)
        began = self._model.clock.monotonic()
        try:
            reply = await self._once(request, features)
        except ModelError as error:
            # A model that thinks by itself takes no temperature.
            if error.code != "aurora.model.request" or not features.temperature:
                raise
            reply = await self._once(request, replace(features, temperature=False))
            self._temperature = False
        return reply, timedelta(seconds=self._model.clock.monotonic() - began)

    async def _once(self, request: ModelRequest, features: Features) -> Reply:
        deadline = self._model.settings.deadline
        try:
            return await within(deadline, lambda: self._model.wire.exchange(request, features), clock=self._model.clock)
        except TimeoutError:
            seconds = deadline.total_seconds()
            raise ModelTimeout(f"{self._model.name} did not answer within {seconds:g} s") from None

    async def _told_context(self) -> int | None:
        """Return the context length that the server tells in its list of models, as vLLM and llama.cpp do."""
        built = self._model.built
        if built.http is None or built.url is None:
            return None
        listing = f"{built.url.rstrip('/')}/models"
        try:
            reply = await within(timedelta(seconds=5), lambda: built.http.get(listing), clock=self._model.clock)
            listed = reply.json()["data"]
            mine = [each for each in listed if each.get("id") == built.model] or listed
            meta = mine[0].get("meta") or {}
            told = meta.get("n_ctx") or mine[0].get("max_model_len") or mine[0].get("context_length")
        except Exception:  # noqa: BLE001 - a server that does not tell may answer anything
            return None
        return told if isinstance(told, int) and 0 < told < 10**9 else None

    def _note(self, id: str, title: str, state: State, detail: str = "") -> None:
        self._found.checks.append(Check(id=id, title=title, state=state, detail=detail))
