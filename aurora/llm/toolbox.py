"""The tools of one agent: how a model sees them, and what becomes of a call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from aurora.kernel.clock import Clock
from aurora.kernel.deadline import within
from aurora.kernel.errors import AuroraError, ConfigError, LeaseLost, StorageUnavailable
from aurora.kernel.evidence import Evidence, Finding
from aurora.kernel.untrusted import UntrustedText, clean, quoted
from aurora.llm.request import Json, ToolCall
from aurora.sdk import AgentSpec, ToolContext, ToolSpec
from aurora.sdk.steering import Steering

UNKNOWN = "unknown_tool"
"""Stands in the conversation for a name that no tool has: servers check names."""

DEADLINE = timedelta(seconds=20)
"""Longest time that one call may take; a tool asks our own database."""

_MOST_FINDINGS = 20
_LONGEST_TEXT = 2000
_FAILED = "aurora.tool.failed"

log = logging.getLogger(__name__)


class Toolbox:
    """The tools that an agent may call.

    Args:
        agent: Whose tools.
        tools: All there are, by id.
        context: What they may read.
        clock: Measures and bounds them.

    Raises:
        ConfigError: the agent names a tool that does not exist, or two that a model could not tell apart.
    """

    def __init__(self, agent: AgentSpec, *, tools: Mapping[str, ToolSpec], context: ToolContext, clock: Clock) -> None:
        if missing := [each for each in agent.tools if each not in tools]:
            raise ConfigError(f"agent {agent.id} names tools that do not exist: {', '.join(missing)}", agent=agent.id)
        # Providers allow letters, digits, `_` and `-` in the name of a function, and no dot.
        self._tools = {each.replace(".", "_"): tools[each] for each in agent.tools}
        if len(self._tools) != len(agent.tools):
            raise ConfigError(f"agent {agent.id} has tools whose names differ by a dot only", agent=agent.id)
        self._context = context
        self._clock = clock
        self.schemas = [_schema(name, spec) for name, spec in self._tools.items()]

    def find(self, call: ToolCall) -> ToolSpec | None:
        """Return the tool that a call means."""
        return self._tools.get(call.name)

    def arguments(self, tool: ToolSpec, call: ToolCall) -> BaseModel | str:
        """Return the arguments of a call, or what is wrong with them."""
        if call.arguments is None:
            return "the arguments were no JSON object, or too long"
        try:
            return tool.parameters.model_validate(call.arguments)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            return f"wrong arguments: {quoted(path, limit=60)}: {quoted(first['msg'])}"

    async def perform(self, tool: ToolSpec, arguments: BaseModel, *, left: timedelta) -> Json:
        """Call a tool and return what it found, what it hints at, or the code of its failure.

        Raises:
            LeaseLost: another worker owns the run now.
            StorageUnavailable: the database is away, which is no answer of the tool.
        """
        began = self._clock.monotonic()
        given = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        try:
            found = await within(
                min(DEADLINE, left), lambda: tool.function(context=self._context, **given), clock=self._clock
            )
            answer: Json = {"findings": [_kept(each).model_dump(mode="json") for each in found[:_MOST_FINDINGS]]}
        except (LeaseLost, StorageUnavailable):
            raise
        except Steering as steering:
            answer = {"hint": clean(str(steering.hint))[:400]}
        except Exception as error:  # noqa: BLE001 - a tool is a plugin's code: whatever it raises ends its call only
            code = error.code if isinstance(error, AuroraError) else _FAILED
            log.warning("tool.failed", extra={"tool": tool.id, "code": code, "error": type(error).__name__})
            answer = {"failure": code}
        return answer | {"took_ms": round((self._clock.monotonic() - began) * 1000)}


def evidence_of(findings: Sequence[Json], *, first: int) -> list[Evidence]:
    """Return what a tool found as evidence `t<first>`, …"""
    return [Evidence(id=f"t{first + n}", **finding) for n, finding in enumerate(findings)]


def shown(evidence: Evidence) -> Json:
    """Return a piece of evidence as a model sees it."""
    return evidence.model_dump(mode="json", exclude_none=True)


def _kept(finding: Any) -> Finding:
    if not isinstance(finding, Finding):
        raise TypeError(f"a tool returns findings, not {type(finding).__name__}")
    kept = str.__str__(finding.text)[:_LONGEST_TEXT]
    return Finding(
        kind=finding.kind,
        provenance=finding.provenance,
        text=UntrustedText(kept),
        source=finding.source,
        attributes={name: each[:_LONGEST_TEXT] for name, each in finding.attributes.items()},
    )


def _schema(name: str, spec: ToolSpec) -> Json:
    parameters = spec.parameters.model_json_schema()
    parameters.pop("title", None)
    return {"type": "function", "function": {"name": name, "description": spec.doc, "parameters": parameters}}
