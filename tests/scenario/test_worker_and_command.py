"""A worker that serves everybody, and commands that let it do their work: two runtimes on one database."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aurora.bootstrap import Runtime, open_dispatcher, open_pipeline, open_runtime, open_worker
from aurora.dispatch.worker import Drained
from aurora.ingest.reading import Source
from aurora.kernel.models import TaskState
from aurora.services.graph_runs import carry_out, submit
from aurora.settings import load_settings
from aurora.storage.repositories.workers import Presence
from tests.command import alert


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    return load_settings(environ={}, database={"url": f"sqlite:///{tmp_path / 'aurora.db'}"})


@asynccontextmanager
async def serving(settings: Any) -> AsyncIterator[tuple[Runtime, asyncio.Event, asyncio.Future[Drained]]]:
    """Let a worker serve until the test is over, once everybody can see it."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(settings))
        worker = await stack.enter_async_context(open_worker(runtime))
        served = asyncio.ensure_future(worker.serve(stop))
        async with asyncio.timeout(20):
            while not await _live(runtime):
                assert not served.done() or served.result()
        try:
            yield runtime, stop, served
        finally:
            stop.set()
            await served


async def _live(runtime: Runtime) -> list[Presence]:
    async with runtime.storage.reading() as transaction:
        return await transaction.workers.live(runtime.clock.now())


def _source(count: int) -> Source:
    lines = "".join(json.dumps(alert(n)) + "\n" for n in range(count)).encode()
    return Source("alerts.jsonl", len(lines), stream=io.BytesIO(lines))


async def test_a_command_lets_the_worker_triage_and_tells_the_same(settings: Any) -> None:
    async with serving(settings) as (_, _, _), open_runtime(settings) as runtime, open_pipeline(runtime) as pipeline:
        triaged = await pipeline.triage([_source(20)])
        seen = await _live(runtime)

    assert triaged.counts["triaged"] == 20
    assert triaged.failed == 0
    assert [each.kind for each in seen] == ["worker"], "the command did not work itself"


async def test_a_run_is_carried_out_by_the_worker_step_by_step(settings: Any) -> None:
    async with serving(settings) as (_, _, _), open_runtime(settings) as runtime, open_pipeline(runtime) as pipeline:
        triaged = await pipeline.triage([_source(1)])
        (alert_id,) = [each for _, each, _ in triaged.accepted.records()]
        spec = runtime.content.graphs["triage"]
        task = await submit(
            runtime.storage, spec, {"alert_id": str(alert_id)}, key="again", clock=runtime.clock, ids=runtime.ids
        )
        steps: list[str] = []
        async with open_dispatcher(runtime) as dispatcher:
            ended = await carry_out(
                runtime.storage,
                dispatcher,
                spec,
                task,
                clock=runtime.clock,
                on_step=lambda node, _: steps.append(node),
            )

    assert ended.state is TaskState.SUCCEEDED
    assert steps[0] == "load"


async def test_a_worker_says_goodbye(settings: Any) -> None:
    async with serving(settings) as (runtime, stop, served):
        stop.set()
        drained = await served
        seen = await _live(runtime)

    assert drained == Drained(0, 0)
    assert seen == []


async def test_a_command_without_a_worker_is_not_seen_and_does_its_work(settings: Any) -> None:
    async with open_runtime(settings) as runtime, open_pipeline(runtime) as pipeline:
        triaged = await pipeline.triage([_source(3)])

    assert triaged.counts["triaged"] == 3
