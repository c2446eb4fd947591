"""What it costs to remember: a hundred thousand items at a time and one by one, beside the stores of LangGraph.

Ours does all that it always does: secrets out, exact terms, tokens, vectors, equal and nearly equal items looked for,
facts superseded, words and vectors indexed, each event bound to the chain; on a disk, with `synchronous=FULL`. `given`
is the same without the time of the embedder. The peers keep a text and its vector, LangGraph's SQLite store, which most
Pythons give no vectors, the text alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import numpy as np
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from numpy.typing import NDArray

from aurora.kernel.evidence import Provenance
from memory.embed.hashing import HashingEmbedder
from memory.items import Fate, NewItem, Source, Tier
from memory.memory import Memory
from memory.opening import open_memory
from memory.ports import Embedder
from memory.recall import Request
from tests.bench.measurement import Measurement
from tests.bench.memory_corpus import ClusteredEmbedder

if TYPE_CHECKING:
    from memory.ports import Vectors

ITEMS = 100_000
BATCH = 5_000
SINGLES = 300
ROUNDS = 2
START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "memory.write"

Write = Callable[[Sequence[NewItem]], Awaitable[object]]
"""Writes some items, all of them or none, and returns when they are kept."""


class Given(HashingEmbedder):
    """Hands out vectors that were made before."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, NDArray[np.float32]] = {}

    async def make(self, some: Sequence[NewItem]) -> None:
        """Make the vectors of some items, whose texts hold no secret that would change them."""
        texts = [str(each.text) for each in some]
        self._made = dict(zip(texts, await super().embed(texts), strict=True))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._made.get(text, _NONE) for text in texts])


_NONE = np.full(HashingEmbedder().dimensions, HashingEmbedder().dimensions ** -0.5, dtype=np.float32)
"""Of a text from which a secret was taken."""


@dataclass(frozen=True, slots=True)
class Store:
    """One that is measured."""

    write: Write
    before: Write | None = None
    """What is done to a batch first, and not counted."""


def items(count: int, *, seed: int = 1) -> list[NewItem]:
    """Return what a busy desk remembers: of a hundred items ten are linked, five facts, five almost said before, and
    two hold a password.
    """
    draw = random.Random(seed)
    made: list[NewItem] = []
    named = UUID(int=0)
    for number in range(count):
        links: tuple[tuple[str, UUID], ...] = ()
        text = f"{made[number - 6].text} again" if number % 20 == 7 else _said(draw, number)
        if number % 10 == 2:
            named = UUID(int=draw.getrandbits(128), version=4)
        if number % 10 == 3:
            links = (("evidence", named),)
        if number % 50 == 9:
            text += f" with --password Tr0ub4dor{draw.randrange(10**6)}"
        host = f"ws-{draw.randrange(997)}"
        about: dict[str, Any] = {}
        if number % 20 == 11:
            about = {"subject": f"host:{host}", "predicate": "owner", "object": f"u{draw.randrange(313)}"}
        made.append(
            NewItem(
                tier=Tier.SEMANTIC if about else Tier.EPISODIC,
                kind="fact" if about else "decision",
                text=text,
                sources=(Source(uri=f"alert:{seed}-{number}", provenance=Provenance.SENSOR),),
                value={"case": number, "host": host, "score": draw.randrange(100)},
                valid_from=START + timedelta(seconds=number),
                links=links,
                id=named if number % 10 == 2 else None,
                **about,
            )
        )
    return made


def _said(draw: random.Random, number: int) -> str:
    program = draw.choice(("powershell.exe", "cmd.exe", "mshta.exe", "rundll32.exe", "curl.exe", "certutil.exe"))
    verb = draw.choice(("started", "connected to", "downloaded from", "was blocked at", "scanned", "resolved"))
    return (
        f"Case {number}: {program} of user u{draw.randrange(313)} on ws-{draw.randrange(997)}.harbor.example {verb}"
        f" 198.51.{draw.randrange(250)}.{draw.randrange(250)} at {draw.randrange(24):02}:{draw.randrange(60):02},"
        f" sha256 {draw.getrandbits(256):064x}, technique T{draw.randrange(1001, 1600)}; closed as"
        f" {draw.choice(('benign', 'malicious', 'suspicious', 'a test'))} by shift {draw.randrange(40)}"
    )


@asynccontextmanager
async def aurora(directory: Path) -> AsyncIterator[Store]:
    """Ours on SQLite."""
    async with _opened(directory, HashingEmbedder()) as memory:
        yield Store(_remember(memory))


@asynccontextmanager
async def given(directory: Path) -> AsyncIterator[Store]:
    """Ours on SQLite, the time of the embedder not counted."""
    embedder = Given()
    async with _opened(directory, embedder) as memory:
        yield Store(_remember(memory), before=embedder.make)


def _remember(memory: Memory) -> Write:
    async def write(some: Sequence[NewItem]) -> None:
        became = await memory.remember(some, actor="bench")
        if not any(each.fate is Fate.STORED for each in became):
            raise RuntimeError(f"of {len(some)} items none was stored: this measures nothing")

    return write


@asynccontextmanager
async def in_memory(directory: Path) -> AsyncIterator[Store]:
    """LangGraph without a disk, with vectors of the same embedder."""

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return [vector.tolist() for vector in await HashingEmbedder().embed(list(texts))]

    yield _put(InMemoryStore(index={"dims": HashingEmbedder().dimensions, "embed": embed, "fields": ["text"]}))


@asynccontextmanager
async def langgraph_sqlite(directory: Path) -> AsyncIterator[Store]:
    """LangGraph on SQLite, without vectors."""
    async with AsyncSqliteStore.from_conn_string(str(directory / "peer.db")) as store:
        await store.setup()
        yield _put(store)


def _put(store: BaseStore) -> Store:
    async def write(some: Sequence[NewItem]) -> None:
        await store.abatch(
            PutOp((each.tier.value,), each.sources[0].uri, {"text": each.text, "value": dict(each.value)})
            for each in some
        )

    return Store(write)


def _opened(directory: Path, embedder: Embedder, tenant: str = "bench") -> AbstractAsyncContextManager[Memory]:
    return open_memory(f"sqlite:///{directory / 'memory.db'}", tenant=tenant, embedder=embedder)


async def _rates(open_: Callable[[Path], AbstractAsyncContextManager[Store]]) -> dict[str, float]:
    """Return items a second: of all, of the last ten thousand of them, and one by one beside them."""
    with TemporaryDirectory() as directory:
        async with open_(Path(directory)) as store:

            async def seconds(batches: Sequence[Sequence[NewItem]]) -> list[float]:
                took: list[float] = []
                for batch in batches:
                    if store.before is not None:
                        await store.before(batch)
                    began = time.perf_counter()
                    await store.write(batch)
                    took.append(time.perf_counter() - began)
                return took

            await seconds([items(200, seed=3)])  # imports, ranks of tokens, prepared statements
            told = items(ITEMS)
            gc.collect()
            gc.freeze()  # else each collection looks through what only the bench holds
            took = await seconds([told[start : start + BATCH] for start in range(0, ITEMS, BATCH)])
            singles = [[each] for each in items(SINGLES, seed=2)]
            await seconds(singles[:20])
            single = sum(await seconds(singles[20:]))
            gc.unfreeze()
    return {
        "bulk": ITEMS / sum(took),
        "bulk.last_10k": 2 * BATCH / sum(took[-2:]),
        "single": (SINGLES - 20) / single,
    }


def _bytes_an_item(embedder: type[HashingEmbedder | ClusteredEmbedder]) -> float:
    """Return by how much this process grows, for each item, when it begins to serve a memory of a hundred thousand."""

    async def fill(directory: Path) -> None:
        async with _opened(directory, embedder()) as memory:
            told = [_with_topic(each, number) for number, each in enumerate(items(ITEMS))]
            for start in range(0, ITEMS, BATCH):
                await memory.remember(told[start : start + BATCH], actor="bench")

    with TemporaryDirectory() as directory:
        asyncio.run(fill(Path(directory)))
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_grown, directory, embedder).result() / ITEMS


def _with_topic(item: NewItem, number: int) -> NewItem:
    """Return an item whose text begins as the texts of the clustered embedder do."""
    return NewItem(tier=item.tier, kind=item.kind, text=f"topic{number % 500} {item.text}", sources=item.sources)


def _grown(directory: str, embedder: type[HashingEmbedder | ClusteredEmbedder]) -> int:
    async def serve() -> int:
        made = embedder()
        asked = [Request(query=f"topic{number} powershell.exe 198.51.100.7 benign") for number in range(20)]
        async with _opened(Path(directory), made, "empty") as nobodys:
            for one in items(100):
                await nobodys.remember([_with_topic(one, 1)], actor="bench")
            for request in asked:
                await nobodys.recall(request)
            before = _resident()
            async with _opened(Path(directory), made) as memory:
                for request in asked:
                    if not (await memory.recall(request)).items:
                        raise RuntimeError("nothing was recalled: an index that is not loaded takes no memory")
                return _resident() - before

    return asyncio.run(serve())


def _resident() -> int:
    """Return the bytes of this process that are in memory, without what the allocator keeps for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def run() -> list[Measurement]:
    """Measure the stores in turn, twice, and return the best of each figure."""
    stores = {"aurora": aurora, "given": given, "memory": in_memory, "sqlite": langgraph_sqlite}
    best: dict[str, dict[str, float]] = {name: {} for name in stores}
    for _ in range(ROUNDS):
        for name, open_ in stores.items():
            for figure, rate in asyncio.run(_rates(open_)).items():
                best[name][figure] = max(rate, best[name].get(figure, 0.0))
    peers = {"memory": "LangGraph InMemoryStore (no disk)", "sqlite": "LangGraph AsyncSqliteStore (no vectors)"}
    results = [
        _measured(
            f"{figure}.beside_{name}", rate, "items/s", "higher", peer=shown, peer_value=round(best[name][figure])
        )
        for figure, rate in best["aurora"].items()
        for name, shown in peers.items()
    ]
    results += [_measured(f"{figure}.given", rate, "items/s", "higher") for figure, rate in best["given"].items()]
    for name, embedder in (("384", ClusteredEmbedder), ("hashing", HashingEmbedder)):
        results.append(_measured(f"ram.{name}", _bytes_an_item(embedder), "B/item", "lower"))
    return results


def _measured(name: str, value: float, unit: str, better: Literal["lower", "higher"], **peer: Any) -> Measurement:
    return Measurement(name=f"{NAME}.{name}", value=round(value), unit=unit, better=better, **peer)
