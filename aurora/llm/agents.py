"""Agents on a chat model: they think with tools, then answer in their form; every answer is journalled."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.errors import ConfigError
from aurora.kernel.ports.journal import Journal
from aurora.llm.budget import Budget
from aurora.llm.conversation import Conversation
from aurora.llm.errors import BudgetExceeded, ModelError
from aurora.llm.open import OpenModel
from aurora.llm.request import Json
from aurora.llm.toolbox import Toolbox
from aurora.sdk import Agents, AgentSpec, Answer, ToolContext, ToolSpec
from aurora.settings import BudgetSettings, ModelSettings


class NoAgents:
    """Stands where agents would, when no model is configured."""

    @property
    def model(self) -> str | None:
        return None

    async def ask(self, agent: AgentSpec, data: Mapping[str, Any], *, scope: str = "") -> Answer[Any]:
        raise ConfigError("no model is configured: name one with --model provider:name or AURORA_MODEL__NAME")


class ModelAgents:
    """Implements `Agents` for one run.

    Args:
        model: The model of this process.
        journal: Of this run.
        tools: All tools, by id.
        context: What tools may read.
        budget: What this run may use up, all its agents together.
        generator: Draws the pauses between attempts.
    """

    def __init__(
        self,
        *,
        model: OpenModel,
        journal: Journal,
        tools: Mapping[str, ToolSpec],
        context: ToolContext,
        budget: BudgetSettings,
        generator: random.Random,
    ) -> None:
        self._model = model
        self._journal = journal
        self._tools = tools
        self._context = context
        self._budget = Budget(budget)
        self._generator = generator

    @property
    def model(self) -> str | None:
        return self._model.name

    async def ask(self, agent: AgentSpec, data: Mapping[str, Any], *, scope: str = "") -> Answer[Any]:
        toolbox = Toolbox(agent, tools=self._tools, context=self._context, clock=self._model.clock)
        conversation = Conversation(
            agent,
            data,
            model=self._model,
            journal=self._journal,
            toolbox=toolbox,
            budget=self._budget,
            generator=self._generator,
            scope=f"{agent.id}/{scope}" if scope else agent.id,
        )
        value = failure = None
        try:
            await conversation.think()
            value = await conversation.answer()
        except ModelError as error:
            failure = error.code
        return Answer(
            value=value,
            failure=failure,
            exhausted=failure == BudgetExceeded.code,
            findings=tuple(conversation.findings),
            thoughts=conversation.thoughts,
            use=conversation.use(),
        )


def replaying_agents(
    recorded: Json | None,
    *,
    journal: Journal,
    tools: Mapping[str, ToolSpec],
    context: ToolContext,
    clock: Clock,
) -> Agents:
    """Return agents that know what was answered, and can ask nobody: no package, key or server is needed.

    Args:
        recorded: A request to a model that the run journalled; `None`: it asked no model.
        journal: Has every answer, and never asks for another.
        tools: All tools, by id; they are not called.
        context: Handed to no tool.
        clock: Not looked at.
    """
    if recorded is None:
        return NoAgents()
    settings = ModelSettings(
        name=recorded["model"],
        temperature=recorded["temperature"],
        max_output_tokens=recorded["max_output_tokens"],
    )
    return ModelAgents(
        model=OpenModel(settings, clock=clock, chat=_Nobody()),
        journal=journal,
        tools=tools,
        context=context,
        budget=BudgetSettings(),
        generator=random.Random(0),  # noqa: S311 - draws nothing
    )


class _Nobody:
    """Stands for the model in a replay."""
