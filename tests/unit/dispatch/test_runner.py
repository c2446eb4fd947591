"""Runs that wait: a wake-up carries nothing, and may come too early, twice, and to another worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from aurora.dispatch.attempt import Finished, Parked
from aurora.dispatch.waiting import waiting_for
from aurora.kernel.errors import ConfigError, LeaseLost
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task
from aurora.storage.checkpoints.tables import CheckpointWriteModel
from aurora.storage.models import TaskModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.services import engine_with_schema
from tests.unit.dispatch.running import Desk, World, spec, versions


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


def waiting(world: World):
    """Return a graph that waits in its middle."""
    return versions(spec("1", {"look": world.does("look"), "wait": world.waits, "tell": world.does("tell")}))


async def writes(storage: Storage, task: Task) -> int:
    async with storage.reading() as transaction:
        query = select(func.count()).where(CheckpointWriteModel.thread_id == task.thread_id)
        return (await transaction.connection.execute(query)).scalar_one()


async def test_a_graph_that_waits_is_parked_and_goes_on_when_what_it_waits_for_is_there(
    desk: Desk, world: World
) -> None:
    installed = waiting(world)

    task, parked = await desk.run(await desk.task(), installed)
    world.answer = "yes"
    task, finished = await desk.run(task, installed)

    assert isinstance(parked, Parked)
    assert (parked.task.epoch, parked.graph_version) == (1, "1")
    assert isinstance(finished, Finished)
    assert (finished.outcome, finished.graph_version) == ("3-done", "1")
    assert world.deeds == ["look", "tell"]


async def test_a_wake_up_that_comes_early_or_twice_adds_nothing_and_any_worker_may_get_it(
    desk: Desk, world: World, storage: Storage
) -> None:
    installed = waiting(world)
    task, _ = await desk.run(await desk.task(), installed)
    before = await desk.checkpoints(task), await writes(storage, task)

    async with desk.runner(installed) as one, desk.runner(installed) as other:
        for runner in (one, other, one):
            task = await desk.claim(task, installed)
            assert isinstance(await runner.run(task), Parked)
        early = await desk.checkpoints(task), await writes(storage, task)
        world.answer = "no"
        task = await desk.claim(task, installed)
        finished = await other.run(task)
        task = await desk.claim(task, installed)
        again = await one.run(task)

    assert early == before
    assert isinstance(finished, Finished)
    assert isinstance(again, Finished)
    assert (again.outcome, again.graph_version) == (finished.outcome, finished.graph_version)
    assert world.deeds == ["look", "tell"]
    assert [step for step, _, _ in await desk.checkpoints(task)] == [-1, 0, 1, 2, 3]


async def test_a_worker_that_has_lost_its_lease_parks_nothing(desk: Desk, world: World) -> None:
    installed = waiting(world)
    task = await desk.claim(await desk.task(), installed)
    await desk.claim(task, installed)

    with pytest.raises(LeaseLost):
        await desk.run_claimed(task, installed)

    assert await desk.checkpoints(task) == []


async def test_a_process_that_was_stopped_between_two_nodes_does_not_begin_the_second(desk: Desk, world: World) -> None:
    """It goes on in the middle of things: nothing of its own has told it yet that another worker has the task."""
    installed = versions(spec("1", {"look": world.does("look"), "tell": world.does("tell")}))
    task = await desk.claim(await desk.task(), installed)

    async with desk.runner(installed, is_late=lambda _: "look" in world.deeds) as runner:
        with pytest.raises(LeaseLost, match="not renewed in time"):
            await runner.run(task)

    assert world.deeds == ["look"]


async def test_what_a_run_waits_for_can_be_read_while_it_waits_and_not_after(
    desk: Desk, world: World, storage: Storage
) -> None:
    installed = waiting(world)
    fresh = await desk.task()

    before = await waiting_for(storage, fresh)
    task, _ = await desk.run(fresh, installed)
    meanwhile = await waiting_for(storage, task)
    world.answer = "yes"
    await desk.run(task, installed)
    after = await waiting_for(storage, task)

    assert (before, meanwhile, after) == ([], [{"question": "isolate?"}], [])


async def test_every_checkpoint_names_the_version_of_the_graph_that_wrote_it(desk: Desk, world: World) -> None:
    task, _ = await desk.run(await desk.task(), waiting(world))

    assert {version for _, _, version in await desk.checkpoints(task)} == {"1"}


async def test_a_run_that_was_cut_off_goes_on_with_the_node_that_was_not_done(desk: Desk, world: World) -> None:
    world.answer, world.cut_off = "yes", "tell"
    installed = waiting(world)
    task = await desk.cut_off(await desk.task(), installed)

    world.cut_off = None
    _, finished = await desk.run(task, installed)

    assert isinstance(finished, Finished)
    assert world.deeds == ["look", "tell"]


async def test_a_graph_that_is_not_installed_is_told_by_name(desk: Desk, world: World, storage: Storage) -> None:
    task = await desk.claim(await desk.task(), waiting(world))
    async with storage.writing() as transaction:
        await transaction.connection.execute(update(TaskModel).values(graph="gone"))

    with pytest.raises(ConfigError, match="there is no graph 'gone'"):
        await desk.run_claimed(task.model_copy(update={"graph": "gone"}), waiting(world))
