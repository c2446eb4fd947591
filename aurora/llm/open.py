"""The model of a process: what all runs share of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aurora.dispatch.circuit_policy import CircuitPolicy
from aurora.dispatch.circuits import Circuits
from aurora.kernel.clock import Clock
from aurora.kernel.ports.journal import Journal
from aurora.llm.call import Line
from aurora.llm.factory import BuiltModel, build_model
from aurora.llm.prices import free
from aurora.llm.providers import PROVIDERS, provider_of
from aurora.llm.wire import ChatWire
from aurora.sdk import Agents, ToolContext, ToolSpec
from aurora.settings import BudgetSettings, ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel


class OpenModel:
    """A model that can be asked: built at the first request, guarded by one breaker, and learning what it can do.

    Args:
        settings: Which model, and how long, how often and how many at a time.
        clock: Time for deadlines, pauses and breakers.
        circuits: The breakers, if the process has some already.
        chat: A model to use instead of the one that the settings name: a script of `aurora.testing`. The name
            is then a name and nothing more.

    Raises:
        ConfigError: nobody knows the provider.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        clock: Clock,
        circuits: Circuits | None = None,
        chat: Any = None,
    ) -> None:
        assert settings.name is not None
        provider, _ = provider_of(settings.name) if chat is None else (PROVIDERS[0], "")
        self.name = settings.name
        self.settings = settings
        self.clock = clock
        key = f"model:{provider.id if settings.url is None else _host(settings.url)}"
        self.circuits = circuits or Circuits(clock=clock, policies={"model": breaker_policy(settings)})
        scripted = (
            None
            if chat is None
            else BuiltModel(chat=chat, provider=provider, model=settings.name, url=None, price=free)
        )
        self.wire = ChatWire(
            lambda: scripted or build_model(settings),
            name=settings.name,
            formats=provider.formats,
            temperature=settings.temperature if provider.wire == "openai" else None,
            max_answer_bytes=settings.max_answer_bytes,
            clock=clock,
        )
        self.line = Line(
            self.wire.send,
            key=key,
            circuits=self.circuits,
            concurrency=settings.concurrency,
            deadline=settings.deadline,
            attempts=settings.attempts,
            clock=clock,
        )

    @property
    def built(self) -> BuiltModel:
        """The chat model and what is known of it; building it asks nothing of any server.

        Raises:
            ConfigError: it cannot be built; the message says what is missing.
        """
        return self.wire.built


def breaker_policy(settings: ModelSettings) -> CircuitPolicy:
    """Return what the breaker of a model tolerates: it is slow when it takes as long as a request may."""
    return CircuitPolicy(slow_call=settings.deadline, probe_deadline=settings.deadline * 2)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


class Models:
    """What runs get their agents from."""

    def __init__(self, model: OpenModel | None) -> None:
        self.model = model
        """`None`: no model is configured."""

    def agents(
        self,
        *,
        journal: Journal,
        tools: Mapping[str, ToolSpec],
        context: ToolContext,
        budget: BudgetSettings,
        generator: random.Random,
    ) -> Agents:
        """Return the agents of one run; without a model, some that refuse to be asked.

        Args:
            journal: Of this run.
            tools: All tools, by id; each agent gets those it names.
            context: What tools may read.
            budget: What this run may use up.
            generator: Draws the pauses between attempts.
        """
        from aurora.llm.agents import ModelAgents, NoAgents  # noqa: PLC0415 - only runs need them

        if self.model is None:
            return NoAgents()
        return ModelAgents(
            model=self.model, journal=journal, tools=tools, context=context, budget=budget, generator=generator
        )


@asynccontextmanager
async def open_models(
    settings: ModelSettings,
    *,
    clock: Clock,
    circuits: Circuits | None = None,
    chat: BaseChatModel | None = None,
) -> AsyncIterator[Models]:
    """Open the model that the settings name, if they name one, and close its connections in the end.

    Nothing is imported, built or asked before a run needs it; `models.model.built` builds it now, for
    those who would rather know at once that a key is missing.

    Args:
        settings: Which model.
        clock: Time for deadlines, pauses and breakers.
        circuits: The breakers, if the process has some already.
        chat: A model to use instead: a script of `aurora.testing`.

    Raises:
        ConfigError: nobody knows the provider.
    """
    if settings.name is None:
        yield Models(None)
        return
    model = OpenModel(settings, clock=clock, circuits=circuits, chat=chat)
    try:
        yield Models(model)
    finally:
        await model.wire.aclose()
