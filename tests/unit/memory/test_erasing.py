"""What is erased is gone from SQLite's file too. PostgreSQL keeps old pages until it vacuums them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.connections import open_database
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory

SENSOR = Source(uri="alert:1", provenance=Provenance.SENSOR)


async def test_the_file_does_not_hold_the_words_any_more(tmp_path: Path, clock: ManualClock, ids: Uuid7Factory) -> None:
    file = tmp_path / "memory.db"
    async with open_database(f"sqlite:///{file}") as transactions:
        memory = Memory(transactions, tenant="t1", clock=clock, ids=ids, embedder=HashingEmbedder())
        seen = [
            NewItem(tier=Tier.EPISODIC, kind="run", text=f"zebrafish number {n}", sources=(SENSOR,)) for n in range(50)
        ]
        await memory.remember(seen, actor="test")
        clock.advance(timedelta(days=1))
        assert await memory.forget(before=clock.now(), actor="user:ada", reason="asked for") == 50
        await memory.remember(
            [NewItem(tier=Tier.EPISODIC, kind="run", text="remains", sources=(SENSOR,))], actor="test"
        )

    held = file.read_bytes()

    assert b"remains" in held
    assert b"zebrafish" not in held
