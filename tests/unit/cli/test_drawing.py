"""Graphs with choices, loops and parallel nodes are drawn right too."""

from __future__ import annotations

import io
from typing import Any, TypedDict
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from aurora.cli._drawing import print_drawing
from aurora.cli._layout import layout
from aurora.cli._svg import draw_svg
from aurora.sdk import GraphSpec


class State(TypedDict, total=False):
    value: int


async def plan(state: State) -> State:
    """Plan <the> hunt & more. A second sentence is left out."""
    return state


async def sweep(state: State) -> State:
    """Look in one place."""
    return state


async def pivot(state: State) -> State:
    return state


async def weigh(state: State) -> State:
    """Weigh it."""
    return state


def build() -> Any:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for node in (plan, sweep, pivot, weigh):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "sweep")
    graph.add_edge("plan", "pivot")
    graph.add_edge("sweep", "weigh")
    graph.add_edge("pivot", "weigh")
    graph.add_conditional_edges("weigh", lambda _: "again", {"again": "plan", "done": END})
    return graph


@pytest.fixture(scope="module")
def spec() -> GraphSpec:
    return GraphSpec(
        id="hunt",
        version="2",
        title="A <hunt>",
        description="Looks for & finds.",
        build=build,
        state=State,
        nodes=("plan", "sweep", "pivot", "weigh"),
    )


def test_nodes_stand_in_rows_below_those_that_lead_to_them(spec):
    drawing = layout(spec)

    assert drawing.rows == [["__start__"], ["plan"], ["sweep", "pivot"], ["weigh"], ["__end__"]]
    assert drawing.texts["plan"] == "Plan <the> hunt & more."
    assert drawing.texts["pivot"] == ""
    assert {(each.target, each.label, each.is_choice) for each in drawing.from_node("weigh")} == {
        ("plan", "again", True),
        ("__end__", "done", True),
    }


def test_ways_that_do_not_lead_to_the_next_line_are_named(spec):
    stream = io.StringIO()

    print_drawing(Console(file=stream, width=80), spec, layout(spec))

    drawn = stream.getvalue()
    assert "→ plan (again)" in drawn
    assert "→ end (done)" in drawn
    assert "→ weigh" in drawn
    assert max(map(len, drawn.splitlines())) <= 80


def test_the_svg_is_well_formed_and_keeps_all_boxes_on_the_canvas(spec):
    root = ET.fromstring(draw_svg(spec, layout(spec)))

    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("class") != "ground"]
    assert len(boxes) == 6
    for box in boxes:
        x, y, wide, tall = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + tall <= height
    places = [(box.get("x"), box.get("y")) for box in boxes]
    assert len(set(places)) == 6, "no box hides another"
    assert "A <hunt>" in [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 7 + 1
