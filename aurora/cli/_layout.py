"""From a graph to rows of nodes: what the drawings in the terminal and in SVG are made from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.sdk.spec import GraphSpec

START, END = "__start__", "__end__"


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one node to another."""

    source: str
    target: str
    label: str = ""
    """What decides, where there is a choice."""
    is_choice: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes in rows, every edge but those that go back leading downwards."""

    rows: Sequence[Sequence[str]]
    edges: Sequence[Edge]
    texts: Mapping[str, str]
    """What a node does, in one sentence; empty where its author did not say."""

    def row_of(self, node: str) -> int:
        """Return the row of a node, from 0."""
        return next(number for number, row in enumerate(self.rows) if node in row)

    def from_node(self, node: str) -> list[Edge]:
        """Return the ways that lead from a node."""
        return [edge for edge in self.edges if edge.source == node]


def layout(spec: GraphSpec) -> Drawing:
    """Compile a graph and lay out what LangGraph made of it."""
    built = spec.build()
    compiled = built.compile().get_graph()
    edges = [Edge(each.source, each.target, str(each.data or ""), bool(each.conditional)) for each in compiled.edges]
    order = [START, *spec.nodes, END]
    nodes = sorted(compiled.nodes, key=lambda node: order.index(node) if node in order else len(order) - 1)
    return Drawing(rows=_rows(nodes, edges), edges=edges, texts={node: _text(built, node) for node in nodes})


def _rows(nodes: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Put each node one row below the lowest of those that lead to it; ways back do not count.

    `nodes` come in reading order; a way to an earlier node, or to itself, is a way back.
    """
    place = {node: number for number, node in enumerate(nodes)}
    depth: dict[str, int] = {}
    for node in nodes:
        above = [depth[edge.source] for edge in edges if edge.target == node and place[edge.source] < place[node]]
        depth[node] = max(above, default=-1) + 1
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        rows[depth[node]].append(node)
    return rows


def _text(built: Any, node: str) -> str:
    """Return the first sentence of the docstring of a node's function."""
    runnable = getattr(built.nodes.get(node), "runnable", None)
    function = getattr(runnable, "afunc", None) or getattr(runnable, "func", None)
    line = (inspect.getdoc(function) or "").partition("\n")[0] if function else ""
    return line if not line else line.partition(". ")[0].rstrip(".") + "."
