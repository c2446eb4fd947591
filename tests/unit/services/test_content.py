"""What is only seen when a graph is built: faults that would otherwise wait for the first run."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from aurora.discovery import Content
from aurora.kernel.errors import NotFound
from aurora.sdk import GraphSpec, Migration
from aurora.services.content import described, find, graph_faults


class State(TypedDict, total=False):
    text: str


class Unknown(TypedDict, total=False):
    text: Nowhere  # noqa: F821 - what a forgotten import looks like


async def read(state: State) -> State:
    """Read."""
    return state


def built() -> Any:
    graph = StateGraph(State)
    graph.add_node("read", read)
    graph.add_edge(START, "read")
    graph.add_edge("read", END)
    return graph


def without_a_start() -> Any:
    graph = StateGraph(State)
    graph.add_node("read", read)
    return graph


def broken() -> Any:
    return {}["nodes"]


def faults(**changed: Any) -> list[str]:
    given = {"build": built, "state": State, "nodes": ("read",), "outcome": lambda _: None} | changed
    spec = GraphSpec(id="g", version="1", title="G", description="Reads.", **given)
    content = Content(
        graphs={"g": spec}, agents={}, tools={}, rules={}, enrichers={}, origins={("graph", "g"): "test"}, untrusted=()
    )
    return list(graph_faults(content))


def test_a_graph_that_is_built_as_its_spec_says_has_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nodes": ("read", "judge")}, "its spec names the nodes judge, read, but it is built of read"),
        ({"state": Unknown}, "the types of its state cannot be found"),
        ({"build": without_a_start}, "cannot be built: ValueError"),
        ({"build": broken}, "cannot be built: KeyError"),
    ],
)
def test_a_graph_that_could_not_be_run_is_a_fault_that_names_it(changed, told) -> None:
    (fault,) = faults(**changed)

    assert "graph 'g'" in fault
    assert told in fault


def kept() -> Content:
    """Return content with a graph in two versions, the older of which cannot be built."""
    one, two = (
        GraphSpec(id="g", version=version, title="G", description="Reads.", state=State, nodes=("read",), **given)
        for version, given in [
            ("1", {"build": broken}),
            ("2", {"build": built, "migrations": (Migration(from_version="0", state=dict),)}),
        ]
    )
    nothing: dict[str, Any] = {"agents": {}, "tools": {}, "rules": {}, "enrichers": {}}
    return Content(graphs={"g": two}, origins={("graph", "g"): "test"}, older={("g", "1"): (one, "acme")}, **nothing)


def test_a_version_that_is_kept_for_old_runs_must_be_fit_to_run_too() -> None:
    (fault,) = graph_faults(kept())

    assert "graph 'g' cannot be built: KeyError" in fault


def test_a_graph_is_described_with_its_versions_and_each_version_can_be_asked_for() -> None:
    content = kept()

    newest, older = (described(find(content, "g", version=version), content) for version in (None, "1"))

    assert (newest["version"], newest["origin"], newest["older_versions"]) == ("2", "test", ["1"])
    assert newest["migrates_from"] == ["0"]
    assert (older["version"], older["origin"]) == ("1", "acme")
    with pytest.raises(NotFound, match="no content 'g' of version '3'"):
        find(content, "g", version="3")
