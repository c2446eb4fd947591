"""A made-up corpus for benches of memory: words as frequent as in real text, and vectors that lie in clusters."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aurora.kernel.evidence import Provenance
from memory.items import NewItem, Source, Tier

DIMENSIONS = 384
TOPICS = 500
VOCABULARY = 30_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts of about 200 characters; every third names an address."""

    texts: Sequence[str]
    questions: Sequence[str]

    @classmethod
    def of(cls, size: int, *, questions: int = 200, seed: int = 7) -> Corpus:
        """Make one. Questions take words out of the texts, and some of their own."""
        draw = random.Random(seed)
        words = [_word(draw) for _ in range(VOCABULARY)]
        weights = [1 / (rank + 3) for rank in range(VOCABULARY)]  # Zipf: a few words are in most of the texts
        texts = []
        for number in range(size):
            said = draw.choices(words, weights, k=28)
            if number % 3 == 0:
                said.insert(3, f"203.0.{draw.randrange(256)}.{draw.randrange(256)}")
            texts.append(f"topic{draw.randrange(TOPICS)} " + " ".join(said))
        asked = []
        for _ in range(questions):
            topic, *said = draw.choice(texts).split()
            asked.append(" ".join([topic, *draw.sample(said, 6), *draw.choices(words, weights, k=2)]))
        return cls(texts, asked)

    def items(self) -> list[NewItem]:
        """Return the texts as items of a memory."""
        return [
            NewItem(
                tier=Tier.EPISODIC,
                kind="decision",
                text=text,
                sources=(Source(uri=f"alert:{number}", provenance=Provenance.SENSOR),),
                valid_from=START + timedelta(minutes=number),
            )
            for number, text in enumerate(self.texts)
        ]


class ClusteredEmbedder:
    """Vectors around the centre of a text's topic: made at once, so that a bench measures the search alone."""

    name = "clustered-bench@1"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._centres = np.random.default_rng(11).standard_normal((TOPICS, DIMENSIONS)).astype(np.float32)

    async def embed(self, texts: Sequence[str]) -> Any:
        return self.vectors(texts)

    def vectors(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return one vector of length 1 for each text."""
        topics = [int(text.split(" ", 1)[0].removeprefix("topic")) for text in texts]
        noise = np.stack(
            [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSIONS, np.float32) for text in texts]
        )
        made = self._centres[topics] + noise
        vectors: np.ndarray[Any, np.dtype[np.float32]] = made / np.linalg.norm(made, axis=1, keepdims=True)
        return vectors


def _word(draw: random.Random) -> str:
    return "".join(draw.choice("bcdfglmnprstvz") + draw.choice("aeiou") for _ in range(draw.randrange(2, 5)))
