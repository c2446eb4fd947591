"""The same three nodes on bare LangGraph with its SQLite saver: what a careful script without Aurora achieves.

It keeps what LangGraph keeps (checkpoints) and, when it starts, goes on with every thread that has one and is not at
its end. It has no ledger: who asked for what is known to the process alone. Effects are done as a node would do them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.faults import crash
from tests.faults.effects import World
from tests.faults.graph import NODES, TOOK_S, FaultState

PLACES = {"claimed": "task", "node": "node", "unsaved": "put", "saved": "end"}
"""Points of a task's life that exist here too, with the place where this script reaches them."""


def work(folder: str, keys: Sequence[str], place: str | None, after: int) -> None:
    """Be a process that goes on with what it finds and runs `keys`; killed at `place` if one is given."""
    asyncio.run(_work(Path(folder), keys, place, after))


async def _work(folder: Path, keys: Sequence[str], place: str | None, after: int) -> None:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    crash.arm(place, after=after)
    crash.before(AsyncSqliteSaver, "aput", "put", when=lambda _self, _config, _point, meta, *_: meta["step"] > 0)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "bare.db")) as saver:
        graph = _graph().compile(checkpointer=saver)
        begun = {each.config["configurable"]["thread_id"] async for each in saver.alist(None)}

        async def one(key: str) -> None:
            config = {"configurable": {"thread_id": key}}
            if key not in begun:
                crash.reach("task")
                await graph.ainvoke({"key": key, "folder": str(folder)}, config)
            elif (await graph.aget_state(config)).next:
                await graph.ainvoke(None, config)
            crash.reach("end")

        async with asyncio.TaskGroup() as group:
            for key in [*begun, *keys]:
                group.create_task(one(key))


def _graph() -> Any:
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(FaultState)
    for name in NODES:
        graph.add_node(name, _node(name))
    for one, next_one in pairwise([START, *NODES, END]):
        graph.add_edge(one, next_one)
    return graph


def _node(name: str) -> Any:
    async def node(state: FaultState) -> FaultState:
        world = World(Path(state["folder"]))
        world.tell("enter", state["key"], name, 0)
        await asyncio.sleep(TOOK_S / 2)
        world.tell("effect", state["key"], name, 0)
        crash.reach("node")
        await asyncio.sleep(TOOK_S / 2)
        world.tell("exit", state["key"], name, 0)
        return {"done": [*state.get("done", []), name]}

    return node
