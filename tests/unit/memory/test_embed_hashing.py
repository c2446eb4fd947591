"""The embedder that is always there."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
import pytest

from memory.embed.hashing import CHUNK_CHARACTERS, HashingEmbedder

TEXTS = [
    "rundll32.exe launched comsvcs.dll MiniDump against lsass.exe on WS-17",
    "Grüße aus Zürich: 10.0.0.7 → 185.220.101.4",
    "the of and",
    "Ⅷ\x00\udcff\u202e powershell",
]


async def test_vectors_have_length_one() -> None:
    vectors = await HashingEmbedder().embed(TEXTS)

    assert vectors.shape == (4, 512)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("text", ["", "  \n", "!?-- ..."])
async def test_a_text_without_words_says_nothing(text: str) -> None:
    vectors = await HashingEmbedder().embed([text])

    assert not vectors.any()


async def test_no_texts_have_no_vectors() -> None:
    assert (await HashingEmbedder().embed([])).shape == (0, 512)


async def test_vectors_are_the_same_on_every_machine_and_with_every_hash_seed() -> None:
    vectors = await HashingEmbedder(dimensions=128).embed(TEXTS)

    digest = hashlib.sha256(vectors.astype("<f2").tobytes()).hexdigest()
    assert digest[:16] == "d763e4de54804df2", "vectors in databases are not comparable any more: give it another name"


async def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    embedder = HashingEmbedder()
    many = [f"{text} {number}" for number in range(400) for text in TEXTS]

    together = await embedder.embed(many)

    alone = np.concatenate([await embedder.embed([text]) for text in many[::37]])
    assert (together[::37] == alone).all()


async def test_texts_that_are_spelled_alike_are_near() -> None:
    base, like, other = await HashingEmbedder().embed(
        [
            "lsass.exe memory was dumped by comsvcs.dll",
            "Dumping of LSASS memory with comsvcs",
            "A user granted consent to a mail app in the tenant",
        ]
    )

    assert base @ like > 0.4
    assert abs(base @ other) < 0.2


async def test_a_long_list_of_texts_leaves_turns_to_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other())
        await HashingEmbedder().embed(["word " * (CHUNK_CHARACTERS // 5 + 1)] * 20)
        waiting.cancel()

    assert turns >= 20


@pytest.mark.parametrize("dimensions", [0, -64, 32, 500])
def test_dimensions_are_a_power_of_two(dimensions: int) -> None:
    with pytest.raises(ValueError, match="power of 2"):
        HashingEmbedder(dimensions=dimensions)
