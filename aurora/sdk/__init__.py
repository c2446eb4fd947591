"""All that authors of content import. Decorators make specs; discovery finds them; nothing registers itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from aurora.sdk.spec import AgentSpec, EnricherSpec, GraphSpec, RuleSpec, Spec

__all__ = ["AgentSpec", "EnricherSpec", "GraphSpec", "RuleSpec", "Spec", "enricher", "rule"]


def rule(*, id: str, version: str, title: str) -> Callable[[Callable[..., Any]], RuleSpec]:
    """Turn a function into a rule of the deterministic analyst; its docstring becomes the rule's text."""

    def decorate(function: Callable[..., Any]) -> RuleSpec:
        return RuleSpec(id=id, version=version, title=title, doc=inspect.getdoc(function) or "", function=function)

    return decorate


def enricher(*, id: str, version: str, title: str) -> Callable[[Callable[..., Any]], EnricherSpec]:
    """Turn a function into an enricher; its docstring becomes the enricher's text."""

    def decorate(function: Callable[..., Any]) -> EnricherSpec:
        return EnricherSpec(id=id, version=version, title=title, doc=inspect.getdoc(function) or "", function=function)

    return decorate
