"""triage: from an accepted alert to a durable verdict that shows its evidence."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from aurora.sdk import GraphSpec
from aurora.sdk.context import RunContext
from graphs.nodes.assess import assess
from graphs.nodes.correlate import correlate
from graphs.nodes.decide import decide
from graphs.nodes.enrich import enrich
from graphs.nodes.load import load
from graphs.nodes.observables import observables
from graphs.nodes.recall import recall
from graphs.nodes.record import record
from graphs.nodes.verify import verify
from graphs.state import TriageState

_NODES = {
    "load": load,
    "observables": observables,
    "recall": recall,
    "enrich": enrich,
    "correlate": correlate,
    "assess": assess,
    "verify": verify,
    "decide": decide,
    "record": record,
}


def build() -> Any:
    """Return the LangGraph `StateGraph`, not compiled: nine nodes, one after the other."""
    from langgraph.graph import END, START, StateGraph  # noqa: PLC0415 - 2 s that listing content need not pay

    graph: Any = StateGraph(TriageState, context_schema=RunContext)
    for name, node in _NODES.items():
        graph.add_node(name, node)
    for one, next_one in pairwise([START, *_NODES, END]):
        graph.add_edge(one, next_one)
    return graph


TRIAGE = GraphSpec(
    id="triage",
    version="2",
    title="Triage of an alert",
    description="Loads an alert, recalls, enriches and correlates it, weighs the evidence by written rules and, "
    "where one is configured, with a model, verifies every claim and records a verdict.",
    build=build,
    state=TriageState,
    nodes=tuple(_NODES),
    world=("load", "recall", "correlate", "record"),
    outcome=lambda state: str(state["verdict"]["label"]),
)
