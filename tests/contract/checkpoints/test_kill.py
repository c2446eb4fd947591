"""A process that is killed between two supersteps has lost none that was committed."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from aurora.storage.checkpoints import AuroraSaver
from aurora.storage.checkpoints.saver import EPOCH, TASK_ID
from tests.contract.checkpoints.clauses import new_thread
from tests.contract.checkpoints.graphs import chain, says
from tests.contract.checkpoints.ledger import claim, take_over

VICTIM = """
import asyncio, os, signal, sys
from aurora.storage.checkpoints import AuroraSaver
from aurora.storage.engine import open_engine
from tests.contract.checkpoints.graphs import chain, says
from tests.contract.checkpoints.ledger import config_of

url, thread_id, task_id, doomed = sys.argv[1:]

async def die(state):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    nodes = {name: die if name == doomed else says(name) for name in "abcdef"}
    async with open_engine(url) as engine, AuroraSaver.open(engine) as saver:
        await chain(saver, **nodes).ainvoke({"trail": []}, config_of(thread_id, task_id, epoch=1), durability="sync")

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("doomed", ["a", "d", "f"])
async def test_a_killed_run_resumes_after_its_last_superstep(engine_sqlite, sqlite_database_url, doomed) -> None:
    config: dict[str, Any] = await claim(engine_sqlite, thread_id := new_thread())
    before = "abcdef"[: "abcdef".index(doomed)]

    victim = subprocess.run(  # noqa: ASYNC221  (nothing else runs meanwhile)
        [sys.executable, "-c", VICTIM, sqlite_database_url, thread_id, config["configurable"][TASK_ID], doomed],
        check=False,
        timeout=60,
    )

    assert victim.returncode == -signal.SIGKILL
    async with AuroraSaver.open(engine_sqlite) as saver:
        graph = chain(saver, **{name: says(name) for name in "abcdef"})
        state = await graph.aget_state(config)
        successor = await take_over(engine_sqlite, config)
        final = await graph.ainvoke(None, successor, durability="sync")

    assert state.next == (doomed,)
    assert state.values["trail"] == list(before)
    assert final["trail"] == list("abcdef")
    assert successor["configurable"][EPOCH] == 2
