"""What searches the vectors of a process: pgvector where the database has its index, else the scan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, cast

from sqlalchemy import Table, select

from memory import pgvector
from memory.marks import EVERY_STANDING, Only
from memory.models import EmbedderModel
from memory.rows import Rows
from memory.scanning import VectorScans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.memory import Memory
    from memory.ports import Embedder, Transactions
    from memory.vectors import Found, VectorSearch

_EMBEDDERS = cast("Table", EmbedderModel.__table__)

LOOKED_AGAIN = 100
"""Searches after which a process that scans looks whether there is an index now. A look is one statement."""

_SERVES = "the database has pgvector's index"


class Serving:
    """Hands out the search of a tenant: by pgvector for the embedders that it has an index of, else by a scan.

    Args:
        scans: Of this process; `None`: new ones.
        indexed: Ids of the embedders that pgvector serves.
        looks: Look for the index of another embedder when it is first searched, in that transaction; for PostgreSQL.
        why: Why it is so, for people.
    """

    def __init__(
        self,
        scans: VectorScans | None = None,
        *,
        indexed: Collection[int] = (),
        looks: bool = False,
        why: str = "nothing was searched yet",
    ) -> None:
        self._scans = scans or VectorScans()
        self._indexed = {*indexed}
        self._looks = looks
        self._left: dict[int, int] = {}
        self.why = why

    @property
    def kind(self) -> str:
        """`pgvector` or `scan`."""
        return "pgvector" if self._indexed else "scan"

    def of(self, tenant: str, *, embedder: int, dimensions: int) -> VectorSearch:
        """Return the search of a tenant under an embedder; ask again for each transaction."""
        if embedder in self._indexed:
            return pgvector.PgVectorSearch(tenant=tenant, embedder=embedder, dimensions=dimensions)
        if self._looks:
            left = self._left.get(embedder, 0)
            if not left:
                return Looking(self, tenant=tenant, embedder=embedder, dimensions=dimensions)
            self._left[embedder] = left - 1
        return self._scans.of(tenant, embedder=embedder, dimensions=dimensions)

    async def look(self, connection: AsyncConnection, *, embedder: int, dimensions: int) -> None:
        """Find out what serves an embedder in this database, in a transaction of the caller's."""
        lack = await pgvector.lack(connection, embedder=embedder, dimensions=dimensions)
        self.why = lack or _SERVES
        if lack is None:
            self._indexed.add(embedder)
        else:
            self._left[embedder] = LOOKED_AGAIN


class Looking:
    """Implements `VectorSearch` for one transaction: looks what serves, and has that search."""

    def __init__(self, serving: Serving, *, tenant: str, embedder: int, dimensions: int) -> None:
        self._serving = serving
        self._tenant = tenant
        self._embedder = embedder
        self._dimensions = dimensions
        self._chosen: VectorSearch | None = None

    @property
    def kind(self) -> str:
        return self._serving.kind if self._chosen is None else self._chosen.kind

    async def search(
        self,
        connection: AsyncConnection,
        query: NDArray[np.float32],
        *,
        k: int,
        only: Only = EVERY_STANDING,
        among: Sequence[int] | None = None,
    ) -> Found:
        return await (await self.chosen(connection)).search(connection, query, k=k, only=only, among=among)

    async def chosen(self, connection: AsyncConnection) -> VectorSearch:
        """Return what searches."""
        if self._chosen is None:
            await self._serving.look(connection, embedder=self._embedder, dimensions=self._dimensions)
            self._chosen = self._serving.of(self._tenant, embedder=self._embedder, dimensions=self._dimensions)
        return self._chosen


async def open_searches(
    transactions: Transactions,
    *,
    embedder: Embedder,
    scans: VectorScans | None = None,
    build: bool = False,
) -> Serving:
    """Choose what searches: pgvector where its index of this embedder is there or is soon made, else the scan.

    Args:
        transactions: To a database with memory's tables.
        embedder: Under which texts and questions get their vectors.
        scans: Those of this process; `None`: new ones.
        build: Let pgvector index any number of vectors now, which locks their table for a minute per 100 k.
    """
    async with transactions.writing() as connection:
        number = await Rows(connection, tenant="").embedder(embedder.name, dimensions=embedder.dimensions)
        why = await pgvector.prepare(connection, embedder=number, dimensions=embedder.dimensions, build=build)
        is_postgres = connection.dialect.name == "postgresql"
    return Serving(scans, indexed=() if why else (number,), looks=is_postgres, why=why or _SERVES)


async def told(memory: Memory) -> tuple[str, str]:
    """Return what searches the vectors of a memory's embedder, `pgvector` or `scan`, and why it is that, for people."""
    embedder = memory.embedder
    async with memory.transactions.reading() as connection:
        known = await connection.execute(select(_EMBEDDERS.c.id).where(_EMBEDDERS.c.name == embedder.name))
        lack = await pgvector.lack(connection, embedder=known.scalar() or 0, dimensions=embedder.dimensions)
    return ("pgvector", _SERVES) if lack is None else ("scan", lack)
