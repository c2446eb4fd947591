"""How a node asks an agent, and what comes back: an answer in the agreed form, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from aurora.kernel.evidence import Evidence
from aurora.kernel.models.model_use import ModelUse
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.spec import AgentSpec

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[AnswerT]):
    """What came of asking an agent. A model that fails is no error: the caller goes on without it, visibly."""

    value: AnswerT | None
    """The answer, valid in the form that the agent's spec names; `None` if there is none."""

    failure: str | None = None
    """Code of the reason why there is none, e.g. `aurora.model.timeout`; `None` exactly if there is a value."""

    exhausted: bool = False
    """Whether the reason is that the run's budget is used up: then a person must look."""

    findings: tuple[Evidence, ...] = ()
    """What the tools found, as evidence with ids `t1`, `t2`, … that the answer may cite."""

    thoughts: UntrustedText = field(default=UntrustedText(""))
    """What the model wrote before it answered; for people who debug, evidence of nothing."""

    use: ModelUse
    """What was asked of which model, and what it cost."""


class Agents(Protocol):
    """Runs agents on the configured chat model: within the run's budget, with every answer journalled."""

    @property
    def model(self) -> str | None:
        """Name of the model, `provider:name`; `None`: none is configured, and every node must do without."""

    async def ask(self, agent: AgentSpec, data: Mapping[str, Any], *, scope: str = "") -> Answer[Any]:
        """Let an agent think, use its tools, and answer. Safe to call again when a node runs twice.

        Args:
            agent: Who is asked: its prompt, its tools, the form of its answer.
            data: JSON values, from outside or not: all of it is shown to the model as data, never as instructions.
            scope: Tells apart calls of the same agent that may happen at the same time; part of the journal's key.

        Returns:
            The answer, or why there is none. Nothing that a model or its provider does raises.

        Raises:
            ConfigError: no model is configured, or the agent names a tool that does not exist.
            LeaseLost: another worker owns the run now.
            StorageUnavailable: the journal cannot be written.
        """
