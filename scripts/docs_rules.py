"""The reference of rules and enrichers, written from their own docstrings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

import agents.enrichers
import agents.rules
from agents import analyst
from aurora.sdk.spec import EnricherSpec, RuleSpec, Spec

PAGE = "docs/reference/rules.md"
"""Where the text belongs, from the root of the repository."""

_Spec = TypeVar("_Spec", bound=Spec)


def text() -> str:
    """Return the page: rules by theme, then enrichers, each with its docstring."""
    rules = collected(agents.rules, RuleSpec)
    lines = [
        "# Rules of the deterministic analyst",
        "",
        "Written by `make docs` from the rules' own docstrings; do not edit. How weights become a verdict:",
        "[verdicts](../explanation/verdicts.md).",
        "",
        "Weights are decibans: +10 makes malice ten times as likely, -10 a tenth. An alert is",
        f"malicious from {analyst.MALICIOUS:+g}, suspicious from {analyst.SUSPICIOUS:+g}, and benign from",
        f"{analyst.BENIGN:+g} down. Of each theme, the part of an id before the dot, only the strongest raise",
        "and the strongest lowering count.",
        "",
    ]
    themes = sorted({analyst.theme(rule.id) for rule in rules})
    for theme in themes:
        mine = [rule for rule in rules if analyst.theme(rule.id) == theme]
        lines += [f"## {theme.capitalize()}", ""]
        for rule in mine:
            lines += _entry(rule, rule.doc)
    lines += ["## Enrichers", "", "They find evidence; they weigh nothing.", ""]
    for enricher in collected(agents.enrichers, EnricherSpec):
        lines += _entry(enricher, enricher.doc)
    return "\n".join(lines).rstrip() + "\n"


def collected(package: ModuleType, kind: type[_Spec]) -> list[_Spec]:
    """Return the specs of `kind` that the modules of `package` make, in id order."""
    found = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for each in vars(importlib.import_module(info.name)).values():
            if isinstance(each, kind):
                found[each.id] = each
    return [found[known] for known in sorted(found)]


def _entry(spec: Spec, doc: str) -> list[str]:
    return [f"### `{spec.id}`, version {spec.version}", "", f"**{spec.title}.** {inspect.cleandoc(doc)}", ""]
