"""All that authors of content import. Decorators make specs; discovery finds them; nothing registers itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aurora.sdk.agents import Agents, Answer
from aurora.sdk.context import RunContext, ToolContext
from aurora.sdk.migration import START, Migration
from aurora.sdk.spec import AgentSpec, EnricherSpec, GraphSpec, RuleSpec, Spec, ToolSpec
from aurora.sdk.steering import GiveUp, RetryWithHint

__all__ = [
    "START",
    "AgentSpec",
    "Agents",
    "Answer",
    "EnricherSpec",
    "GiveUp",
    "GraphSpec",
    "Migration",
    "RetryWithHint",
    "RuleSpec",
    "RunContext",
    "Spec",
    "ToolContext",
    "ToolSpec",
    "enricher",
    "rule",
    "tool",
]


def rule(*, id: str, version: str, title: str) -> Callable[[Callable[..., Any]], RuleSpec]:
    """Turn a function into a rule of the deterministic analyst; its docstring becomes the rule's text."""

    def decorate(function: Callable[..., Any]) -> RuleSpec:
        return RuleSpec(id=id, version=version, title=title, doc=inspect.getdoc(function) or "", function=function)

    return decorate


def enricher(
    *, id: str, version: str, title: str, timeout: timedelta = timedelta(seconds=10)
) -> Callable[[Callable[..., Any]], EnricherSpec]:
    """Turn a function into an enricher; its docstring becomes the enricher's text."""

    def decorate(function: Callable[..., Any]) -> EnricherSpec:
        doc = inspect.getdoc(function) or ""
        return EnricherSpec(id=id, version=version, title=title, doc=doc, function=function, timeout=timeout)

    return decorate


def tool(*, id: str, version: str, title: str) -> Callable[[Callable[..., Any]], ToolSpec]:
    """Turn an async function that returns findings into a tool of agents; its docstring is what the model reads."""

    def decorate(function: Callable[..., Any]) -> ToolSpec:
        return ToolSpec(id=id, version=version, title=title, doc=inspect.getdoc(function) or "", function=function)

    return decorate
