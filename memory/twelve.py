"""Vectors as 12 bits a number: as true as float16 where their numbers are of one size, in three quarters of the room.

A row holds the upper eight bits of its numbers, then the lower four: those of the first half of the numbers in the
lower half of a byte, those of the others in the upper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GREATEST = 2_047


def packed(vectors: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return vectors as whole numbers from -2047 to 2047, and by what each row is to be multiplied."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    dimensions = vectors.shape[1]
    half = -(-dimensions // 2)
    scales = np.maximum(vectors.max(axis=1), -vectors.min(axis=1)) / np.float32(_GREATEST)
    wide = vectors / np.where(scales > 0, scales, np.float32(1.0))[:, None]
    whole = np.rint(wide, out=wide).astype(np.int16)
    rows = np.empty((len(vectors), dimensions + half), dtype=np.uint8)
    rows[:, :dimensions] = (whole >> 4).astype(np.int8).view(np.uint8)
    low = (whole & 15).astype(np.uint8)
    rows[:, dimensions:] = low[:, :half]
    rows[:, dimensions : 2 * dimensions - half] |= low[:, half:] << 4
    return rows, scales


def unpacked(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the whole numbers of packed rows."""
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    dimensions = rows.shape[1] * 2 // 3
    half = rows.shape[1] - dimensions
    wide = rows[:, :dimensions].view(np.int8).astype(np.float32)
    wide *= np.float32(16.0)
    low = rows[:, dimensions:]
    wide[:, :half] += low & 15
    wide[:, half:] += low[:, : dimensions - half] >> 4
    return wide


def products(rows: NDArray[np.uint8], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the whole numbers of packed rows give with a query, faster than to unpack them.

    Equal rows give equal products wherever they stand: a product of matrices adds up some rows in another order.
    """
    import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

    dimensions = len(query)
    half = rows.shape[1] - dimensions
    low = rows[:, dimensions:]
    found: NDArray[np.float32] = np.einsum(
        "ij,j->i", rows[:, :dimensions].view(np.int8).astype(np.float32), query * np.float32(16.0)
    )
    found += np.einsum("ij,j->i", (low & 15).astype(np.float32), query[:half])
    found += np.einsum("ij,j->i", (low[:, : dimensions - half] >> 4).astype(np.float32), query[half:])
    return found
