"""Vector search in PostgreSQL, by pgvector's HNSW index, where the extension may be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from memory.hand import Hand
from memory.marks import EVERY_STANDING, MARK, Only

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.vectors import Found

BUILT_AT_OPENING = 5_000
"""Vectors that are indexed while somebody waits; more are indexed when it is asked for. A build locks the table."""

_OLDEST = (0, 8)  # iterative scans, without which a filter may leave nothing of what the index found
_MOST_DIMENSIONS = 4_000  # of an index on half precision
_LOCK = 1296387411
_PATIENCE = "5s"  # others wait behind whoever waits for the table
_LONGEST_BUILD_S = 6 * 3600
_LOCKED = "55P03"  # SQLSTATE: a lock was not had in time
_WIDEN = """
CREATE OR REPLACE FUNCTION memory_half(vector bytea) RETURNS halfvec LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(
        CASE WHEN (bits & 32768) = 0 THEN 1 ELSE -1 END
        * CASE WHEN (bits & 31744) = 0 THEN (bits & 1023) * 2.0::float8 ^ -24
          ELSE (1024 + (bits & 1023)) * 2.0::float8 ^ (((bits >> 10) & 31) - 25) END
        ORDER BY place)::real[]::halfvec
    FROM (SELECT place, get_byte($1, 2 * place) | (get_byte($1, 2 * place + 1) << 8) AS bits
          FROM generate_series(0, length($1) / 2 - 1) AS place) AS each
$$"""
_COLUMN = (
    "ALTER TABLE memory_vectors ADD COLUMN half halfvec GENERATED ALWAYS AS"
    " (CASE WHEN length(vector) > 0 THEN memory_half(vector) END) STORED"
)
_HAS_COLUMN = """
    SELECT true FROM pg_attribute
    WHERE attrelid = 'memory_vectors'::regclass AND attname = 'half' AND NOT attisdropped
"""
_STATE = """
    SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1::text)),
           (SELECT extversion FROM pg_extension WHERE extname = 'vector')
"""
_AVAILABLE = "SELECT true FROM pg_available_extensions WHERE name = 'vector'"
_SETTINGS = """
    SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true)
"""


class PgVectorSearch:
    """Implements `VectorSearch` on an HNSW index that `prepare` made. Holds nothing: the database keeps it up.

    Args:
        tenant: Whose items; from whoever opened the memory, never from data.
        embedder: Id of the embedder in this database.
        dimensions: Length of its vectors.
    """

    kind = "pgvector"

    def __init__(self, *, tenant: str, embedder: int, dimensions: int) -> None:
        self._tenant = tenant
        # Whole numbers, written into the statement: the index is of one embedder, and only so can it be chosen.
        self._embedder = int(embedder)
        self._dimensions = int(dimensions)

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

        rows: Sequence[Sequence[float]] = ()
        if k >= 1 and query.any():
            text = "[" + ",".join(map(repr, query.astype(np.float32).tolist())) + "]"
            marks = [mark for mark in range(64) if only.admits(mark)]
            values: list[object] = [text, self._tenant, marks, k, *([] if among is None else [list(among)])]
            await connection.exec_driver_sql(_SETTINGS, (str(min(1000, max(200, 8 * k))),))
            rows = (await connection.exec_driver_sql(self._statement(among, ""), tuple(values))).all()
            if len(rows) < k:  # the walk through the index ends after so many rows; a small tenant is read as a whole
                rows = (await connection.exec_driver_sql(self._statement(among, " + 0"), tuple(values))).all()
        seqs = np.array([row[0] for row in rows], dtype=np.int64)
        cosines = np.array([row[1] for row in rows], dtype=np.float32)
        order = np.lexsort((seqs, -cosines))
        return seqs[order], cosines[order]

    def _statement(self, among: Sequence[int] | None, past_the_index: str) -> str:
        half, whole = f"halfvec({self._dimensions})", f"vector({self._dimensions})"
        # Read in queries of their own, the question is read once; else a plan that is kept reads it for each row.
        distance = f"(v.half::{half} <#> (SELECT CAST($1 AS text)::{half}))"
        # What was found is scored as the scan does it, the question not halved: of near equals the same come first.
        cosine = f"-(v.half::{whole} <#> (SELECT CAST($1 AS text)::{whole}))"
        # The item is looked up by its key, in a query of its own: of a join the planner makes a square where it has
        # no statistics yet, and so it does with an index of tenants or states. What is added to can be in no index.
        return f"""
            SELECT v.seq, {cosine} FROM memory_vectors v
            WHERE v.embedder = {self._embedder} AND v.tenant = $2
            {"" if among is None else "AND v.seq = ANY(CAST($5 AS bigint[]))"}
            AND (
                SELECT {MARK} FROM memory_items i
                WHERE i.seq = v.seq AND i.tenant || '' = $2 AND i.state || '' IN ('active', 'archived')
            ) = ANY(CAST($3 AS integer[]))
            ORDER BY {distance}{past_the_index} LIMIT $4
        """  # noqa: S608 - made of whole numbers and constants


async def lack(connection: AsyncConnection, *, embedder: int, dimensions: int) -> str | None:
    """Return why the index of an embedder does not serve, for people; `None`: it serves.

    One statement that reads, in the caller's transaction; none where the database is not PostgreSQL.
    """
    if connection.dialect.name != "postgresql":
        return "the database is not PostgreSQL"
    name = _index(embedder, dimensions)
    ((is_valid, version),) = await Hand(connection).fetch(_STATE, name)
    if version is None:
        return "the database does not have the extension vector"
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        return f"pgvector {version} is too old; 0.8 is needed"
    return None if is_valid else "pgvector's index of this embedder is not there"


async def prepare(connection: AsyncConnection, *, embedder: int, dimensions: int, build: bool = False) -> str | None:
    """Make what is missing for `PgVectorSearch`, in the caller's transaction.

    Args:
        connection: To a database with memory's tables, in a transaction that writes.
        embedder: Id of the embedder in this database.
        dimensions: Length of its vectors.
        build: Index any number of vectors. It locks the table for as long as it takes, a minute for 100 k.

    Returns:
        `None` if the index serves; else why it cannot, for people.
    """
    if connection.dialect.name != "postgresql":
        return "the database is not PostgreSQL"
    if dimensions > _MOST_DIMENSIONS:
        return f"{dimensions} dimensions are more than the {_MOST_DIMENSIONS} that pgvector can index"
    import asyncpg  # noqa: PLC0415 - the driver of this database alone

    try:
        async with connection.begin_nested():
            return await _prepare(connection, embedder=int(embedder), dimensions=int(dimensions), build=build)
    except (DBAPIError, asyncpg.PostgresError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) == _LOCKED:
            return "others are using the vectors, or make their index; it is tried again later"
        return f"pgvector cannot be used: {str(cause).splitlines()[0]}"


async def _prepare(connection: AsyncConnection, *, embedder: int, dimensions: int, build: bool) -> str | None:
    missing = await lack(connection, embedder=embedder, dimensions=dimensions)
    if missing is None:
        return None
    if not await _asks(connection, _AVAILABLE):
        return "the server does not have the extension vector"
    # Several may come at once; one makes it, the others wait a little and find it.
    await connection.exec_driver_sql("SELECT set_config('lock_timeout', $1, true)", (_PATIENCE,))
    await connection.exec_driver_sql("SELECT pg_advisory_xact_lock($1)", (_LOCK,))
    if await lack(connection, embedder=embedder, dimensions=dimensions) is None:
        return None
    has_column = await _asks(connection, _HAS_COLUMN)
    # The column is written into every row; the index reads them all, and takes up those of its embedder.
    whose = f"embedder = {embedder}" if has_column else "true"
    most = BUILT_AT_OPENING + 1
    counted = f"SELECT count(*) FROM (SELECT 1 FROM memory_vectors WHERE {whose} LIMIT {most}) few"  # noqa: S608 - numbers
    count = (await connection.exec_driver_sql(counted)).scalar_one()
    if count >= most and not build:
        return f"{count} vectors or more are not in pgvector's index yet; ask for it to be built"
    await connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")
    if not has_column:
        await connection.exec_driver_sql(_WIDEN)
        await _run(connection, _COLUMN)
    await _run(
        connection,
        f"CREATE INDEX IF NOT EXISTS {_index(embedder, dimensions)} ON memory_vectors"
        f" USING hnsw ((half::halfvec({dimensions})) halfvec_ip_ops) WHERE embedder = {embedder}",
    )
    await _run(connection, "ANALYZE memory_vectors")
    return await lack(connection, embedder=embedder, dimensions=dimensions)


def _index(embedder: int, dimensions: int) -> str:
    return f"ix_memory_vectors_half_{int(embedder)}_{int(dimensions)}"


async def _run(connection: AsyncConnection, statement: str) -> None:
    """Run what may take long, past the time that a connection otherwise gives one statement."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.execute(statement, timeout=_LONGEST_BUILD_S)


async def _asks(connection: AsyncConnection, query: str) -> bool:
    return bool((await connection.exec_driver_sql(query)).scalar())
