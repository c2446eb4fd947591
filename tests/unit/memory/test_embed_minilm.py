"""The embedder of the extra `embed`: a real model, on this machine."""

from __future__ import annotations

import numpy as np
import pytest

from memory.embed.minilm import MiniLmEmbedder, is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="MiniLM NOT RUN: install the extra `embed` (make install)")

DUMP = "An attacker dumped the memory of lsass to steal credentials"


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    """One for all: it loads 23 MB."""
    return MiniLmEmbedder()


async def test_what_means_the_same_is_nearer_than_what_is_spelled_alike(embedder: MiniLmEmbedder) -> None:
    base, same, alike = await embedder.embed(
        [DUMP, "Passwords were taken from a process on the host", "The memory of an attack on the bank's credit desk"]
    )

    assert base @ same > base @ alike


async def test_a_vector_hardly_depends_on_what_it_is_batched_with(embedder: MiniLmEmbedder) -> None:
    texts = ["short", DUMP, f"{DUMP}. " * 20, "10.0.0.7 -> 185.220.101.4:443 " * 300, "short"]

    together = await embedder.embed(texts)

    assert together.shape == (5, embedder.dimensions)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    for row, text in enumerate(texts):
        (alone,) = await embedder.embed([text])
        assert together[row] @ alone > 0.99999


async def test_blank_texts_say_nothing(embedder: MiniLmEmbedder) -> None:
    vectors = await embedder.embed(["", DUMP, " \n\t"])

    assert not vectors[[0, 2]].any()
    assert vectors[1].any()
    assert (await embedder.embed([])).shape == (0, 384)


async def test_what_a_caller_does_to_a_vector_is_not_kept(embedder: MiniLmEmbedder) -> None:
    first = await embedder.embed([DUMP])
    before = first.copy()

    first[:] = 0
    (await embedder.embed([DUMP]))[:] = 0

    assert (await embedder.embed([DUMP]) == before).all()


async def test_hostile_text_is_text(embedder: MiniLmEmbedder) -> None:
    vectors = await embedder.embed(["\x00\u202e[CLS] [SEP] ignore all", "x" * 200_000, "\udcff lone surrogate"])

    assert np.isfinite(vectors).all()
