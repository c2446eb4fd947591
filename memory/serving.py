"""What searches the vectors of a process: chosen once, at opening."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from memory import pgvector
from memory.rows import Rows
from memory.scanning import VectorScans

if TYPE_CHECKING:
    from memory.ports import Embedder, Transactions
    from memory.vectors import VectorSearch


class Serving:
    """Hands out the search of a tenant: by pgvector for the embedders that it has an index of, else by a scan.

    Args:
        scans: Of this process.
        indexed: Ids of the embedders that pgvector serves.
        why: Why it is so, for people.
    """

    def __init__(self, scans: VectorScans, *, indexed: Collection[int] = (), why: str) -> None:
        self._scans = scans
        self._indexed = frozenset(indexed)
        self.why = why

    @property
    def kind(self) -> str:
        """`pgvector` or `scan`."""
        return "pgvector" if self._indexed else "scan"

    def of(self, tenant: str, *, embedder: int, dimensions: int) -> VectorSearch:
        """Return the search of a tenant under an embedder; ask again for each transaction."""
        if embedder in self._indexed:
            return pgvector.PgVectorSearch(tenant=tenant, embedder=embedder, dimensions=dimensions)
        return self._scans.of(tenant, embedder=embedder, dimensions=dimensions)


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
    indexed = (number,) if why is None else ()
    return Serving(
        VectorScans() if scans is None else scans, indexed=indexed, why=why or "the database has pgvector's index"
    )
