"""One piece of content, told in full as plain JSON values."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aurora.discovery import Content, ContentItem
from aurora.ingest.formats.base import Format
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import AuroraError, NotFound
from aurora.sdk.spec import AgentSpec, EnricherSpec, GraphSpec, RuleSpec, Spec, ToolSpec
from aurora.services.graph_input import state_types

Document = dict[str, Any]


def items(content: Content) -> list[ContentItem]:
    """Return all content, the formats that Aurora reads among it; those have the version that they come with."""
    return [*content.items(), *(_item(each) for each in Formats())]


def graph_faults(content: Content) -> Iterator[str]:
    """Yield what keeps a graph from being run as its spec says: found only by building it, so not at every start."""
    for spec in (each for versions in content.graph_versions.values() for each in versions.values()):
        try:
            state_types(spec)
            built = spec.build()
            built.compile()
        except AuroraError as error:
            yield error.message
        except Exception as error:  # noqa: BLE001 - a plugin's code; whatever it raises is the fault
            yield f"{spec.file}: graph '{spec.id}' cannot be built: {type(error).__name__}: {error}"
        else:
            if set(built.nodes) != set(spec.nodes):
                told, there = ", ".join(sorted(spec.nodes)), ", ".join(sorted(built.nodes))
                yield f"{spec.file}: graph '{spec.id}': its spec names the nodes {told}, but it is built of {there}"


def find(content: Content, id: str, *, kind: str | None = None, version: str | None = None) -> Spec | Format:
    """Return the spec of an id, of a graph the newest one, or the format.

    Args:
        content: What was found.
        id: Its id.
        kind: Its kind; needed where two kinds have that id.
        version: Its version; only graphs are kept in several.

    Raises:
        NotFound: there is none, or one of several kinds; the message says what to ask for.
    """
    groups = (content.graphs, content.agents, content.tools, content.rules, content.enrichers)
    found: dict[str, Spec | Format] = {group[id].kind: group[id] for group in groups if id in group}
    found.update(("format", each) for each in Formats() if each.id == id)
    if version is not None:
        known = {each.kind: each for each in content.graph_versions.get(id, {}).values() if each.version == version}
        found = {each: known.get(each, spec) for each, spec in found.items()}
        found = {each: spec for each, spec in found.items() if getattr(spec, "version", None) == version}
    if kind is not None:
        found = {each: spec for each, spec in found.items() if each == kind}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        kinds = ", ".join(found)
        raise NotFound(f"{id[:80]!r} is the id of several things: choose one with --kind ({kinds})")
    which = f"{kind or 'content'} {id[:80]!r}{'' if version is None else f' of version {version[:40]!r}'}"
    raise NotFound(f"there is no {which}; `aurora content list` shows what there is")


def described(spec: Spec | Format, content: Content) -> Document:
    """Return all that a spec or a format says about itself, and what follows from it."""
    if not isinstance(spec, Spec):
        item = _item(spec)
        return {
            "id": item.id,
            "kind": item.kind,
            "version": item.version,
            "title": spec.title,
            "risk": item.risk,
            "origin": item.origin,
            "file": item.file,
            "doc": inspect.getdoc(type(spec)) or "",
        }
    return {
        "id": spec.id,
        "kind": spec.kind,
        "version": spec.version,
        "title": spec.title,
        "risk": spec.risk,
        "origin": content.origin_of(spec),
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
        versions = content.graph_versions[spec.id]
        return {
            "description": spec.description,
            "nodes": list(spec.nodes),
            "world": list(spec.world),
            "older_versions": [each.version for each in versions.values() if each.order < spec.order],
            "migrates_from": [each.from_version for each in spec.migrations],
        }
    if isinstance(spec, RuleSpec | EnricherSpec):
        return {"doc": spec.doc}
    return {}


def _item(format: Format) -> ContentItem:
    try:
        ours = version("aurora-soc")
    except PackageNotFoundError:  # a source tree
        ours = "0+source"
    return ContentItem(
        id=format.id, kind="format", version=ours, risk="T0", file=inspect.getfile(type(format)), origin="aurora"
    )
