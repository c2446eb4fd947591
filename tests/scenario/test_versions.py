"""Kill, upgrade, resume: what becomes of runs, their tasks and their replays when content changes under them."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurora import bootstrap
from aurora.discovery import Content, discover_content
from aurora.dispatch.attempt import Attempts, Finished
from aurora.dispatch.patience import Patience
from aurora.dispatch.recorded import NotReplayable
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending
from aurora.sdk import GraphSpec, Migration
from aurora.services.replays import replay_run
from aurora.testing import ManualClock, open_runtime
from tests.unit.dispatch.running import Desk, World, spec

ROOT = Path(__file__).parents[2]


class House:
    """One database, on which processes with different content work in turn."""

    def __init__(self, runtime: bootstrap.Runtime, clock: ManualClock) -> None:
        self.desk = Desk(runtime.storage, clock, Uuid7Factory(clock=clock, generator=random.Random(3)))
        self._runtime = runtime
        self._clock = clock

    @staticmethod
    def content(*graphs: GraphSpec) -> Content:
        return discover_content(packages=(), plugins=(), given=graphs)

    async def attempt(self, task: Task, *graphs: GraphSpec) -> tuple[Task, Ending]:
        """Claim a task in a process that has these graphs, and return how the attempt ended."""
        installed = self.content(*graphs).graph_versions
        claimed = await self.desk.claim(task, installed)
        async with self.desk.runner(installed) as runner:
            attempts = Attempts(
                runner=runner, clock=self._clock, patience=Patience(clock=self._clock), generator=random.Random(1)
            )
            ending = await attempts.ending(claimed)
        assert ending is not None
        if ending.state is TaskState.SUCCEEDED:
            assert ending.outcome is not None
            assert ending.graph_version is not None
            moment = self._clock.now()
            await self.desk.settle(Finished(claimed, ending.outcome, ending.graph_version, moment, moment))
        return claimed, ending

    async def replay(self, task: Task, *graphs: GraphSpec) -> dict[str, Any]:
        """Replay a run in a process that has these graphs."""
        changed = replace(self._runtime, given_content=self.content(*graphs))
        return await replay_run(changed.storage, str(task.run_id), content=changed.content, context=changed.replaying)


@pytest.fixture
async def house(clock: ManualClock) -> AsyncIterator[House]:
    async with open_runtime(clock=clock) as opened:
        yield House(opened.runtime, clock)


@pytest.fixture
def world() -> World:
    return World()


def one(world: World) -> GraphSpec:
    return spec("1", {"look": world.does("look"), "wait": world.waits, "tell": world.does("tell")})


def two(world: World, *migrations: Migration) -> GraphSpec:
    nodes = {"look": world.does("look 2"), "hear": world.waits, "tell": world.does("tell 2")}
    return spec("2", nodes, migrations=migrations)


OVER = Migration(from_version="1", state=lambda state: state, after={"wait": "look", "tell": "hear"})


@pytest.mark.parametrize("where", ["waiting", "cut off"])
@pytest.mark.parametrize(
    ("installed", "version", "deeds"),
    [("both", "1", ["look", "tell"]), ("migration", "2", ["look", "tell 2"])],
)
async def test_a_run_goes_on_after_an_upgrade_with_its_version_or_carried_over(
    house: House, world: World, where: str, installed: str, version: str, deeds: list[str]
) -> None:
    task = await house.desk.task()
    if where == "waiting":
        task, parked = await house.attempt(task, one(world))
        assert (parked.state, parked.graph_version) == (TaskState.WAITING, "1")
    else:
        world.answer, world.cut_off = "yes", "tell"
        task = await house.desk.cut_off(task, house.content(one(world)).graph_versions)
    world.answer, world.cut_off = "yes", None

    upgraded = [two(world, OVER), one(world)] if installed == "both" else [two(world, OVER)]
    task, ended = await house.attempt(task, *upgraded)

    assert (ended.state, ended.graph_version) == (TaskState.SUCCEEDED, version)
    assert world.deeds == deeds
    await house.desk.checkpoints(task)  # one line


async def test_a_run_whose_version_is_gone_fails_with_the_reason_and_goes_on_once_it_is_back(
    house: House, world: World
) -> None:
    task, _ = await house.attempt(await house.desk.task(), one(world))
    world.answer = "yes"

    task, refused = await house.attempt(task, two(world))
    deeds = list(world.deeds)
    task, ended = await house.attempt(task, two(world), one(world))

    assert (refused.state, refused.event) == (TaskState.FAILED, "failed")
    assert refused.problem is not None
    assert refused.problem.code == "aurora.runtime.graph_version"
    assert "version 1, of which 2 is installed; no migration leads on" in refused.problem.reason
    assert f"`aurora tasks retry {task.id}`" in refused.problem.reason
    assert deeds == ["look"]
    assert (ended.state, ended.graph_version) == (TaskState.SUCCEEDED, "1")
    assert world.deeds == ["look", "tell"]


async def test_a_task_that_never_began_begins_with_the_new_version(house: House, world: World) -> None:
    world.answer = "yes"

    _, ended = await house.attempt(await house.desk.task(), two(world), one(world))

    assert (ended.state, ended.graph_version) == (TaskState.SUCCEEDED, "2")


async def test_a_replay_walks_the_version_of_the_run_where_that_is_still_there(house: House, world: World) -> None:
    world.answer = "yes"
    task, _ = await house.attempt(await house.desk.task(), one(world))

    both = await house.replay(task, two(world), one(world))
    newer = await house.replay(task, two(world))

    assert (both["graph_version_then"], both["graph_version_now"], both["equal"]) == ("1", "1", True)
    assert (newer["graph_version_then"], newer["graph_version_now"], newer["equal"]) == ("1", "2", False)
    assert newer["difference"].startswith("step 1, node look")


async def test_a_run_that_was_carried_over_is_not_replayed_and_says_why(house: House, world: World) -> None:
    task, _ = await house.attempt(await house.desk.task(), one(world))
    world.answer = "yes"
    task, _ = await house.attempt(task, two(world, OVER))

    with pytest.raises(NotReplayable, match="began with another version of its graph than it ended with"):
        await house.replay(task, two(world, OVER))


def test_the_graph_on_the_page_about_upgrades_has_no_fault() -> None:
    page = (ROOT / "docs" / "how-to" / "upgrade-a-graph.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    module: dict[str, Any] = {"__name__": "mail_desk.graphs.mail_desk"}

    exec(compile(source, "mail_desk.py", "exec"), module)
    shown: GraphSpec = module["MAIL_DESK"]

    assert list(shown.faults()) == []
    assert set(shown.build().nodes) == set(shown.nodes)
    assert shown.build().compile().invoke({"text": "hello"})["findings"] == ["5 characters"]
