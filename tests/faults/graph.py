"""The graph under fault: three nodes, each of which does something to the world outside."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from aurora.sdk import GraphSpec, RunContext
from tests.faults import crash
from tests.faults.effects import World

NODES = ("first", "second", "third")
TOOK_S = 0.02
"""Time that a node takes: long enough for a fault to find it at work."""


class FaultState(TypedDict, total=False):
    """State of the graph."""

    key: str
    """Of the task in the world; left out, its idempotency key."""
    folder: str
    done: list[str]


def _node(name: str) -> Any:
    async def node(state: FaultState, runtime: Any) -> FaultState:
        task = runtime.context.task
        world, epoch, key = World(Path(state["folder"])), task.epoch, state.get("key") or task.idempotency_key
        world.tell("enter", key, name, epoch)
        await asyncio.sleep(TOOK_S / 2)
        if key.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        world.affect(key, name, epoch, meanwhile=lambda: crash.reach("node"))
        await asyncio.sleep(TOOK_S / 2)
        world.tell("exit", key, name, epoch)
        return {"done": [*state.get("done", []), name]}

    return node


def build() -> Any:
    """Return the graph, not compiled."""
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(FaultState, context_schema=RunContext)
    for name in NODES:
        graph.add_node(name, _node(name))
    for one, next_one in pairwise([START, *NODES, END]):
        graph.add_edge(one, next_one)
    return graph


FAULT = GraphSpec(
    id="fault",
    version="1",
    title="Three steps with effects",
    description="Every node affects a world that remembers it.",
    build=build,
    state=FaultState,
    nodes=NODES,
    world=NODES,
    outcome=lambda state: f"{len(state['done'])} steps",
)
