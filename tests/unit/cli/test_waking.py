"""What a command does that queues tasks for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from aurora.bootstrap import open_runtime
from aurora.cli._waking import wake
from aurora.kernel.models import Task
from aurora.services.graph_runs import submit
from aurora.settings import load_settings
from aurora.storage.repositories.workers import Presence


class Recorder:
    """A way to workers that notes what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def announce(self, tasks: Sequence[Task]) -> str | None:
        self.told += [str(task.id) for task in tasks]
        return None


@pytest.mark.parametrize("lanes", [("normal",), ("bulk",), ()])
async def test_workers_are_told_and_where_none_serves_the_lane_people_are(tmp_path, capsys, lanes):
    settings = load_settings(environ={}, directory=tmp_path, database__url=f"sqlite:///{tmp_path}/a.db")
    route = Recorder()

    async with open_runtime(settings) as runtime:
        now = runtime.clock.now()
        spec = runtime.content.graphs["triage"]
        task = await submit(runtime.storage, spec, {}, key=None, clock=runtime.clock, ids=runtime.ids)
        async with runtime.storage.writing() as transaction:
            await transaction.workers.seen(
                Presence(
                    id="soc-1:17",
                    kind="worker",
                    host="soc-1",
                    pid=17,
                    version="1",
                    lanes=lanes,
                    graphs={"triage": ["2"]},
                    started_at=now,
                    seen_at=now,
                )
            )
        await wake(runtime, cast("Any", route), [str(task.id)])

    assert route.told == [str(task.id)]
    assert ("no worker serves triage in lane normal now" in capsys.readouterr().err) == ("normal" not in lanes)
