"""Inside a run, place, time and ids follow from the run alone."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict
from uuid import UUID

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from aurora.dispatch.inside import RunClock, RunIds, place
from aurora.kernel.ids import RunId
from aurora.testing import ManualClock

RUN = RunId(UUID(int=77))
THEN = datetime(2026, 11, 1, tzinfo=UTC)


class State(TypedDict, total=False):
    seen: Annotated[list[str], lambda old, new: old + new]
    ids: Annotated[list[str], lambda old, new: old + new]


def graph(ids: RunIds, *, fail: bool = False) -> Any:
    async def one(state: State) -> State:
        return {"seen": [place()], "ids": [str(ids()), str(ids())]}

    async def two(state: State) -> State:
        drawn = [str(ids())]
        if fail:
            raise RuntimeError("killed")
        return {"seen": [place()], "ids": drawn}

    built = StateGraph(State)
    built.add_node("one", one)
    built.add_node("two", two)
    built.add_node("branch", one)
    built.add_edge(START, "one")
    built.add_conditional_edges("one", lambda state: [Send("branch", state), Send("branch", state), Send("two", state)])
    built.add_edge("branch", END)
    built.add_edge("two", END)
    return built


async def test_a_place_is_step_node_and_branch() -> None:
    ended = await graph(RunIds(RUN, THEN)).compile().ainvoke({"seen": [], "ids": []})

    assert ended["seen"][0] == "1.one"
    assert len(set(ended["seen"])) == 4, "branches of one step have places of their own"
    assert all(each.startswith("2.") for each in ended["seen"][1:])


async def test_ids_are_the_same_in_a_second_walk_and_never_repeat_within_one() -> None:
    first = await graph(RunIds(RUN, THEN)).compile().ainvoke({"seen": [], "ids": []})
    again = await graph(RunIds(RUN, THEN)).compile().ainvoke({"seen": [], "ids": []})
    other = await graph(RunIds(RunId(UUID(int=78)), THEN)).compile().ainvoke({"seen": [], "ids": []})

    assert first["ids"] == again["ids"]
    assert len(set(first["ids"])) == 7
    assert not set(first["ids"]) & set(other["ids"])


async def test_a_run_that_is_taken_up_again_draws_what_it_would_have_drawn() -> None:
    whole = await graph(RunIds(RUN, THEN)).compile().ainvoke({"seen": [], "ids": []})
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    with contextlib.suppress(RuntimeError):
        await graph(RunIds(RUN, THEN), fail=True).compile(checkpointer=saver).ainvoke({"seen": [], "ids": []}, config)

    resumed = await graph(RunIds(RUN, THEN)).compile(checkpointer=saver).ainvoke(None, config)

    assert sorted(resumed["ids"]) == sorted(whole["ids"])


def test_ids_are_of_version_7_and_carry_the_moment_of_the_run() -> None:
    drawn = RunIds(RUN, THEN)()

    assert (drawn.version, drawn.variant) == (7, "specified in RFC 4122")
    assert datetime.fromtimestamp((drawn.int >> 80) / 1000, UTC) == THEN


async def test_time_stands_still_but_waiting_and_measuring_go_on() -> None:
    clock = ManualClock(THEN + timedelta(days=1))
    inside = RunClock(THEN, clock=clock)
    before = inside.monotonic()

    clock.advance(timedelta(seconds=5))

    assert inside.now() == THEN
    assert inside.monotonic() - before == 5.0


def test_outside_of_a_graph_there_is_no_place() -> None:
    assert place() == ""
