"""LangGraph's store on ours, beside its own: puts, gets and searches at ten thousand items.

All stores embed with the same offline embedder. LangGraph's SQLite store can only search by meaning with an extension
that most Pythons cannot load: where that is so it is measured without an index, and its searches are by namespace.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from memory.embed.hashing import HashingEmbedder
from memory.store import AuroraStore
from tests.bench.measurement import Measurement
from tests.services import fresh_postgres_database, running_postgres

ITEMS = 10_000
NAMESPACES = 50
BATCH = 1_000
SINGLES = 200
READS = 400
SEARCHES = 100
ROUNDS = 3

Open = Callable[[Path], AbstractAsyncContextManager[BaseStore]]


def values() -> list[tuple[tuple[str, ...], str, dict[str, Any]]]:
    """Return what is put: texts of about two hundred characters, each with words of its own."""
    verbs = ("failed", "succeeded", "was blocked", "was allowed", "timed out", "was retried")
    things = ("login", "process", "query", "upload", "download", "scan", "beacon")
    made = []
    for n in range(ITEMS):
        first, second = f"{things[n % 7]} of user u{n % 911}", f"{things[(n // 7) % 7]} of the night shift"
        address = f"10.{n % 251}.{n % 13}.{n % 199}"
        text = (
            f"The {first} on host srv-{n % 1237:04d} {verbs[n % 6]} from {address} with case number c{n:05d}"
            f" while the {second} {verbs[(n // 6) % 6]} in site s{n % 83}"
        )
        made.append((("tenant", f"n{n % NAMESPACES}"), f"k{n}", {"text": text, "n": n, "kind": things[n % 7]}))
    return made


async def embedded(texts: Sequence[str]) -> list[list[float]]:
    """Return vectors as LangGraph takes them."""
    return [[float(each) for each in vector] for vector in await HashingEmbedder().embed(list(texts))]


@asynccontextmanager
async def aurora(directory: Path) -> AsyncIterator[BaseStore]:
    """Ours on SQLite: WAL, synchronous=FULL, with words, vectors, events and redaction."""
    url = f"sqlite:///{directory / 'aurora.db'}"
    async with AuroraStore.open(url, embedder=HashingEmbedder(), index={"dims": 512, "fields": ["text"]}) as store:
        yield store


@asynccontextmanager
async def in_memory(directory: Path) -> AsyncIterator[BaseStore]:
    """LangGraph without a disk: the floor of everything but searching by meaning."""
    yield InMemoryStore(index={"dims": 512, "embed": embedded, "fields": ["text"]})


@asynccontextmanager
async def langgraph_sqlite(directory: Path) -> AsyncIterator[BaseStore]:
    """LangGraph's own on SQLite, without an index."""
    async with AsyncSqliteStore.from_conn_string(str(directory / "peer.db")) as store:
        await store.setup()
        yield store


@asynccontextmanager
async def langgraph_postgres(directory: Path) -> AsyncIterator[BaseStore]:
    """LangGraph's own on PostgreSQL with pgvector."""
    from langgraph.store.postgres import AsyncPostgresStore

    with running_postgres() as server:
        async with fresh_postgres_database(server) as url:
            address = url.replace("postgresql+asyncpg", "postgresql")
            index: Any = {"dims": 512, "embed": embedded, "fields": ["text"]}
            async with AsyncPostgresStore.from_conn_string(address, index=index) as store:
                await store.setup()
                yield store


async def _timed(calls: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Return the median milliseconds of calls, one after another."""
    taken = []
    for call in calls:
        began = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


async def _measure(open_: Open, *, has_index: bool) -> dict[str, float]:
    with TemporaryDirectory() as directory:
        async with open_(Path(directory)) as store:
            all_values = values()
            began = time.perf_counter()
            for start in range(0, ITEMS, BATCH):
                await store.abatch([PutOp(*each) for each in all_values[start : start + BATCH]])
            figures = {"bulk_put": ITEMS / (time.perf_counter() - began)}
            some = [all_values[n * 37 % ITEMS] for n in range(READS)]

            def put(place: int) -> Callable[[], Awaitable[object]]:
                text = some[place][2]["text"]
                return lambda: store.aput(("tenant", "single"), f"s{place}", {"text": f"{text} again", "n": ITEMS})

            def get(place: int) -> Callable[[], Awaitable[object]]:
                return lambda: store.aget(*some[place][:2])

            def search(place: int, **options: Any) -> Callable[[], Awaitable[object]]:
                return lambda: store.asearch(("tenant",), **options)

            if has_index:  # the first search builds what the others use
                await store.asearch(("tenant",), query="login")
            figures["put"] = await _timed([put(place) for place in range(SINGLES)])
            figures["get"] = await _timed([get(place) for place in range(READS)])
            figures["list"] = await _timed([lambda: store.asearch(("tenant", "n7"))] * SEARCHES)
            figures["filter"] = await _timed([lambda: store.asearch(("tenant",), filter={"n": {"$lt": 100}})] * 20)
            if has_index:
                queries = [some[place][2]["text"][:60] for place in range(SEARCHES)]
                figures["query"] = await _timed([search(place, query=query) for place, query in enumerate(queries)])
            return figures


def run() -> list[Measurement]:
    """Measure the stores in turn, several times, and return the best of each figure."""
    stores: dict[str, tuple[Open, bool]] = {
        "aurora": (aurora, True),
        "InMemoryStore": (in_memory, True),
        "AsyncSqliteStore without index": (langgraph_sqlite, False),
    }
    if importlib.util.find_spec("langgraph.store.postgres") is not None:
        stores["AsyncPostgresStore"] = (langgraph_postgres, True)
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in stores}
    for _ in range(ROUNDS):
        for name, (open_, has_index) in stores.items():
            samples[name].append(asyncio.run(_measure(open_, has_index=has_index)))
    units: dict[str, tuple[str, Literal["lower", "higher"]]] = {
        "bulk_put": ("items/s", "higher"),
        "put": ("ms", "lower"),
        "get": ("ms", "lower"),
        "list": ("ms", "lower"),
        "filter": ("ms", "lower"),
        "query": ("ms", "lower"),
    }
    results = []
    for figure, (unit, better) in units.items():
        best = max if better == "higher" else min
        ours = best(sample[figure] for sample in samples["aurora"])
        for peer in stores:
            if peer != "aurora" and figure in samples[peer][0]:
                theirs = best(sample[figure] for sample in samples[peer])
                word = {"InMemoryStore": "memory", "AsyncPostgresStore": "postgres"}.get(peer, "sqlite")
                results.append(
                    Measurement(
                        name=f"memory.store.{figure}.beside_{word}",
                        value=round(ours, 3),
                        unit=unit,
                        better=better,
                        peer=peer,
                        peer_value=round(theirs, 3),
                    )
                )
    return results
