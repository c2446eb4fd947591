"""Where a checkpoint stands, read without the graph that wrote it: held to what LangGraph itself says."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from aurora.dispatch.migration import standing, state_of


class State(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    note: str


def says(name: str) -> Callable[[State], State]:
    def node(_state: State) -> State:
        return {"trail": [name]}

    return node


def waits(_state: State) -> State:
    return {"trail": [str(interrupt("?"))]}


def made(nodes: dict[str, Any], *edges: tuple[Any, str], deferred: tuple[str, ...] = ()) -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node, defer=name in deferred)
    for start, end in edges:
        graph.add_edge(start, end)
    return graph


def chain() -> StateGraph[Any]:
    return made({"a": says("a"), "w": waits, "b": says("b")}, (START, "a"), ("a", "w"), ("w", "b"), ("b", END))


def side_by_side() -> StateGraph[Any]:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c"), "d": waits, "join": says("join")}
    return made(nodes, (START, "a"), ("a", "b"), ("a", "c"), ("c", "d"), (["b", "d"], "join"), ("join", END))


def joined() -> StateGraph[Any]:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c"), "w": waits}
    return made(nodes, (START, "a"), ("a", "b"), ("a", "c"), (["b", "c"], "w"), ("w", END))


def deferred() -> StateGraph[Any]:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c"), "d": says("d"), "w": waits}
    edges = ((START, "a"), ("a", "b"), ("a", "c"), ("c", "d"), ("b", "w"), ("d", "w"), ("w", END))
    return made(nodes, *edges, deferred=("w",))


def deferred_join() -> StateGraph[Any]:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c"), "w": waits}
    return made(nodes, (START, "a"), ("a", "b"), ("a", "c"), (["b", "c"], "w"), ("w", END), deferred=("w",))


def fanned_out() -> StateGraph[Any]:
    graph = made({"a": says("a"), "each": waits, "end": says("end")}, (START, "a"), ("each", "end"), ("end", END))
    graph.add_conditional_edges("a", lambda _: [Send("each", {"note": text}) for text in "xyz"], ["each"])
    return graph


def looped() -> StateGraph[Any]:
    graph = made({"a": says("a"), "w": waits}, (START, "a"))
    graph.add_conditional_edges("a", lambda state: "a" if len(state["trail"]) < 3 else "w", ["a", "w"])
    return graph


SHAPES = [chain, side_by_side, joined, deferred, deferred_join, fanned_out, looped]


@pytest.mark.parametrize("shape", SHAPES)
async def test_it_stands_at_every_step_where_langgraph_says(shape: Callable[[], StateGraph[Any]]) -> None:
    saver = InMemorySaver()
    graph = shape().compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}

    await graph.ainvoke({"note": "n"}, config, durability="sync")
    checkpoints = [each async for each in saver.alist(config)]
    told = [(await graph.aget_state(each.config)).next for each in checkpoints]

    assert len(checkpoints) > 2
    assert told[0], "it waits"
    assert [standing(each.checkpoint) for each in checkpoints] == [tuple(sorted(set(each))) for each in told]


async def test_at_its_end_it_stands_nowhere_and_its_state_is_all_that_is_left() -> None:
    saver = InMemorySaver()
    graph = made({"a": says("a"), "b": says("b")}, (START, "a"), (["a"], "b"), ("b", END)).compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}

    final = await graph.ainvoke({"note": "n"}, config, durability="sync")
    last = await saver.aget_tuple(config)

    assert last is not None
    assert standing(last.checkpoint) == ()
    assert state_of(last.checkpoint) == final == {"note": "n", "trail": ["a", "b"]}
