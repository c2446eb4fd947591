"""The index in memory: what it finds, and that it lets go."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory.items import Tier, Trust
from memory.marks import Only, mark_of
from memory.twelve import packed, products, unpacked
from memory.vectors import VectorIndex

DIMENSIONS = 64
PLAIN = mark_of(tier=Tier.EPISODIC, trust=Trust.AGENT_DERIVED, archived=False, retired=False)


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some(count: int, *, dimensions: int = DIMENSIONS, seed: int = 7) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


def index_of(vectors: NDArray[np.float32], *, first: int = 1, mark: int = PLAIN) -> VectorIndex:
    index = VectorIndex(vectors.shape[1])
    seqs = np.arange(first, first + len(vectors))
    index.add(seqs, vectors, marks=np.full(len(vectors), mark, dtype=np.uint8))
    return index


def found(index: VectorIndex, query: NDArray[np.float32], *, k: int = 1, **more: Any) -> list[int]:
    seqs: list[int] = index.search(query, k=k, **more)[0].tolist()
    return seqs


@pytest.mark.parametrize("dimensions", [384, 500])
def test_it_finds_what_an_exact_search_finds(dimensions: int) -> None:
    draw = np.random.default_rng(1)
    centres = draw.standard_normal((400, dimensions))
    near = unit(centres[draw.integers(0, 400, 20_000)] + 0.7 * draw.standard_normal((20_000, dimensions)))
    queries = unit(near[draw.integers(0, 20_000, 100)] + 0.4 * some(100, dimensions=dimensions))
    index = index_of(near)
    exact = np.argsort(-(queries @ near.T), axis=1)[:, :10] + 1

    hits = [len({*found(index, query, k=10)} & {*row}) for query, row in zip(queries, exact.tolist(), strict=True)]

    assert sum(hits) / 1000 >= 0.99


def test_cosines_are_true_to_three_digits_and_descend() -> None:
    vectors = some(2_000)
    index = index_of(vectors)

    seqs, cosines = index.search(vectors[5], k=20)

    assert seqs[0] == 6
    assert cosines == pytest.approx(vectors[seqs - 1] @ vectors[5], abs=1e-3)
    assert (np.diff(cosines) <= 0).all()


@pytest.mark.parametrize("dimensions", [64, 101, 512])
def test_equal_vectors_have_equal_cosines_wherever_they_stand(dimensions: int) -> None:
    vector, query = some(2, dimensions=dimensions)
    index = index_of(np.repeat(vector[None], 23, axis=0))

    found_at = [index.search(query, k=23, among=np.arange(1, last))[1] for last in range(2, 25)]

    assert len({*np.concatenate(found_at).tolist()}) == 1


def test_of_equals_the_older_comes_first() -> None:
    index = index_of(np.repeat(some(1), 3_000, axis=0))

    assert found(index, some(1)[0], k=5) == [1, 2, 3, 4, 5]


def test_a_query_that_says_nothing_finds_nothing() -> None:
    index = index_of(some(10))

    assert found(index, np.zeros(DIMENSIONS, dtype=np.float32), k=5) == []
    assert found(VectorIndex(DIMENSIONS), some(1)[0], k=5) == []
    assert found(index, some(1)[0], k=0) == []


@pytest.mark.parametrize("dimensions", [64, 101, 384, 512])
def test_numbers_are_kept_to_a_part_in_4000_of_the_greatest_of_their_row(dimensions: int) -> None:
    vectors = some(300, dimensions=dimensions) * np.geomspace(1e-6, 1.0, 300, dtype=np.float32)[:, None]
    vectors[7] = 0.0
    query = some(1, dimensions=dimensions)[0]

    rows, scales = packed(vectors)

    assert rows.nbytes == 300 * (dimensions + -(-dimensions // 2))
    assert (np.abs(unpacked(rows) * scales[:, None] - vectors) <= np.abs(vectors).max(axis=1)[:, None] / 4_000).all()
    assert products(rows, query) * scales == pytest.approx((unpacked(rows) * scales[:, None]) @ query, abs=1e-5)


def test_one_number_far_above_the_others_takes_little_from_them() -> None:
    vectors = some(1) * np.float32(0.1)
    vectors[0, 5] = 0.995

    _, cosines = index_of(vectors).search(some(1)[0], k=1)

    assert cosines[0] == pytest.approx(float(vectors[0] @ some(1)[0]), abs=1e-3)


@pytest.mark.parametrize("count", [100, 3_000])
def test_only_what_is_asked_for_is_found(count: int) -> None:
    vectors = some(count)
    index = VectorIndex(DIMENSIONS)
    marks = [
        mark_of(tier=Tier.EPISODIC, trust=Trust.OPERATOR, archived=False, retired=False),
        mark_of(tier=Tier.SEMANTIC, trust=Trust.EXTERNAL_CONTENT, archived=False, retired=False),
        mark_of(tier=Tier.SEMANTIC, trust=Trust.OPERATOR, archived=True, retired=False),
        mark_of(tier=Tier.STORE, trust=Trust.OPERATOR, archived=False, retired=True),
    ]
    index.add(np.arange(count), vectors, marks=np.array(marks, dtype=np.uint8)[np.arange(count) % 4])

    def kinds(only: Only) -> set[int]:
        return {seq % 4 for seq in found(index, vectors[0], k=50, only=only)}

    assert kinds(Only()) == {0, 1}
    assert kinds(Only(floor=Trust.OPERATOR)) == {0}
    assert kinds(Only(tiers=frozenset({Tier.SEMANTIC}))) == {1}
    assert kinds(Only(archived=True)) == {0, 1, 2}
    assert kinds(Only(archived=True, retired=True)) == {0, 1, 2, 3}
    assert kinds(Only(tiers=frozenset({Tier.PROCEDURAL}))) == set()
    assert {*found(index, vectors[0], k=50, among=np.array([1, 4, 6, 8, count + 9]))} == {1, 4, 8}


def test_a_single_one_among_thousands_that_may_not_be_found_is_found() -> None:
    vectors = some(5_000)
    index = index_of(vectors, mark=mark_of(tier="episodic", trust=0, archived=False, retired=True))

    index.mark(np.array([4_000, 9_999]), np.array([PLAIN, PLAIN], dtype=np.uint8))

    assert found(index, vectors[0], k=10) == [4_000]


def test_what_is_removed_leaves_no_number_behind() -> None:
    vectors = some(1_000)
    index = index_of(vectors)

    index.remove(np.array([5, 6, 77_777]))

    assert len(index) == 998
    assert not {5, 6} & {*found(index, vectors[4], k=1000, only=Only(archived=True, retired=True))}
    columns = index.columns()
    gone = np.isin(columns.seqs, [5, 6])
    assert not columns.rows[gone].any(), "the vector of an erased text"
    assert index.holds(np.array([4, 5])).tolist() == [True, False]


@pytest.mark.parametrize("dimensions", [384, 512])
def test_an_index_of_100k_takes_less_than_a_kilobyte_an_item(dimensions: int) -> None:
    rows = np.zeros((100_000, dimensions), dtype=np.float16)
    index = VectorIndex(dimensions)
    for start in range(0, 100_000, 5_000):
        seqs = np.arange(start, start + 5_000)
        index.add(seqs, rows[seqs], marks=np.full(5_000, PLAIN, dtype=np.uint8))

    assert index.nbytes / 100_000 < 1_000


Step = tuple[str, list[int]]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "mark"]), st.lists(st.integers(0, 60), unique=True, max_size=25)),
        max_size=20,
    )
)
def test_whatever_is_done_to_it_it_holds_what_a_dictionary_would(steps: list[Step]) -> None:
    index, expected = VectorIndex(DIMENSIONS), dict[int, tuple[NDArray[np.float32], int]]()
    for number, (what, seqs) in enumerate(steps):
        vectors = some(len(seqs), seed=number) if seqs else np.zeros((0, DIMENSIONS), dtype=np.float32)
        mark = mark_of(tier="semantic", trust=number % 4, archived=bool(number % 2), retired=False)
        marks = np.full(len(seqs), mark, dtype=np.uint8)
        if what == "add":
            index.add(np.array(seqs, dtype=np.int64), vectors, marks=marks)
            expected.update((seq, (vector, mark)) for seq, vector in zip(seqs, vectors, strict=True))
        elif what == "mark":
            index.mark(np.array(seqs, dtype=np.int64), marks)
            expected.update((seq, (expected[seq][0], mark)) for seq in seqs if seq in expected)
        else:
            index.remove(np.array(seqs, dtype=np.int64))
            for seq in seqs:
                expected.pop(seq, None)

        assert index.seqs().tolist() == sorted(expected)
        assert len(index) == len(expected)
        for seq, (vector, mark) in expected.items():
            only = Only(floor=Trust(mark >> 2 & 3), archived=bool(mark & 16))
            assert found(index, vector, only=only) == [seq]


def test_every_combination_has_a_mark_of_its_own() -> None:
    both = (False, True)
    kinds = itertools.product(Tier, Trust, both, both)

    marks = {mark_of(tier=tier, trust=trust, archived=old, retired=gone) for tier, trust, old, gone in kinds}

    assert marks == {*range(64)}


@pytest.mark.parametrize("dimensions", [64, 384, 512])
def test_what_is_near_is_what_a_search_finds_above_the_floor(dimensions: int) -> None:
    draw = np.random.default_rng(7)
    centres = unit(draw.normal(size=(40, dimensions)))
    rows = unit(np.repeat(centres, 50, axis=0) + draw.normal(size=(2000, dimensions)) * 0.25 / dimensions**0.5)
    marks = draw.choice(64, size=2000, p=[0.05] * 16 + [0.2 / 48] * 48).astype(np.uint8)
    index = VectorIndex(dimensions)
    index.add(np.arange(2000), rows, marks=marks)

    found = [(index.near(row, floor=0.92, k=5), index.search(row, k=5)) for row in rows[:200]]

    for near, searched in found:
        close = searched[1] >= 0.92
        assert near[0].tolist() == searched[0][close].tolist()
    assert sum(len(near[0]) for near, _ in found) > 500


def test_a_flood_of_the_same_is_not_scored_whole() -> None:
    same = unit(np.random.default_rng(1).normal(size=(1, 64)))
    index = VectorIndex(64)
    index.add(np.arange(5000), np.repeat(same, 5000, axis=0), marks=np.zeros(5000, dtype=np.uint8))

    seqs, cosines = index.near(same[0], floor=0.92, k=5)

    assert seqs.tolist() == [0, 1, 2, 3, 4]
    assert cosines.tolist() == pytest.approx([1.0] * 5, abs=1e-3)
