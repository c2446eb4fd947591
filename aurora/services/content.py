"""One piece of content, told in full as plain JSON values."""

from __future__ import annotations

from typing import Any

from aurora.discovery import Content
from aurora.kernel.errors import NotFound
from aurora.sdk.spec import AgentSpec, EnricherSpec, GraphSpec, RuleSpec, Spec, ToolSpec

Document = dict[str, Any]


def find(content: Content, id: str, *, kind: str | None = None) -> Spec:
    """Return the spec of an id.

    Args:
        content: What was found.
        id: Its id.
        kind: Its kind; needed where two kinds have that id.

    Raises:
        NotFound: there is none, or one of several kinds; the message says what to ask for.
    """
    groups = (content.graphs, content.agents, content.tools, content.rules, content.enrichers)
    found: list[Spec] = [group[id] for group in groups if id in group]
    if kind is not None:
        found = [each for each in found if each.kind == kind]
    if len(found) == 1:
        return found[0]
    if found:
        kinds = ", ".join(each.kind for each in found)
        raise NotFound(f"{id[:80]!r} is the id of several things: choose one with --kind ({kinds})")
    raise NotFound(f"there is no {kind or 'content'} {id[:80]!r}; `aurora content list` shows what there is")


def described(spec: Spec, content: Content) -> Document:
    """Return all that a spec says about itself, and what follows from it."""
    return {
        "id": spec.id,
        "kind": spec.kind,
        "version": spec.version,
        "title": spec.title,
        "risk": spec.risk,
        "origin": content.origins[spec.kind, spec.id],
        "file": spec.file,
        **_more(spec, content),
    }


def _more(spec: Spec, content: Content) -> Document:
    if isinstance(spec, AgentSpec):
        return {
            "description": spec.description,
            "prompt": spec.instructions.reference,
            "prompt_text": spec.instructions.text,
            "tools": [{"id": each, "title": content.tools[each].title} for each in spec.tools],
            "answer": spec.answer.model_json_schema(),
        }
    if isinstance(spec, ToolSpec):
        return {
            "doc": spec.doc,
            "arguments": spec.parameters.model_json_schema(),
            "agents": [each.id for each in content.agents.values() if spec.id in each.tools],
        }
    if isinstance(spec, GraphSpec):
        return {"description": spec.description, "nodes": list(spec.nodes), "world": list(spec.world)}
    if isinstance(spec, RuleSpec | EnricherSpec):
        return {"doc": spec.doc}
    return {}
