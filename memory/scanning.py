"""Vector search by a scan in this process, kept up with what other processes write."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from memory.marks import EVERY_STANDING, MARK, Only
from memory.vectors import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.vectors import Found

    _Rows = Sequence[Sequence[Any]]

LIMIT_BYTES = 512 * 1024 * 1024
"""What the indexes of all tenants may take together: 700 k items of 384 dimensions."""

_PAGE = 8192
_MAY_BE_FOUND = "i.state IN ('active', 'archived')"
_PAGED = f"""
    SELECT i.seq, {MARK}, v.vector FROM memory_vectors v JOIN memory_items i ON i.seq = v.seq
    WHERE v.tenant = :1 AND v.embedder = :2 AND v.seq > :3 AND i.tenant = :1 AND {_MAY_BE_FOUND}
    ORDER BY v.seq LIMIT {_PAGE}
"""  # noqa: S608 - made of this module's own constants
_CHANGED = f"""
    SELECT i.seq, {MARK}, CASE WHEN {_MAY_BE_FOUND} THEN v.vector END, i.version FROM memory_items i
    LEFT JOIN memory_vectors v ON v.embedder = :2 AND v.seq = i.seq AND v.tenant = :1
    WHERE i.tenant = :1 AND (i.version, i.seq) > (:3, :4) AND i.version <= :5
    ORDER BY i.version, i.seq LIMIT {_PAGE}
"""  # noqa: S608 - made of this module's own constants
_COUNT = "SELECT count(*) FROM memory_vectors WHERE tenant = :1 AND embedder = :2"
_HEAD = """
    SELECT number, hash, (SELECT hash FROM memory_events WHERE tenant = :1 AND number = :2)
    FROM memory_heads WHERE tenant = :1
"""
"""One statement, for each is a hop to the driver: the head, and what it was bound to where we stand."""
_LAST = 2**62


class VectorScan:
    """Implements `VectorSearch` on a `VectorIndex`, which it loads at the first search and keeps up from then on.

    A search first reads the head of the tenant's chain; if it moved, the items that changed since. So it sees what
    other processes wrote, and what they took back is gone. Belongs to one event loop, which it holds for as long as
    a scan takes; may be shared by its tasks.

    Args:
        tenant: Whose items; from whoever opened the memory, never from data.
        embedder: Id of the embedder in this database.
        dimensions: Length of its vectors.
    """

    kind = "scan"

    def __init__(self, *, tenant: str, embedder: int, dimensions: int) -> None:
        self._tenant = tenant
        self._embedder = embedder
        self._dimensions = dimensions
        self._loading = asyncio.Lock()
        self._index: VectorIndex | None = None
        self._number = 0
        self._hash = b""

    @property
    def nbytes(self) -> int:
        return 0 if self._index is None else self._index.nbytes

    async def search(
        self,
        connection: AsyncConnection,
        query: NDArray[np.float32],
        *,
        k: int,
        only: Only = EVERY_STANDING,
        among: Sequence[int] | None = None,
    ) -> Found:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        index = await self.refreshed(connection)
        return index.search(query, k=k, only=only, among=None if among is None else np.asarray(among, dtype=np.int64))

    async def refreshed(self, connection: AsyncConnection) -> VectorIndex:
        """Return the index as of the head that the connection sees. Use it before the next `await`."""
        while True:
            index, known, held = self._index, self._number, self._hash
            head = await _rows(connection, _HEAD, self._tenant, known)
            number, digest, bound = head[0] if head else (0, b"", None)
            if index is None or not _follows(known, held, number, bytes(digest), bound):
                async with self._loading:
                    if self._index is index and self._number == known:  # else another task has loaded it meanwhile
                        self._index = await self._load(connection)
                        self._number, self._hash = number, bytes(digest)
                        return self._index
                continue
            if number == known:
                return index
            changes = await self._changes(connection, known, number)
            if self._index is index and self._number == known:  # else another task was faster: look again
                for page in changes:
                    self._apply(index, page)
                self._number, self._hash = number, bytes(digest)
                return index

    async def _load(self, connection: AsyncConnection) -> VectorIndex:
        count = await _rows(connection, _COUNT, self._tenant, self._embedder)
        index = VectorIndex(self._dimensions, capacity=count[0][0])
        after = -1
        while page := await _rows(connection, _PAGED, self._tenant, self._embedder, after):
            self._apply(index, page)
            after = page[-1][0]
        return index

    async def _changes(self, connection: AsyncConnection, after: int, to: int) -> list[_Rows]:
        pages: list[_Rows] = []
        seq = _LAST
        while page := await _rows(connection, _CHANGED, self._tenant, self._embedder, after, seq, to):
            pages.append(page)
            if len(page) < _PAGE:
                break
            after, seq = page[-1][3], page[-1][0]
        return pages

    def _apply(self, index: VectorIndex, rows: _Rows) -> None:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        seqs, marks, blobs = list(zip(*rows, strict=True))[:3]
        numbers = np.array(seqs, dtype=np.int64)
        usable = [blob is not None and len(blob) == 2 * self._dimensions for blob in blobs]
        taken = np.array(marks, dtype=np.uint8)
        if not all(usable):
            is_usable = np.array(usable)
            index.remove(numbers[~is_usable])
            numbers, taken, blobs = numbers[is_usable], taken[is_usable], tuple(compress(blobs, usable))
        index.add(numbers, np.frombuffer(b"".join(blobs), dtype="<f2").reshape(-1, self._dimensions), marks=taken)


class VectorScans:
    """The scans of many tenants in one process. The ones that were not used for longest go when they take too much.

    Args:
        limit_bytes: What all may take together; the one in use stays, whatever it takes.
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._scans: OrderedDict[tuple[str, int], VectorScan] = OrderedDict()

    @property
    def tenants(self) -> list[str]:
        """Whose scans are held, the one that was not used for longest first."""
        return list(dict.fromkeys(tenant for tenant, _ in self._scans))

    def of(self, tenant: str, *, embedder: int, dimensions: int) -> VectorScan:
        """Return the scan of a tenant under an embedder; ask again for each search."""
        key = (tenant, embedder)
        scan = self._scans.get(key)
        if scan is None:
            scan = self._scans[key] = VectorScan(tenant=tenant, embedder=embedder, dimensions=dimensions)
        self._scans.move_to_end(key)
        while len(self._scans) > 1 and sum(each.nbytes for each in self._scans.values()) > self._limit:
            self._scans.popitem(last=False)
        return scan

    def forget(self, tenant: str) -> None:
        """Let go of all that is held of a tenant."""
        for key in [key for key in self._scans if key[0] == tenant]:
            del self._scans[key]


def _follows(known: int, held: bytes, number: int, digest: bytes, bound: bytes | None) -> bool:
    """Tell whether what is held is a past of what the database holds, and not of what was undone there.

    Args:
        known: Number of the event that we stand at.
        held: Its hash, as we know it.
        number: Of the head.
        digest: Of the head.
        bound: The hash of the event that we stand at, as the database holds it.
    """
    if number <= known:
        return number == known and digest == held
    return known == 0 or (bound is not None and bytes(bound) == held)


async def _rows(connection: AsyncConnection, statement: str, *values: object) -> _Rows:
    """Run a statement whose values are `:1`, `:2`, … and return the rows as the driver makes them.

    On SQLite past SQLAlchemy: it would make an object of each of 100 k rows.
    """
    if connection.dialect.name == "postgresql":
        return (await connection.exec_driver_sql(statement.replace(":", "$"), values)).all()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    rows: _Rows = await driver.execute_fetchall(statement.replace(":", "?"), values)
    return rows
