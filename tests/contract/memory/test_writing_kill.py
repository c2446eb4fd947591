"""A process that is killed while it writes leaves whole batches, and a chain that holds."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from memory.opening import open_memory

VICTIM = """
import asyncio, os, signal, sys
from aurora.kernel.evidence import Provenance
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.opening import open_memory
from memory.rows import Rows

url, doomed = sys.argv[1:]
calls = 0
plain = getattr(Rows, doomed)

async def dies(self, *given):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return await plain(self, *given)

setattr(Rows, doomed, dies)

def batch(turn):
    return [
        NewItem(
            tier=Tier.STORE, kind="value", text=f"value {turn} {number}", namespace=("n",), key=f"k{number}",
            value={"turn": turn}, sources=(Source(uri=f"run:{turn}", provenance=Provenance.AGENT_DERIVED),),
        )
        for number in range(20)
    ]

async def main():
    async with open_memory(url, embedder=HashingEmbedder()) as memory:
        for turn in range(10):
            await memory.remember(batch(turn), actor="victim")

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("doomed", ["retire", "insert_items", "insert_vectors", "standing"])
async def test_a_killed_writer_leaves_whole_batches(database_url: str, doomed: str) -> None:
    victim = subprocess.run(  # noqa: ASYNC221  (nothing else runs meanwhile)
        [sys.executable, "-c", VICTIM, database_url, doomed], check=False, timeout=60
    )

    assert victim.returncode == -signal.SIGKILL
    async with open_memory(database_url) as memory:
        report = await memory.verify_chain()
        stats = await memory.stats()
        listed = await memory.list(limit=100)
    assert report.ok
    assert report.events == 60, "20 stored, then 20 stored in the place of 20"
    assert {item.value["turn"] for item in listed} == {1}
    assert (len(listed), stats.superseded) == (20, 20)
    assert stats.vectors == {"hashing-512@1": 40}
    assert all(len(item.sources) == 1 for item in listed)
