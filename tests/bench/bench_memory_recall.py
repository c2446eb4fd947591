"""How long a recall takes end to end, beside the stores of LangGraph. The vector of the question is there already."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aurora.kernel.clock import SystemClock
from aurora.kernel.ids import Uuid7Factory
from memory.connections import open_database
from memory.memory import Memory
from memory.recall import Request
from tests.bench.measurement import Measurement
from tests.bench.memory_corpus import DIMENSIONS, ClusteredEmbedder, Corpus

SIZES = {10_000: "10k", 100_000: "100k"}
QUESTIONS = 200
ROUNDS = 5
"""Of which the least disturbed is reported."""
SLOW_QUESTIONS = 3
"""Of a peer that takes a second for one."""
BATCH = 5_000
LIMIT = 8

Ask = Callable[[str], Awaitable[int]]
"""Answers a question and returns how many answers there are."""


class Known:
    """An embedder that made its vectors before anybody measures."""

    name = ClusteredEmbedder.name
    dimensions = DIMENSIONS

    def __init__(self, embedder: ClusteredEmbedder, texts: Sequence[str]) -> None:
        self._embedder = embedder
        self._known = dict(zip(texts, embedder.vectors(texts), strict=True))

    async def embed(self, texts: Sequence[str]) -> Any:
        return self.vectors(texts)

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return one vector for each text."""
        if all(text in self._known for text in texts):
            return np.stack([self._known[text] for text in texts])
        return self._embedder.vectors(texts)


async def run() -> list[Measurement]:
    """Measure each size with ours and with the peers, on the same texts, vectors and questions."""
    _say_who_is_missing()
    results: list[Measurement] = []
    for size, shown in SIZES.items():
        corpus = Corpus.of(size, questions=QUESTIONS)
        embedder = Known(ClusteredEmbedder(), corpus.questions)
        async with aurora(corpus, embedder) as ask:
            ours = await _times(ask, corpus.questions, rounds=ROUNDS)
        async with langgraph_in_memory(corpus, embedder) as ask:
            theirs = await _times(ask, corpus.questions[:SLOW_QUESTIONS], rounds=1)
        for name, percentile in (("p50", 50), ("p99", 99)):
            is_p50 = name == "p50"  # of so few questions the peer has no 99th percentile
            results.append(
                Measurement(
                    name=f"memory.recall.{shown}.{name}",
                    value=round(float(np.percentile(ours, percentile)), 2),
                    unit="ms",
                    better="lower",
                    peer="LangGraph InMemoryStore (vectors alone, no disk)" if is_p50 else None,
                    peer_value=round(float(np.percentile(theirs, percentile)), 2) if is_p50 else None,
                )
            )
    return results


@asynccontextmanager
async def aurora(corpus: Corpus, embedder: Known) -> AsyncIterator[Ask]:
    """Ours, on SQLite: text and vectors, filters, weights, packing, explanations."""
    with TemporaryDirectory() as directory:
        async with open_database(f"sqlite:///{Path(directory) / 'memory.db'}") as transactions:
            clock = SystemClock()
            ids = Uuid7Factory(clock=clock)
            memory = Memory(transactions, tenant="bench", clock=clock, ids=ids, embedder=embedder)
            items = corpus.items()
            for start in range(0, len(items), BATCH):
                await memory.remember(items[start : start + BATCH], actor="bench")

            async def ask(question: str) -> int:
                return len((await memory.recall(Request(query=question, limit=LIMIT))).items)

            yield ask


@asynccontextmanager
async def langgraph_in_memory(corpus: Corpus, embedder: Known) -> AsyncIterator[Ask]:
    """LangGraph's store without a disk: cosine with every vector, no text search, no weights."""
    from langgraph.store.base import PutOp
    from langgraph.store.memory import InMemoryStore

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = embedder.vectors(list(texts)).tolist()
        return found

    store = InMemoryStore(index={"dims": DIMENSIONS, "embed": embed, "fields": ["text"]})
    for start in range(0, len(corpus.texts), BATCH):
        await store.abatch(
            PutOp(("bench",), str(start + place), {"text": text})
            for place, text in enumerate(corpus.texts[start : start + BATCH])
        )

    async def ask(question: str) -> int:
        return len(await store.asearch(("bench",), query=question, limit=LIMIT))

    yield ask


async def _times(ask: Ask, questions: Sequence[str], *, rounds: int) -> list[float]:
    """Return milliseconds of each question, in the round with the least median.

    Each was asked before, if there is more than one round: caches are filled, as in a process that runs.
    """
    taken: list[list[float]] = []
    for _ in range(rounds):
        gc.collect()
        times = []
        for question in questions:
            started = time.perf_counter()
            answers = await ask(question)
            times.append((time.perf_counter() - started) * 1000)
            if not answers:
                raise RuntimeError(f"nothing was recalled for {question!r}: a search that finds nothing proves nothing")
        taken.append(times)
    return min(taken, key=lambda times: float(np.median(times)))


def _say_who_is_missing() -> None:
    import sqlite3

    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        print("NOT MEASURED: LangGraph AsyncSqliteStore; this Python cannot load SQLite's extensions", file=sys.stderr)
    if find_spec("mem0") is None:
        print("NOT MEASURED: mem0; it is not installed", file=sys.stderr)
