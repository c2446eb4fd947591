"""LangGraph's own tools open our graphs: every entry of langgraph.json loads the way their server loads it."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from blockbuster import blockbuster_ctx

from aurora.discovery import discover_content
from aurora.kernel.errors import NotFound
from aurora.studio import graph_factory

ROOT = Path(__file__).parents[2]
ENTRIES = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"]


@pytest.fixture
def load(monkeypatch):
    """Load a module from its path, under a name made from the path, as `langgraph dev` does."""

    def load(path: str) -> ModuleType:
        name = path.replace("/", "__").replace(".py", "").lstrip(".")
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize("graph", ENTRIES)
async def test_an_entry_opens_as_the_graph_that_discovery_finds(load, graph) -> None:
    path, _, variable = ENTRIES[graph].partition(":")
    factory = vars(load(path))[variable]
    await asyncio.to_thread(__import__, "langgraph.graph")  # the server has imported it before it opens graphs

    with blockbuster_ctx():  # the server forbids blocking calls on its loop, and so do we
        made = factory()
        compiled = await made if inspect.isawaitable(made) else made

    drawn = compiled.get_graph()
    assert set(drawn.nodes) - {"__start__", "__end__"} == set(discover_content(plugins=()).graphs[graph].nodes)
    assert "load" in drawn.draw_mermaid()
    assert compiled.checkpointer is None, "those tools bring their own"
    assert compiled.name == graph


def test_every_graph_of_aurora_has_an_entry() -> None:
    assert set(ENTRIES) == set(discover_content(plugins=()).graphs)


async def test_a_graph_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="there is no graph 'nosuch'; there are triage"):
        await graph_factory("nosuch")()
