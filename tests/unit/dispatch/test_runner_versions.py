"""Upgrades under runs that have begun: they keep their version, are carried over, or are refused. Never guessed at."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from sqlalchemy import select, text

from aurora.dispatch.attempt import Finished, Parked
from aurora.kernel.errors import GraphVersionGone, LeaseLost
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task
from aurora.sdk import START as BEGINNING
from aurora.sdk import GraphSpec, Migration, RunContext
from aurora.storage.checkpoints.saver import AuroraSaver
from aurora.storage.models import JournalModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.services import engine_with_schema
from tests.unit.dispatch.running import Cut, Desk, State, World, spec, versions

Installed = Mapping[str, Mapping[str, GraphSpec]]


class Later(TypedDict, total=False):
    """State of version 2: `note` is called `memo`, and `asked` is gone."""

    trail: Annotated[list[str], operator.add]
    memo: str


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {"trail": [*state["trail"], "carried over"], "memo": f"{state.get('asked')} {state.get('note')}"}


TO_2 = Migration(from_version="1", state=renamed, after={"wait": "prepare", "tell": "hear"})
TO_3 = Migration(from_version="2", state=lambda state: state | {"memo": "third"}, after={"hear": "prepare"})


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield Storage(engine)


@pytest.fixture
def desk(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> Desk:
    return Desk(storage, clock, ids)


@pytest.fixture
def world() -> World:
    return World()


def first(world: World) -> GraphSpec:
    return spec("1", {"look": world.does("look"), "wait": world.waits, "tell": world.does("tell")})


def second(world: World, *migrations: Migration) -> GraphSpec:
    nodes = {
        "look": world.does("look 2"),
        "prepare": world.does("prepare 2"),
        "hear": world.waits,
        "tell": world.does("tell 2"),
    }
    return spec("2", nodes, state=Later, migrations=migrations)


def third(world: World, *migrations: Migration) -> GraphSpec:
    nodes = {"prepare": world.does("prepare 3"), "hear": world.waits, "tell": world.does("tell 3")}
    return spec("3", nodes, state=Later, migrations=migrations)


async def channel_versions(storage: Storage, task: Task) -> dict[str, str]:
    """Return the version of every channel of a run's last checkpoint."""
    async with AuroraSaver.open(storage.engine) as saver:
        last = await saver.aget_tuple({"configurable": {"thread_id": task.thread_id}})
    assert last is not None
    return last.checkpoint["channel_versions"]


async def values(storage: Storage, task: Task) -> dict[str, Any]:
    """Return the last state of a run."""
    async with AuroraSaver.open(storage.engine) as saver:
        last = await saver.aget_tuple({"configurable": {"thread_id": task.thread_id}})
    assert last is not None
    return last.checkpoint["channel_values"]


async def stopped(desk: Desk, world: World, installed: Installed, where: str) -> Task:
    """Return the task of a run that waits, or was cut off in the middle of `tell`."""
    task = await desk.task()
    if where == "wait":
        task, parked = await desk.run(task, installed)
        assert isinstance(parked, Parked)
        return task
    world.answer, world.cut_off = "yes", where
    task = await desk.cut_off(task, installed)
    world.cut_off = None
    return task


@pytest.mark.parametrize("where", ["wait", "tell"])
async def test_a_run_goes_on_with_its_own_version_where_that_is_still_installed(
    desk: Desk, world: World, where: str
) -> None:
    task = await stopped(desk, world, versions(first(world)), where)
    world.answer = "yes"

    task, finished = await desk.run(task, versions(second(world, TO_2), first(world)))

    assert isinstance(finished, Finished)
    assert (finished.graph_version, finished.outcome) == ("1", "3-done")
    assert world.deeds == ["look", "tell"]
    assert {version for _, _, version in await desk.checkpoints(task)} == {"1"}


async def test_a_waiting_run_is_carried_over_once_and_nothing_of_it_is_done_again(
    desk: Desk, world: World, storage: Storage
) -> None:
    task = await stopped(desk, world, versions(first(world)), "wait")

    task, parked = await desk.run(task, versions(second(world, TO_2)))
    task, still = await desk.run(task, versions(second(world, TO_2)))
    world.answer = "yes"
    task, finished = await desk.run(task, versions(second(world, TO_2)))

    assert isinstance(parked, Parked)
    assert parked.graph_version == still.graph_version == "2"
    assert isinstance(finished, Finished)
    assert finished.graph_version == "2"
    assert world.deeds == ["look", "tell 2"]
    assert await values(storage, task) == {
        "trail": ["look", "carried over", "heard yes", "tell 2"],
        "memo": "now None",
    }
    assert await desk.checkpoints(task) == [
        (-1, "input", "1"),
        (0, "loop", "1"),
        (1, "loop", "1"),
        (2, "update", "2"),
        (3, "loop", "2"),
        (4, "loop", "2"),
    ]


async def test_a_run_that_was_cut_off_in_a_node_is_carried_over_behind_it(desk: Desk, world: World) -> None:
    task = await stopped(desk, world, versions(first(world)), "tell")

    task, finished = await desk.run(task, versions(second(world, TO_2)))

    assert isinstance(finished, Finished)
    assert finished.graph_version == "2"
    assert world.deeds == ["look", "tell 2"]
    assert [source for _, source, _ in await desk.checkpoints(task)].count("update") == 1


async def test_a_kill_right_after_the_migration_does_not_repeat_it(desk: Desk, world: World, storage: Storage) -> None:
    task = await stopped(desk, world, versions(first(world)), "wait")
    world.answer, world.cut_off = "yes", "tell 2"

    task = await desk.cut_off(task, versions(second(world, TO_2)))
    world.cut_off = None
    task, finished = await desk.run(task, versions(second(world, TO_2)))

    assert task.graph_version == "1", "the row still says so; the checkpoint knows better"
    assert isinstance(finished, Finished)
    assert finished.graph_version == "2"
    assert (await values(storage, task))["trail"].count("carried over") == 1


async def test_a_kill_in_the_middle_of_the_migration_leaves_the_run_where_it_was(desk: Desk, world: World) -> None:
    def dies(_state: dict[str, Any]) -> dict[str, Any]:
        raise Cut

    task = await stopped(desk, world, versions(first(world)), "wait")
    before = await desk.checkpoints(task)

    task = await desk.cut_off(
        task, versions(second(world, Migration(from_version="1", state=dies, after={"wait": "prepare"})))
    )
    between = await desk.checkpoints(task)
    task, parked = await desk.run(task, versions(second(world, TO_2)))

    assert between == before
    assert isinstance(parked, Parked)
    assert parked.graph_version == "2"


async def test_a_worker_that_lost_its_lease_carries_nothing_over(desk: Desk, world: World) -> None:
    installed = versions(second(world, TO_2))
    task = await stopped(desk, world, versions(first(world)), "wait")
    before = await desk.checkpoints(task)
    task = await desk.claim(task, installed)
    await desk.claim(task, installed)

    with pytest.raises(LeaseLost):
        await desk.run_claimed(task, installed)

    assert await desk.checkpoints(task) == before


async def test_migrations_in_a_row_are_carried_out_in_order(desk: Desk, world: World, storage: Storage) -> None:
    task = await stopped(desk, world, versions(first(world)), "wait")
    world.answer = "yes"

    task, finished = await desk.run(task, versions(third(world, TO_3), second(world, TO_2)))

    assert isinstance(finished, Finished)
    assert finished.graph_version == "3"
    assert world.deeds == ["look", "tell 3"]
    assert (await values(storage, task))["memo"] == "third"
    assert [version for _, source, version in await desk.checkpoints(task) if source == "update"] == ["2", "3"]


@pytest.mark.parametrize("where", ["wait", "tell"])
async def test_without_a_migration_it_is_refused_with_nothing_written_and_goes_on_once_its_version_is_back(
    desk: Desk, world: World, where: str
) -> None:
    task = await stopped(desk, world, versions(first(world)), where)
    before = await desk.checkpoints(task)

    with pytest.raises(GraphVersionGone) as refused:
        await desk.run(task, versions(second(world)))
    after = await desk.checkpoints(task)
    world.answer = "yes"
    task = task.model_copy(update={"epoch": task.epoch + 1})
    task, finished = await desk.run(task, versions(second(world), first(world)))

    assert after == before
    assert "graph 'desk' version 1, of which 2 is installed" in refused.value.message
    assert f"aurora tasks retry {task.id}" in refused.value.message
    assert refused.value.context["installed"] == "2"
    assert not refused.value.retryable
    assert isinstance(finished, Finished)
    assert finished.graph_version == "1"
    assert world.deeds == ["look", "tell"]


async def test_a_migration_that_does_not_know_where_the_run_stands_is_not_carried_out(desk: Desk, world: World) -> None:
    narrow = Migration(from_version="1", state=renamed, after={"tell": "hear"})
    task = await stopped(desk, world, versions(first(world)), "wait")
    before = await desk.checkpoints(task)

    with pytest.raises(GraphVersionGone, match="it stands at node 'wait', and the migration does not say"):
        await desk.run(task, versions(second(world, narrow)))

    assert await desk.checkpoints(task) == before


async def test_a_run_that_has_begun_with_nothing_begins_with_the_newest(desk: Desk, world: World) -> None:
    world.answer = "yes"
    task = await desk.claim(await desk.task(), versions(first(world)))

    task, finished = await desk.run(task, versions(second(world)))

    assert task.graph_version == "1"
    assert isinstance(finished, Finished)
    assert finished.graph_version == "2"
    assert {version for _, _, version in await desk.checkpoints(task)} == {"2"}


async def test_a_run_that_ended_and_was_not_settled_is_settled_though_its_version_is_gone(
    desk: Desk, world: World
) -> None:
    world.answer = "yes"
    task, _ = await desk.run(await desk.task(), versions(first(world)))

    task, finished = await desk.run(task, versions(second(world)))

    assert isinstance(finished, Finished)
    assert (finished.graph_version, finished.outcome) == ("1", "3-done")
    assert world.deeds == ["look", "tell"]


async def test_a_run_may_be_carried_over_to_the_beginning(desk: Desk, world: World, storage: Storage) -> None:
    over = Migration(from_version="1", state=renamed, after={"wait": BEGINNING})
    task = await stopped(desk, world, versions(first(world)), "wait")

    task, parked = await desk.run(task, versions(second(world, over)))

    assert isinstance(parked, Parked)
    assert world.deeds == ["look", "look 2", "prepare 2"]
    assert (await values(storage, task))["trail"] == ["look", "carried over", "look 2", "prepare 2"]


async def test_answers_of_steps_still_to_be_done_are_forgotten_when_a_run_is_carried_over(
    desk: Desk, world: World, storage: Storage
) -> None:
    task = await stopped(desk, world, versions(first(world)), "wait")
    async with storage.writing() as transaction:
        for scope in ("1.look/a", "2.wait/a"):
            await transaction.connection.execute(
                text(
                    "INSERT INTO journal (run_id, scope, number, tenant, kind, name, request, request_sha256, answer, "
                    "answer_sha256, created_at) VALUES (:run, :scope, 1, :tenant, 'model', 'm', x'', x'', x'', x'', "
                    "'2026-01-01')"
                ),
                {"run": task.run_id.hex, "scope": scope, "tenant": transaction.tenant},
            )

    await desk.run(task, versions(second(world, TO_2)))

    async with storage.reading() as transaction:
        left = (await transaction.connection.execute(select(JournalModel.scope))).scalars().all()
    assert left == ["1.look/a"]


class TestCheckpointsWithoutAVersion:
    """Of runs that began before checkpoints named one."""

    @pytest.fixture
    async def old(self, desk: Desk, world: World, storage: Storage) -> Task:
        task = await stopped(desk, world, versions(first(world)), "wait")
        async with storage.writing() as transaction:
            await transaction.connection.execute(
                text("UPDATE checkpoints SET metadata = json_remove(metadata, '$.aurora_graph_version')")
            )
        assert {version for _, _, version in await desk.checkpoints(task)} == {None}
        return task

    async def test_they_go_on_with_the_only_version_that_there_is(self, desk: Desk, world: World, old: Task) -> None:
        world.answer = "yes"

        task, finished = await desk.run(old, versions(first(world)))

        assert isinstance(finished, Finished)
        assert world.deeds == ["look", "tell"]
        assert [version for _, _, version in await desk.checkpoints(task)][-2:] == ["1", "1"]

    async def test_they_are_refused_where_there_are_several(self, desk: Desk, world: World, old: Task) -> None:
        with pytest.raises(GraphVersionGone, match="do not say with which version it began"):
            await desk.run(old, versions(second(world, TO_2), first(world)))

        assert world.deeds == ["look"]

    async def test_they_are_refused_where_that_version_has_no_such_node(
        self, desk: Desk, world: World, old: Task
    ) -> None:
        with pytest.raises(GraphVersionGone, match="it stands at wait, which is no node of that version"):
            await desk.run(old, versions(second(world, TO_2)))

        assert world.deeds == ["look"]


class TestNodesSideBySide:
    """Runs that stand at several nodes, or behind a barrier that has heard of some of its nodes."""

    def wide(self, world: World, version: str, last: str, *migrations: Migration) -> GraphSpec:
        """Return look → (a | b → wait) → last, which runs once both arms are through."""
        nodes = {"look": world.does("look"), "a": world.does("a"), "b": world.does("b"), "wait": world.waits}
        nodes[last] = world.does(last)

        def build() -> Any:
            graph: Any = StateGraph(State, context_schema=RunContext)
            for name, node in nodes.items():
                graph.add_node(name, node)
            for one, following in [(START, "look"), ("look", "a"), ("look", "b"), ("b", "wait")]:
                graph.add_edge(one, following)
            graph.add_edge(["a", "wait"], last)
            graph.add_edge(last, END)
            return graph

        made: GraphSpec = spec(version, nodes, migrations=migrations)
        object.__setattr__(made, "build", build)
        return made

    async def test_a_barrier_that_both_versions_have_remembers_what_is_done(self, desk: Desk, world: World) -> None:
        over = Migration(from_version="1", state=lambda state: state, after={"wait": "b"})
        task = await stopped(desk, world, versions(self.wide(world, "1", "join")), "wait")
        world.answer = "yes"

        task, finished = await desk.run(task, versions(self.wide(world, "2", "join", over)))

        assert isinstance(finished, Finished)
        assert sorted(world.deeds) == ["a", "b", "join", "look"]

    async def test_a_migration_to_where_nothing_can_follow_is_not_carried_out(self, desk: Desk, world: World) -> None:
        over = Migration(from_version="1", state=lambda state: state, after={"wait": "wait"})
        task = await stopped(desk, world, versions(self.wide(world, "1", "join")), "wait")
        before = await desk.checkpoints(task)

        with pytest.raises(GraphVersionGone, match="waits for others, which will not run"):
            await desk.run(task, versions(self.wide(world, "2", "final", over)))

        assert await desk.checkpoints(task) == before

    async def test_a_step_of_which_a_part_is_done_is_not_guessed_at(self, desk: Desk, world: World) -> None:
        nodes = {"a": world.does("a"), "wait": world.waits}

        def build() -> Any:
            graph: Any = StateGraph(State, context_schema=RunContext)
            for name, node in nodes.items():
                graph.add_node(name, node)
                graph.add_edge(START, name)
            return graph

        one: GraphSpec = spec("1", nodes)
        object.__setattr__(one, "build", build)
        over = Migration(from_version="1", state=renamed, after={"wait": "prepare", "a": "prepare"})
        task = await stopped(desk, world, versions(one), "wait")
        before = await desk.checkpoints(task)

        with pytest.raises(GraphVersionGone, match="some nodes are done"):
            await desk.run(task, versions(second(world, over)))

        assert await desk.checkpoints(task) == before


async def test_an_old_version_does_not_leave_its_values_behind(desk: Desk, world: World, storage: Storage) -> None:
    """A value that the migration drops must not come back with the next upgrade, long ones included."""
    drops = Migration(from_version="1", state=lambda state: {"trail": state["trail"]}, after={"look": BEGINNING})
    world.cut_off = "look"
    long = await desk.task()
    task = await desk.cut_off(
        long.model_copy(update={"input": {"asked": "x" * 500, "trail": []}}), versions(first(world))
    )
    world.cut_off = None

    task, _ = await desk.run(task, versions(second(world, drops)))

    assert (await values(storage, task)).keys() >= {"trail"}
    assert not (await values(storage, task)).keys() & {"asked", "note", "memo", "branch:to:wait"}


async def test_no_version_of_a_channel_comes_twice_on_a_thread(desk: Desk, world: World, storage: Storage) -> None:
    """Long values are stored by channel and version, and the first one under a version stays."""
    task = await stopped(desk, world, versions(first(world)), "wait")
    before = await channel_versions(storage, task)

    task, _ = await desk.run(task, versions(second(world, TO_2)))
    after = await channel_versions(storage, task)

    assert after["trail"] > max(before.values())


def marked(old: list[str], new: list[str]) -> list[str]:
    """Merge as a reducer may: not neutral for an empty list."""
    return [*old, *(f"new {each}" for each in new)]


class Marked(TypedDict, total=False):
    trail: Annotated[list[str], marked]


async def test_the_state_of_a_migration_is_taken_as_it_is_whatever_merges_the_values_of_nodes(
    desk: Desk, world: World, storage: Storage
) -> None:
    async def hear(_state: Any) -> Any:
        interrupt("?")

    as_it_is = Migration(from_version="1", state=lambda state: {"trail": state["trail"]}, after={"wait": BEGINNING})
    later: GraphSpec = spec("2", {"hear": hear}, state=Marked, migrations=(as_it_is,))
    task = await stopped(desk, world, versions(first(world)), "wait")

    task, _ = await desk.run(task, versions(later))

    assert (await values(storage, task))["trail"] == ["look"]
