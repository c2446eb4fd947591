"""What real LangGraph runs must get from the saver, whatever the database."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from aurora.kernel.errors import LeaseLost, Unfenced
from aurora.storage.checkpoints import AuroraSaver
from aurora.storage.checkpoints.saver import EPOCH, FRESH
from tests.contract.checkpoints.clauses import checkpoints_of_epoch, new_thread
from tests.contract.checkpoints.ledger import claim, take_over


class State(TypedDict):
    trail: Annotated[list[str], operator.add]


def chain(saver: AuroraSaver, **nodes: Any) -> Any:
    """Return a compiled graph that runs the nodes one after the other."""
    builder = StateGraph(State)
    before = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    builder.add_edge(before, END)
    return builder.compile(checkpointer=saver)


def says(name: str) -> Any:
    async def node(state: State) -> State:
        return {"trail": [name]}

    return node


class GraphContract:
    """Provide the fixture `engine` with all tables."""

    async def test_langgraph_hands_the_claim_to_every_write_of_graph_and_subgraph(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            inner = chain(True, x=says("x"), y=says("y"))
            graph = chain(saver, a=says("a"), sub=inner, b=says("b"))

            final = await graph.ainvoke({"trail": []}, config, durability="sync")
            state = await graph.aget_state(config)

        assert final["trail"] == state.values["trail"]
        assert final["trail"][-1] == "b"
        assert state.next == ()
        assert len(await checkpoints_of_epoch(engine, thread_id, 1)) > 8

    async def test_a_fresh_run_looks_for_no_checkpoint_until_it_has_one(self, engine) -> None:
        """A subgraph that is entered twice must still find what it left behind the first time."""
        config = await claim(engine, thread_id := new_thread())
        config["configurable"][FRESH] = True
        async with AuroraSaver.open(engine) as saver:
            before = await saver.aget_tuple(config)
            graph = chain(saver, a=says("a"), sub=chain(True, x=says("x")), again=says("again"))

            final = await graph.ainvoke({"trail": []}, config, durability="sync")
            during = await saver.aget_tuple(config)
            await saver.flush(thread_id)

        assert before is None
        assert final["trail"][-1] == "again"
        assert during is not None
        assert during.checkpoint["channel_values"]["trail"] == final["trail"]

    async def test_a_run_without_a_claim_does_not_start(self, engine) -> None:
        async with AuroraSaver.open(engine) as saver:
            graph = chain(saver, a=says("a"))

            with pytest.raises(Unfenced):
                await graph.ainvoke({"trail": []}, {"configurable": {"thread_id": new_thread()}}, durability="sync")

    async def test_a_run_stops_at_the_first_step_after_its_lease_is_lost(self, engine) -> None:
        config = await claim(engine, new_thread())
        ran = []

        async def lose(state: State) -> State:
            await take_over(engine, config)
            return {"trail": ["lost"]}

        async def after(state: State) -> State:
            ran.append("after")
            return {"trail": ["after"]}

        async with AuroraSaver.open(engine) as saver:
            graph = chain(saver, a=says("a"), lose=lose, after=after)

            with pytest.raises(LeaseLost):
                await graph.ainvoke({"trail": []}, config, durability="sync")
            state = await graph.aget_state(config)

        assert ran == []
        assert state.values["trail"] == ["a"]
        assert state.next == ("lose",)

    async def test_a_run_is_woken_after_an_interrupt_under_a_new_epoch(self, engine) -> None:
        config = await claim(engine, new_thread())

        async def ask(state: State) -> State:
            return {"trail": [interrupt("go on?")]}

        async with AuroraSaver.open(engine) as saver, AuroraSaver.open(engine) as other:
            waiting = await chain(saver, a=says("a"), ask=ask, b=says("b")).ainvoke(
                {"trail": []}, config, durability="sync"
            )
            successor = await take_over(engine, config)
            final = await chain(other, a=says("a"), ask=ask, b=says("b")).ainvoke(
                Command(resume="yes"), successor, durability="sync"
            )

        assert waiting["__interrupt__"][0].value == "go on?"
        assert final["trail"] == ["a", "yes", "b"]

    async def test_a_node_that_finished_before_its_sibling_was_cancelled_does_not_run_again(self, engine) -> None:
        """Its write is only in memory when the run stops: `flush` is what makes it durable."""
        config = await claim(engine, thread_id := new_thread())
        ran: list[str] = []
        reached = asyncio.Event()
        patience = [3600.0, 0.0]

        async def quick(state: State) -> State:
            ran.append("quick")
            return {"trail": ["quick"]}

        async def slow(state: State) -> State:
            ran.append("slow")
            reached.set()
            await asyncio.sleep(patience.pop(0))
            return {"trail": ["slow"]}

        def build(saver: AuroraSaver) -> Any:
            builder = StateGraph(State)
            for name, node in (("quick", quick), ("slow", slow)):
                builder.add_node(name, node)
                builder.add_edge(START, name)
                builder.add_edge(name, END)
            return builder.compile(checkpointer=saver)

        async with AuroraSaver.open(engine) as saver, AuroraSaver.open(engine) as other:
            run = asyncio.ensure_future(build(saver).ainvoke({"trail": []}, config, durability="sync"))
            await reached.wait()
            await asyncio.wait([run], timeout=0.05)  # the quick node's write is handed over meanwhile
            run.cancel()
            await asyncio.wait([run])
            await saver.flush(thread_id)
            final = await build(other).ainvoke(None, await take_over(engine, config), durability="sync")

        assert ran.count("quick") == 1
        assert ran.count("slow") == 2
        assert sorted(final["trail"]) == ["quick", "slow"]

    async def test_history_forks_copies_and_updates_keep_the_claim(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            graph = chain(saver, a=says("a"), b=says("b"), c=says("c"))
            await graph.ainvoke({"trail": []}, config, durability="sync")
            history = [state async for state in graph.aget_state_history(config)]
            before_b = next(state for state in history if state.next == ("b",))

            again = await graph.ainvoke(None, before_b.config, durability="sync")
            updated = await graph.aupdate_state(before_b.config, {"trail": ["by hand"]}, as_node="b")
            forked = await graph.ainvoke(None, updated, durability="sync")
            copied = await graph.aupdate_state(before_b.config, None, as_node="__copy__")

        assert again["trail"] == ["a", "b", "c"]
        assert forked["trail"] == ["a", "by hand", "c"]
        assert copied["configurable"][EPOCH] == 1
        assert len(await checkpoints_of_epoch(engine, thread_id, 1)) > len(history)
