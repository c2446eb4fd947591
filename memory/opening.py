"""A memory for whoever has no runtime: a URL is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.ids import IdFactory, Uuid7Factory
from memory.embed import open_embedder
from memory.memory import Memory
from memory.ports import Embedder
from memory.serving import open_searches


@asynccontextmanager
async def open_memory(
    url: str,
    *,
    tenant: str = "default",
    clock: Clock | None = None,
    ids: IdFactory | None = None,
    embedder: Embedder | None = None,
) -> AsyncIterator[Memory]:
    """Open the memory of a tenant in the database at a URL; its tables are made where they are missing.

    Args:
        url: `sqlite:///file`, `sqlite://` for one in memory, `postgresql://user@host/name`.
        tenant: Whose memory; from the program, never from data or from a model.
        clock: What `now` is; `None`: the machine's.
        ids: For new items; `None`: UUIDs of version 7.
        embedder: `None`: MiniLM where the extra `embed` is installed, else the hashing embedder.

    Raises:
        ConfigError: the URL cannot be used.
        MissingExtra: the database's driver is not installed.
        StorageUnavailable: the database cannot be reached.
    """
    from memory.connections import open_database  # noqa: PLC0415 - SQLAlchemy, only where a database is opened

    clock = clock or SystemClock()
    embedder = embedder or open_embedder()
    async with open_database(url) as transactions:
        yield Memory(
            transactions,
            tenant=tenant,
            clock=clock,
            ids=ids or Uuid7Factory(clock=clock),
            embedder=embedder,
            index=await open_searches(transactions, embedder=embedder),
        )
