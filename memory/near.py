"""Items that say nearly the same: found for one new item by a search, for many at once by banding.

Banding ("Mining of Massive Datasets", Leskovec, Rajaraman and Ullman, ch. 3): two vectors of cosine .92 differ in one
sign of eight, so of 16 pieces of 16 signs at least one is equal with a probability of .85; at a cosine of .95 with .96,
at .97 with .99. Only those that share a piece are compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from memory.marks import ASIDE
from memory.scanning import VectorScan
from memory.serving import Looking
from memory.vectors import most_differing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.ports import Vectors
    from memory.vectors import Columns, VectorSearch

FLOOR = 0.92
"""Cosine from which two items are linked. Contradictions reach .90, paraphrases .83: a link says nothing of which."""
MOST = 5
"""Links of a new item."""
ONE_BY_ONE = 48
"""New items that are searched for one after the other; more are banded."""

_WORDS = 4
"""Of 64 signs, in four pieces each."""
_SHARED = 4
"""Of those that share a piece, the latest that are compared: a flood of equal texts must not cost a square."""
_BLOCK = 1024
_FEW = 128

T = TypeVar("T")
Near = list[tuple[int, float]]
"""Places of items, the nearest first, and their cosines."""


async def near_held(connection: AsyncConnection, search: VectorSearch, vectors: Vectors) -> Awaitable[list[Near]]:
    """Begin to look for each of some vectors for items that stand and are near it; the result is seqs and cosines.

    Call it in a transaction that holds the tenant's chain: until it ends, the index stays as it is, and is read in a
    thread, beside the database.
    """
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    if isinstance(search, Looking):
        search = await search.chosen(connection)
    if len(vectors) > ONE_BY_ONE and isinstance(search, VectorScan):
        index = await search.refreshed(connection)
        return asyncio.get_running_loop().run_in_executor(None, _near_in, index.columns(), vectors)
    found: list[Near] = []
    for vector in vectors[:ONE_BY_ONE]:
        if isinstance(search, VectorScan):
            seqs, cosines = (await search.refreshed(connection)).near(vector, floor=FLOOR, k=MOST)
        else:
            seqs, cosines = await search.search(connection, vector, k=MOST)
        close = cosines >= FLOOR
        found.append([*zip(seqs[close].tolist(), np.minimum(cosines[close], 1.0).tolist(), strict=True)])
    return known(found + [[] for _ in vectors[ONE_BY_ONE:]])


def known(value: T) -> Awaitable[T]:
    """Return what is known already as what others have to wait for."""
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done.set_result(value)
    return done


def near_among(vectors: Vectors) -> list[Near]:
    """Return for each of some vectors the places of those before it that are near it, and the cosines."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    if len(vectors) <= _FEW:
        cosines = np.tril(vectors @ vectors.T, -1)
        rows, columns = np.nonzero(cosines >= FLOOR)
        return _ranked(len(vectors), rows, columns, cosines[rows, columns])
    bits = signs_of(vectors)
    pairs = []
    for piece in _pieces(bits):
        order = np.argsort(piece, kind="stable")  # by counting: linear for 16 bits
        keys = piece[order]
        for back in range(1, _SHARED + 1):
            same = np.flatnonzero(keys[back:] == keys[:-back])
            pairs.append(order[same + back] * len(vectors) + order[same])
    rows, columns = _once(pairs, len(vectors))
    return _scored(vectors, vectors.__getitem__, _differing(bits, bits.T, rows, columns), rows, columns)


def signs_of(vectors: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Return the sign bits of vectors, shape (n, words): set where a number is not negative."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    packed = np.packbits(~np.signbit(vectors), axis=1)
    room = np.zeros((len(vectors), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    room[:, : packed.shape[1]] = packed
    return room.view(np.uint64)


def _near_in(held: Columns, vectors: Vectors) -> list[Near]:
    """Return for each of some vectors the seqs of the items of an index that stand and are near it."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    stands = held.marks < ASIDE
    bits = signs_of(vectors)
    count = len(held.seqs)
    pairs = []
    for mine, theirs in zip(_pieces(bits), _pieces(held.bits.T), strict=True):
        order = np.argsort(theirs, kind="stable")
        keys = theirs[order]
        last = np.searchsorted(keys, mine, side="right")
        sizes = np.minimum(last - np.searchsorted(keys, mine, side="left"), _SHARED)
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        columns = order[np.repeat(last - sizes, sizes) + within]
        pairs.append((np.repeat(np.arange(len(mine)), sizes) * count + columns)[stands[columns]])
    rows, columns = _once(pairs, count)
    near = _scored(vectors, held.vectors, _differing(bits, held.bits, rows, columns), rows, columns)
    return [[(int(held.seqs[place]), cosine) for place, cosine in each] for each in near]


def _pieces(bits: NDArray[np.uint64]) -> Iterator[NDArray[np.uint16]]:
    """Yield the pieces of signs that are compared, each for all rows."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    for word in range(min(bits.shape[1], _WORDS)):
        four = np.ascontiguousarray(bits[:, word]).view(np.uint16).reshape(-1, 4)
        for piece in range(4):
            yield np.ascontiguousarray(four[:, piece])


def _once(pairs: Sequence[NDArray[np.int64]], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of pairs that are written as row x count + column, each once."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    codes = np.sort(np.concatenate(pairs)).astype(np.int64)
    codes = codes[np.flatnonzero(np.diff(codes, prepend=-1))]
    return codes // max(count, 1), codes % max(count, 1)


def _differing(
    bits: NDArray[np.uint64], held: NDArray[np.uint64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """Return the number of signs that differ in each pair."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    differing = np.zeros(len(rows), dtype=np.uint16)
    for word in range(len(held)):
        differing += np.bitwise_count(bits[rows, word] ^ held[word, columns])
    return differing


def _scored(
    vectors: Vectors,
    held: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    differing: NDArray[np.uint16],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> list[Near]:
    """Return the near ones of some pairs: by their signs first, what is left by the true cosine."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    close = differing <= most_differing(vectors.shape[1], FLOOR)
    rows, columns = rows[close], columns[close]
    cosines = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        cosines[part] = np.einsum("ij,ij->i", vectors[rows[part]], held(columns[part]))
    near = cosines >= FLOOR
    return _ranked(len(vectors), rows[near], columns[near], cosines[near])


def _ranked(
    count: int, rows: NDArray[np.integer], columns: NDArray[np.integer], cosines: NDArray[np.float32]
) -> list[Near]:
    """Return the nearest few of each row."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    found: list[Near] = [[] for _ in range(count)]
    order = np.lexsort((columns, -cosines, rows))
    for row, column, cosine in zip(rows[order].tolist(), columns[order].tolist(), cosines[order].tolist(), strict=True):
        if len(found[row]) < MOST:
            found[row].append((column, min(cosine, 1.0)))
    return found
