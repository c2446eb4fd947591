"""Nine empty nodes: what a run costs with our saver, with LangGraph's SQLite saver, and with none that is durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from aurora.storage.checkpoints import AuroraSaver
from tests.contract.checkpoints.ledger import claim
from tests.services import engine_with_schema

NODES = 9
WARM_UP = 10
RUNS = 60
ROUNDS = 5

Configure = Callable[[], Awaitable[dict[str, Any]]]
"""Makes the config of a run that may write."""

Contender = tuple[BaseCheckpointSaver[Any], Configure]


class State(TypedDict):
    done: int


def nine_empty_nodes(saver: BaseCheckpointSaver[Any]) -> Any:
    """Return a compiled chain of nodes that only count."""
    builder = StateGraph(State)

    async def node(state: State) -> State:
        return {"done": state["done"] + 1}

    names = [START, *(f"node_{number}" for number in range(NODES)), END]
    for name in names[1:-1]:
        builder.add_node(name, node)
    for before, after in pairwise(names):
        builder.add_edge(before, after)
    return builder.compile(checkpointer=saver)


@asynccontextmanager
async def aurora(directory: Path) -> AsyncIterator[Contender]:
    """Our saver, fenced, on the engine that a runtime has."""
    async with engine_with_schema(f"sqlite:///{directory / 'aurora.db'}") as engine, AuroraSaver.open(engine) as saver:
        yield saver, lambda: claim(engine, f"thread-{uuid4()}")


@asynccontextmanager
async def langgraph_sqlite(directory: Path) -> AsyncIterator[Contender]:
    """LangGraph's own: WAL, synchronous=FULL, as ours."""
    async with AsyncSqliteSaver.from_conn_string(str(directory / "peer.db")) as saver:
        yield saver, _unclaimed


@asynccontextmanager
async def in_memory(directory: Path) -> AsyncIterator[Contender]:
    """LangGraph without a disk: the floor."""
    yield InMemorySaver(), _unclaimed


async def _unclaimed() -> dict[str, Any]:
    return {"configurable": {"thread_id": f"thread-{uuid4()}"}}


async def _measure(opened: AbstractAsyncContextManager[Contender]) -> tuple[float, float]:
    """Return CPU and wall milliseconds of one run, the mean of `RUNS`; making the config is not counted."""
    async with opened as (saver, configure):
        graph = nine_empty_nodes(saver)
        configs = [await configure() for _ in range(WARM_UP + RUNS)]
        for config in configs[:WARM_UP]:
            await graph.ainvoke({"done": 0}, config, durability="sync")
        cpu, wall = time.process_time(), time.perf_counter()
        for config in configs[WARM_UP:]:
            await graph.ainvoke({"done": 0}, config, durability="sync")
        return (time.process_time() - cpu) / RUNS * 1000, (time.perf_counter() - wall) / RUNS * 1000


def run() -> list[dict[str, Any]]:
    """Measure the contenders in turn, several times, and return each one's least disturbed round."""
    contenders = {"aurora": aurora, "langgraph": langgraph_sqlite, "memory": in_memory}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            with TemporaryDirectory() as directory:
                samples[name].append(asyncio.run(_measure(contender(Path(directory)))))
    cpu = {name: round(min(sample[0] for sample in taken), 2) for name, taken in samples.items()}
    wall = {name: round(min(sample[1] for sample in taken), 2) for name, taken in samples.items()}
    peer = "langgraph-checkpoint-sqlite"
    return [
        {
            "name": "saver.nine_nodes.cpu",
            "value": cpu["aurora"],
            "unit": "ms",
            "better": "lower",
            "peer": peer,
            "peer_value": cpu["langgraph"],
        },
        {
            "name": "saver.nine_nodes.wall",
            "value": wall["aurora"],
            "unit": "ms",
            "better": "lower",
            "peer": peer,
            "peer_value": wall["langgraph"],
        },
        {
            "name": "saver.nine_nodes.cpu_floor",
            "value": cpu["memory"],
            "unit": "ms",
            "better": "lower",
            "peer": None,
            "peer_value": None,
        },
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
