"""The vectors of one tenant under one embedder, in memory: signs to find candidates, 12 bits a number to score them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from memory.marks import ASIDE, EVERY_STANDING, GONE, Only
from memory.twelve import packed, products, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]
    """Seqs of items, the nearest first, and the cosine of each."""

CANDIDATES = 256
"""Rows that are scored exactly, and a quarter more on average. Recall@10 is .9995 then at 100 k x 384 in clusters; on
3,451 real texts .998 with MiniLM and .98 with hashing. What has no neighbours, such as noise, would need far more."""
PER_RESULT = 8
"""At least so many candidates for each result that is asked for."""

_BLOCK = 16_384
"""Rows that are compared at a time: the buffers stay in the cache of one core."""
_PUT = 256
"""Rows that are taken in at a time, for the same reason."""
_SAMPLE = 16
_SIGMAS = 3.5
_SPARE = 8
"""When it is full it grows by one part in so many: an item may take 1 KB in all."""


class VectorSearch(Protocol):
    """Finds the items of one tenant that are nearest to a vector, under one embedder."""

    @property
    def kind(self) -> str:
        """What serves: `scan` or `pgvector`."""

    async def search(
        self,
        connection: AsyncConnection,
        query: NDArray[np.float32],
        *,
        k: int,
        only: Only = EVERY_STANDING,
        among: Sequence[int] | None = None,
    ) -> Found:
        """Return at most `k` items, the nearest first; of equals, the older. Sees all that the connection sees.

        In a transaction that writes, call it before its first write: what is not committed may never be.

        Args:
            connection: In a transaction; its tables hold the vectors.
            query: Shape (dimensions,). A vector of zeros finds nothing.
            k: At most 1000.
            only: By what the index knows of each item.
            among: If given, only items with these seqs.
        """


def most_differing(dimensions: int, cosine: float) -> float:
    """Return in how many signs two vectors of a cosine differ, but for one pair in 4,000.

    Each sign differs with a probability of the angle between them, as a part of half a turn (Charikar, 2002).
    """
    share = math.acos(cosine) / math.pi
    return dimensions * share + _SIGMAS * math.sqrt(dimensions * share * (1 - share))


class Columns(NamedTuple):
    """The arrays of an index."""

    seqs: NDArray[np.int64]
    """Ascending."""
    marks: NDArray[np.uint8]
    rows: NDArray[np.uint8]
    """See `memory.twelve`."""
    scales: NDArray[np.float32]
    """By which the numbers of each row are multiplied."""
    bits: NDArray[np.uint64]
    """Signs, shape (words, items); set where a number is not negative."""

    def vectors(self, at: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the vectors at some places."""
        return unpacked(self.rows[at]) * self.scales[at, None]


class VectorIndex:
    """Vectors in columns of 64 sign bits, and as rows of 12 bits a number: 639 bytes an item with 384 dimensions.

    With 512 it is 847.

    Candidates are those with the fewest different signs ("Similarity Estimation Techniques from Rounding Algorithms",
    Charikar, 2002); they are then scored by their true cosine. Belongs to one event loop, or one thread: no call
    awaits, so calls never overlap.

    Args:
        dimensions: Length of the vectors.
        capacity: Items to make room for at once.
    """

    def __init__(self, dimensions: int, *, capacity: int = 0) -> None:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        self._dimensions = dimensions
        self._words = -(-dimensions // 64)
        self._count = 0
        self._gone = 0
        self._seqs = np.zeros(0, dtype=np.int64)  # ascending
        self._marks = np.zeros(0, dtype=np.uint8)
        self._rows = np.zeros((0, dimensions + -(-dimensions // 2)), dtype=np.uint8)
        self._scales = np.zeros(0, dtype=np.float32)
        self._bits = np.zeros((self._words, 0), dtype=np.uint64)
        self._distances = np.zeros(0, dtype=np.uint16)
        self._differing = np.empty(_BLOCK, dtype=np.uint64)
        self._ones = np.empty(_BLOCK, dtype=np.uint8)
        self._sum = np.empty(_BLOCK, dtype=np.uint8)
        self._barriers: dict[Only, NDArray[np.uint16] | None] = {}
        self._reserve(capacity)

    def __len__(self) -> int:
        return self._count - self._gone

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def nbytes(self) -> int:
        """Bytes that it holds, room for further items included."""
        arrays = (self._seqs, self._marks, self._rows, self._scales, self._bits, self._distances)
        return sum(array.nbytes for array in arrays) + sum(
            barrier.nbytes for barrier in self._barriers.values() if barrier is not None
        )

    def add(self, seqs: NDArray[np.int64], vectors: NDArray[np.floating], *, marks: NDArray[np.uint8]) -> None:
        """Take in vectors; one whose seq is there already takes its place.

        Args:
            seqs: Shape (n,), each at most once.
            vectors: Shape (n, dimensions), each row of length 1 or 0.
            marks: Shape (n,); see `memory.marks`.
        """
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        if not len(seqs):
            return
        self._barriers.clear()
        if (seqs[1:] < seqs[:-1]).any():
            order = np.argsort(seqs, kind="stable")
            seqs, vectors, marks = seqs[order], vectors[order], marks[order]
        at, is_known = self._find(seqs)
        if is_known.any():
            self._gone -= int((self._marks[at[is_known]] == GONE).sum())
            self._put(at[is_known], vectors[is_known], marks[is_known])
            self._gone += int((marks[is_known] == GONE).sum())
        if is_known.all():
            return
        if not is_known.any():
            fresh, rows, fresh_marks = seqs, vectors, marks
        else:
            fresh, rows, fresh_marks = seqs[~is_known], vectors[~is_known], marks[~is_known]
        start, end = self._count, self._count + len(fresh)
        is_sorted = start == 0 or fresh[0] > self._seqs[start - 1]
        self._reserve(end)
        self._seqs[start:end] = fresh
        self._count = end
        self._put(np.arange(start, end), rows, fresh_marks)
        if not is_sorted:
            self._keep(np.argsort(self._seqs[:end], kind="stable"))

    def mark(self, seqs: NDArray[np.int64], marks: NDArray[np.uint8]) -> None:
        """Change what searches are filtered by; seqs that are not here are left out."""
        at, is_known = self._find(seqs)
        if is_known.any():
            self._barriers.clear()
            at = at[is_known]
            self._gone -= int((self._marks[at] == GONE).sum())
            self._marks[at] = marks[is_known]

    def remove(self, seqs: NDArray[np.int64]) -> None:
        """Let go of items, at once and for good: their numbers are overwritten with zeros."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        at, is_known = self._find(seqs)
        at = np.unique(at[is_known])
        at = at[self._marks[at] != GONE]
        if not len(at):
            return
        self._barriers.clear()
        self._put(at, np.zeros((len(at), self._dimensions), dtype=np.float16), np.uint8(GONE))
        self._gone += len(at)
        if self._gone > self._count // _SPARE:
            self._keep(np.flatnonzero(self._marks[: self._count] != GONE))

    def holds(self, seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each seq whether it is here."""
        at, is_known = self._find(seqs)
        is_known[is_known] = self._marks[at[is_known]] != GONE
        return is_known

    def seqs(self) -> NDArray[np.int64]:
        """Return the seqs of all items, ascending."""
        held: NDArray[np.int64] = self._seqs[: self._count][self._marks[: self._count] != GONE]
        return held

    def columns(self) -> Columns:
        """Return what it holds, not copied: good until the next change. Rows that were removed have the mark 255."""
        count = self._count
        return Columns(
            self._seqs[:count], self._marks[:count], self._rows[:count], self._scales[:count], self._bits[:, :count]
        )

    def search(
        self,
        query: NDArray[np.float32],
        *,
        k: int,
        only: Only = EVERY_STANDING,
        among: NDArray[np.int64] | None = None,
    ) -> Found:
        """Return the seqs and cosines of the `k` nearest items, the nearest first; of equals, the older."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        if k < 1 or not self._count or not query.any():
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        want = max(CANDIDATES, PER_RESULT * k)
        barrier = self._barrier(only)
        if among is not None:
            at, is_known = self._find(np.unique(among))
            at = at[is_known]
            at = at if barrier is None else at[barrier[at] == 0]
        elif self._count <= want:
            at = np.arange(self._count) if barrier is None else np.flatnonzero(barrier == 0)
        else:
            at = self._candidates(query, want, barrier)
        cosines = self._score(at, query)
        best = np.lexsort((at, -cosines))[:k]
        return self._seqs[at[best]], cosines[best]

    def near(self, vector: NDArray[np.float32], *, floor: float, k: int) -> Found:
        """Return the seqs and cosines of the `k` nearest items that stand, if their cosine is at least `floor`.

        Faster than a search: what differs in more signs than such a cosine lets expect is not scored. One in
        4,000 of those with just that cosine is missed.
        """
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        if not self._count or not vector.any():
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        distances = self._measured(vector)
        at = np.flatnonzero(distances <= most_differing(self._dimensions, floor))
        at = at[self._marks[at] < ASIDE]
        if len(at) > CANDIDATES:  # a flood of the same
            at = at[np.argsort(distances[at], kind="stable")[:CANDIDATES]]
        cosines = self._score(at, vector)
        best = np.lexsort((at, -cosines))[:k]
        best = best[cosines[best] >= floor]
        return self._seqs[at[best]], np.minimum(cosines[best], np.float32(1.0))

    def _candidates(
        self, query: NDArray[np.float32], want: int, barrier: NDArray[np.uint16] | None
    ) -> NDArray[np.intp]:
        """Return the places of about `want` rows whose signs differ least from the query's."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        distances = self._measured(query)
        if barrier is not None:
            np.maximum(distances, barrier, out=distances)
        # One row in 16 tells about where to cut: to count them all would take as long as a third of the comparing.
        sample = np.cumsum(np.bincount(distances[::_SAMPLE], minlength=self._dimensions + 2))
        limit = min(int(np.searchsorted(sample, 1.25 * want / _SAMPLE)), self._dimensions)
        found: NDArray[np.intp] = np.flatnonzero(distances <= limit)
        while len(found) < want and limit < self._dimensions:
            limit = min(limit + max(1, self._dimensions // 64), self._dimensions)
            found = np.flatnonzero(distances <= limit)
        if len(found) > 2 * want:  # many alike: equals are as good as each other
            found = found[np.argsort(distances[found], kind="stable")[: 2 * want]]
        return found

    def _measured(self, query: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return in how many signs each row differs from the query; good until the next call."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        signs = self._signs(query[np.newaxis].astype(np.float16))[0]
        distances = self._distances[: self._count]
        for start in range(0, self._count, _BLOCK):
            part = distances[start : start + _BLOCK]
            size = len(part)
            differing, ones, total = self._differing[:size], self._ones[:size], self._sum[:size]
            for word in range(self._words):
                column = self._bits[word, start : start + size]
                np.bitwise_xor(column, signs[word], out=differing)
                if word % 3 == 0:
                    np.bitwise_count(differing, out=total)
                else:  # a byte holds the sum of three words: 192 at most
                    np.bitwise_count(differing, out=ones)
                    np.add(total, ones, out=total)
                if word == 2 or (word < 2 and word == self._words - 1):  # the first three
                    part[:] = total
                elif word % 3 == 2 or word == self._words - 1:  # the last of three
                    np.add(part, total, out=part)
        return distances

    def _score(self, at: NDArray[np.intp], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosines of rows."""
        return products(self._rows[at], query) * self._scales[at]

    def _barrier(self, only: Only) -> NDArray[np.uint16] | None:
        """Return what raises the distance of rows that may not be found above every other; `None`: all may."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        if only not in self._barriers:
            if len(self._barriers) > 3:  # searches of a tenant ask for few combinations in turn
                self._barriers.clear()
            shut = np.array([not only.admits(mark) for mark in _MARKS], dtype=np.uint16)
            table = np.full(256, self._dimensions + 1, dtype=np.uint16)
            table[: len(_MARKS)] = shut * np.uint16(self._dimensions + 1)
            barrier = table[self._marks[: self._count]]
            self._barriers[only] = barrier if barrier.any() else None
        return self._barriers[only]

    def _signs(self, rows: NDArray[np.float16]) -> NDArray[np.uint64]:
        """Return the sign bits of rows, shape (n, words)."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        packed = np.zeros((len(rows), self._words * 8), dtype=np.uint8)
        bits = np.packbits(rows.view(np.uint16) < 0x8000, axis=1)  # the sign bit
        packed[:, : bits.shape[1]] = bits
        words: NDArray[np.uint64] = packed.view(np.uint64)
        return words

    def _put(self, at: NDArray[np.intp], vectors: NDArray[np.floating], marks: NDArray[np.uint8] | np.uint8) -> None:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        for start in range(0, len(at), _PUT):
            places = at[start : start + _PUT]
            halves = np.ascontiguousarray(vectors[start : start + _PUT], dtype=np.float16)
            self._rows[places], self._scales[places] = packed(halves.astype(np.float32))
            self._bits[:, places] = self._signs(halves).T
        self._marks[at] = marks

    def _find(self, seqs: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the place of each seq, and whether it is there at all."""
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        held = self._seqs[: self._count]
        at = np.searchsorted(held, seqs)
        is_known = at < self._count
        is_known[is_known] = held[at[is_known]] == seqs[is_known]
        return at, is_known

    def _reserve(self, count: int) -> None:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        capacity = len(self._seqs)
        if count <= capacity:
            return
        room = count if not capacity else max(count, capacity + capacity // _SPARE + 256)
        for name in ("_seqs", "_marks", "_rows", "_scales", "_distances"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), dtype=old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)
        bits = np.zeros((self._words, room), dtype=np.uint64)
        bits[:, : self._count] = self._bits[:, : self._count]
        self._bits = bits

    def _keep(self, at: NDArray[np.intp]) -> None:
        """Put the rows in this order and drop the rest."""
        count = len(at)
        for array in (self._seqs, self._marks, self._rows, self._scales):
            array[:count] = array[at]
            array[count : self._count] = 0
        self._bits[:, :count] = self._bits[:, at]
        self._bits[:, count : self._count] = 0
        self._gone = int((self._marks[:count] == GONE).sum())
        self._count = count
        self._barriers.clear()


_MARKS = range(64)
