"""What is only seen when a graph is built: faults that would otherwise wait for the first run."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from aurora.discovery import Content
from aurora.sdk import GraphSpec
from aurora.services.content import graph_faults


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
