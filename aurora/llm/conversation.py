"""One agent's conversation with the model: think, use tools, answer, and mend the answer if it must be.

Its course follows from the journalled answers alone. So all that could differ in a replay happens where the
journal asks: what the budget allows, how long it took, what the server can do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from aurora.kernel.canonical import canonical
from aurora.kernel.evidence import Evidence
from aurora.kernel.models import ModelUse
from aurora.kernel.ports.journal import Journal
from aurora.kernel.untrusted import UntrustedText
from aurora.llm import house
from aurora.llm.budget import Budget
from aurora.llm.errors import BudgetExceeded, ModelError, ModelGarbled, ModelRefused, ModelTimeout
from aurora.llm.framing import disarmed, frame
from aurora.llm.open import OpenModel
from aurora.llm.request import Json, Message, ModelRequest, Reply, ToolCall
from aurora.llm.structured import Unusable, answer_schema, described, parse_answer
from aurora.llm.toolbox import UNKNOWN, Toolbox, evidence_of, shown
from aurora.sdk import AgentSpec

ROUNDS = 4
"""Times that a model may call tools before it must answer."""

REPAIRS = 2
"""Times that it is told what is wrong with its answer."""

_LONGEST_TURN = 8000
"""Characters of what the model wrote that it is shown again."""
_LONGEST_RESULT = 8000
_SLACK = timedelta(milliseconds=50)
"""Between the clock that rings and the one that measures."""


class Conversation:
    """Asks one agent once.

    Args:
        agent: Who is asked.
        data: What it is asked about.
        model: The model.
        journal: Keeps each answer.
        toolbox: Of the agent.
        budget: Of the run.
        generator: Draws the pauses between attempts.
        scope: Where in the run, for the journal.
    """

    def __init__(
        self,
        agent: AgentSpec,
        data: Mapping[str, Any],
        *,
        model: OpenModel,
        journal: Journal,
        toolbox: Toolbox,
        budget: Budget,
        generator: random.Random,
        scope: str,
    ) -> None:
        self._agent = agent
        self._model = model
        self._journal = journal
        self._toolbox = toolbox
        self._budget = budget
        self._generator = generator
        self._scope = scope
        self._made: dict[bytes, str] = {}
        self._calls = self._tool_calls = self._input = self._output = 0
        self._cost: Decimal | None = Decimal(0)
        self._took = timedelta()
        self.findings: list[Evidence] = []
        """What the tools found."""
        self._thoughts: list[str] = []
        think = house.THINK if toolbox.schemas else house.THINK_ALONE
        self._messages: list[Message] = [
            {"role": "system", "text": house.paragraphs(agent.instructions.text, house.RULES)},
            {"role": "user", "text": house.paragraphs(frame("data", data), think)},
        ]

    @property
    def thoughts(self) -> UntrustedText:
        """What the model wrote before its answer."""
        return UntrustedText(house.paragraphs(*self._thoughts))

    def use(self) -> ModelUse:
        """Return the account."""
        return ModelUse(
            model=self._model.name,
            prompt=self._agent.instructions.reference,
            calls=self._calls,
            tool_calls=self._tool_calls,
            input_tokens=self._input,
            output_tokens=self._output,
            cost_usd=self._cost,
            took_ms=round(self._took.total_seconds() * 1000),
        )

    async def think(self) -> None:
        """Let the model think and call tools, a few rounds at most.

        Raises:
            ModelError: it cannot be asked.
        """
        for _ in range(ROUNDS):
            try:
                reply = await self._ask(tools=self._toolbox.schemas)
            except ModelGarbled:  # no thoughts, then
                self._say("assistant", house.NO_NOTES)
                return
            thought = reply.text[:_LONGEST_TURN].strip()
            if thought:
                self._thoughts.append(thought)
            calls = reply.calls if self._toolbox.schemas else ()
            if not calls:
                self._say("assistant", disarmed(thought) or house.NO_NOTES)
                return
            await self._round(reply, calls)

    async def answer(self) -> BaseModel:
        """Return the model's answer.

        Raises:
            ModelError: there is none; `ModelGarbled`: there is none in the agreed form after all repairs.
        """
        form = self._agent.answer
        schema, words = answer_schema(form), described(form)
        self._say("user", house.answer_now(words))
        for repairs_left in range(REPAIRS, -1, -1):
            try:
                reply = await self._ask(schema=schema)
            except ModelGarbled:
                if not repairs_left:
                    raise
                continue  # there is nothing to show it: ask the same again
            try:
                return parse_answer(reply.text, form)
            except Unusable as unusable:
                self._say("assistant", disarmed(reply.text[:_LONGEST_TURN]) or house.NO_NOTES)
                faults = [{"field": each.field, "problem": each.problem} for each in unusable.faults]
                if reply.is_cut:
                    faults.append({"field": "", "problem": "it was cut off before its end: be much shorter"})
                self._say("user", house.answer_again(faults, words))
        raise ModelGarbled(f"{self._model.name} gave no answer in the agreed form after {REPAIRS} repairs")

    def _say(self, role: Any, words: str) -> None:
        self._messages.append({"role": role, "text": words})

    async def _round(self, reply: Reply, calls: tuple[ToolCall, ...]) -> None:
        """Carry out the calls of one reply, in order, and say what came of each."""
        self._budget.spend(rounds=1)
        turn: Message = {"role": "assistant", "text": disarmed(reply.text[:_LONGEST_TURN]), "calls": []}
        self._messages.append(turn)
        results: list[Message] = []
        for call in calls:
            self._tool_calls += 1
            # What the provider calls it is drawn at random.
            number = f"call-{self._tool_calls}"
            name = call.name if self._toolbox.find(call) else UNKNOWN
            turn["calls"].append({"id": number, "name": name, "arguments": _quotable(call.arguments or {})})
            results.append({"role": "tool", "call": number, "text": await self._call(call)})
        if reply.more_calls:
            note = f"{reply.more_calls:,} more calls were not carried out: too many at a time"
            results[-1]["text"] = "\n".join([results[-1]["text"], frame("tool_result", {"error": note})])
        self._messages.extend(results)

    async def _call(self, call: ToolCall) -> str:
        tool = self._toolbox.find(call)
        if tool is None:
            return _problem("there is no such tool")
        arguments = self._toolbox.arguments(tool, call)
        if isinstance(arguments, str):
            return _problem(arguments)
        given = arguments.model_dump(mode="json")
        request = {"tool": tool.id, "version": tool.version, "arguments": given}
        key = canonical(request)
        if key in self._made:
            return _problem(f"you made this call before; its result has not changed: {self._made[key]}")

        async def perform() -> Json:
            try:
                self._budget.check()
            except BudgetExceeded as error:
                return {"failure": error.code, "took_ms": 0}
            return await self._toolbox.perform(tool, arguments, left=self._budget.wall_left)

        answer = await self._journal.answer(
            scope=self._scope, kind="tool", name=tool.id, request=request, perform=perform
        )
        took = timedelta(milliseconds=answer["took_ms"])
        self._took += took
        self._budget.spend(took=took)
        if answer.get("failure") == BudgetExceeded.code:
            raise BudgetExceeded("the run's budget is used up")
        if "hint" in answer:
            return _problem(answer["hint"])
        if "failure" in answer:
            return _problem(f"the tool failed ({answer['failure']})")
        evidence = evidence_of(answer["findings"], first=len(self.findings) + 1)
        self.findings.extend(evidence)
        self._made[key] = ", ".join(each.id for each in evidence) or "nothing found"
        return frame("tool_result", {"findings": [shown(each) for each in evidence]}, limit=_LONGEST_RESULT)

    async def _ask(self, *, tools: list[Json] | None = None, schema: Json | None = None) -> Reply:
        """Ask the model, or the journal if it has been asked before.

        Raises:
            ModelError: there is no reply.
        """
        settings = self._model.settings
        request: Json = {
            "model": self._model.name,
            "prompt": self._agent.instructions.reference,
            "rules": house.REFERENCE,
            "temperature": settings.temperature,
            "max_output_tokens": settings.max_output_tokens,
            "messages": [dict(each) for each in self._messages],
            "tools": tools or [],
            "schema": schema,
        }
        asked = ModelRequest(messages=list(self._messages), tools=tools or (), schema=schema)
        answer = await self._journal.answer(
            scope=self._scope,
            kind="model",
            name=self._model.name,
            request=request,
            perform=lambda: self._perform(asked),
        )
        self._account(answer)
        if "failure" in answer:
            raise _ERRORS.get(answer["failure"], ModelError)(f"{self._model.name}: {answer['failure']}")
        return Reply(
            text=answer["text"],
            calls=tuple(ToolCall(name=each["name"], arguments=each["arguments"]) for each in answer["calls"]),
            more_calls=answer["more_calls"],
            input_tokens=answer["input_tokens"],
            output_tokens=answer["output_tokens"],
            is_cut=answer["is_cut"],
        )

    async def _perform(self, request: ModelRequest) -> Json:
        try:
            self._budget.check()
        except BudgetExceeded as error:
            return {"failure": error.code, "limit": error.context["limit"], "took_ms": 0}
        left = self._budget.wall_left
        outcome = await self._model.line.ask(request, left=left, generator=self._generator)
        took = {"took_ms": round(outcome.took.total_seconds() * 1000), "attempts": outcome.attempts}
        reply = outcome.reply
        if reply is None:
            assert outcome.error is not None
            if isinstance(outcome.error, ModelTimeout) and outcome.took + _SLACK >= left:
                return {"failure": BudgetExceeded.code, "limit": "wall"} | took
            return {"failure": outcome.error.code} | took
        price = self._model.built.price(reply.input_tokens, reply.output_tokens)
        paid = {
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "are_estimated": reply.are_estimated,
            "cost_usd": None if price is None else format(price, "f"),
        }
        if reply.refusal:
            return {"failure": ModelRefused.code} | took | paid
        calls = [{"name": each.name, "arguments": each.arguments} for each in reply.calls]
        return (
            {"text": reply.text, "calls": calls, "more_calls": reply.more_calls, "is_cut": reply.is_cut} | took | paid
        )

    def _account(self, answer: Json) -> None:
        took = timedelta(milliseconds=answer["took_ms"])
        tokens_in, tokens_out = answer.get("input_tokens", 0), answer.get("output_tokens", 0)
        was_asked = "attempts" in answer
        self._calls += was_asked
        self._took += took
        self._input += tokens_in
        self._output += tokens_out
        stated = answer.get("cost_usd", "0")
        usd = None if stated is None else Decimal(stated)
        self._cost = None if usd is None or self._cost is None else self._cost + usd
        self._budget.spend(calls=int(was_asked), tokens=tokens_in + tokens_out, usd=usd, took=took)


def _quotable(value: Any) -> Any:
    """Return the arguments of a call as the model may be shown them again."""
    if isinstance(value, str):
        return disarmed(value)
    if isinstance(value, dict):
        return {disarmed(key): _quotable(each) for key, each in value.items()}
    return [_quotable(each) for each in value] if isinstance(value, list) else value


def _problem(words: str) -> str:
    return frame("tool_result", {"error": words}, limit=1000)


_ERRORS: dict[str, type[ModelError]] = {kind.code: kind for kind in ModelError.__subclasses__()}
