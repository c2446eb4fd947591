"""Group commit on PostgreSQL: one connection, and one statement for all that is queued."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aurora.kernel.errors import StorageError, StorageUnavailable
from aurora.storage.checkpoints.change import Change, Outcome, failures, settle

BATCH = 256
"""Most changes of one statement."""

# One statement is one transaction and one round trip. `n` is the place of a change in the batch; a row
# is stored if its change holds its lease. FOR SHARE keeps the task row as it is until the commit: a
# plain SELECT would let another worker claim the task between the check and the insert.
# Rows are locked in one order, so that two savers cannot wait for each other.
_STORE = """
WITH held AS (
    SELECT fence.n FROM tasks AS task
    JOIN unnest($1::int[], $2::uuid[], $3::int[], $4::text[]) AS fence (n, id, epoch, thread_id)
        ON task.id = fence.id AND task.epoch = fence.epoch AND task.thread_id = fence.thread_id
    WHERE task.state = 'running'
    ORDER BY task.id FOR SHARE OF task
), stored_writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value
    FROM unnest($5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::text[], $12::text[],
                $13::text[], $14::bytea[])
        AS row (n, thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    WHERE row.n < 0 OR row.n IN (SELECT n FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET
        task_path = excluded.task_path, channel = excluded.channel, type = excluded.type, value = excluded.value
    WHERE excluded.idx < 0
), stored_blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, value)
    SELECT thread_id, checkpoint_ns, channel, version, type, value
    FROM unnest($15::int[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::bytea[])
        AS row (n, thread_id, checkpoint_ns, channel, version, type, value)
    WHERE row.n < 0 OR row.n IN (SELECT n FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), stored_checkpoints AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, data, metadata)
    SELECT thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, data, metadata::jsonb
    FROM unnest($22::int[], $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::bytea[], $29::text[])
        AS row (n, thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, data, metadata)
    WHERE row.n < 0 OR row.n IN (SELECT n FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        parent_id = excluded.parent_id, run_id = excluded.run_id, data = excluded.data, metadata = excluded.metadata
)
SELECT n FROM held
"""
_UNFENCED = -1
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalClientError,  # the server hung up just now and the driver has not noticed yet
)


class PostgresWriter:
    """A task that takes what is queued, stores it in one statement, and tells the runs that wait."""

    def __init__(self, engine: AsyncEngine, *, patience: timedelta) -> None:
        self.commits = 0
        self._patience_s = patience.total_seconds()
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._queue: list[tuple[Change, Future[None]]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._loop = asyncio.get_running_loop()

    def submit(self, change: Change) -> Future[None]:
        """Queue a change; see `Writer.submit`."""
        if self._closing:
            raise StorageError("the checkpoint saver is closed")
        future: Future[None] = self._loop.create_future()
        self._queue.append((change, future))
        self._wake.set()
        return future

    def close(self) -> None:
        """Let `serve` end once all that is queued is stored."""
        self._closing = True
        self._wake.set()

    async def serve(self) -> None:
        """Store what is queued until `close`; the caller owns the task that runs this."""
        try:
            while self._queue or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                while waiting := self._queue[:BATCH]:
                    del self._queue[:BATCH]
                    settle(waiting, await self._commit([change for change, _ in waiting]))
        finally:
            self._closing = True
            settle(self._queue, [StorageUnavailable("the checkpoint saver was stopped") for _ in self._queue])
            await self._disconnect()

    async def _commit(self, changes: list[Change]) -> list[Outcome]:
        try:
            driver = await self._connect()
            held = {row[0] for row in await driver.fetch(_STORE, *_arguments(changes), timeout=self._patience_s)}
        except _PASSING as error:
            await self._disconnect(broken=True)
            return failures(
                StorageUnavailable,
                "the database cannot be reached or holds the task's row",
                count=len(changes),
                cause=error,
            )
        except DBAPIError as error:
            return failures(StorageUnavailable, "the database cannot be reached", count=len(changes), cause=error)
        except Exception as error:  # noqa: BLE001  (whatever it is belongs to a run, not to this task)
            if len(changes) > 1:  # one run's rows were refused: find out whose, and store the others
                return [(await self._commit([change]))[0] for change in changes]
            return failures(StorageError, "the database refused a checkpoint", count=1, cause=error)
        self.commits += 1
        return [None if change.fence is None or n in held else change.fence.lost() for n, change in enumerate(changes)]

    async def _connect(self) -> Any:
        """Return the driver's connection, taken from the engine's pool and kept."""
        if self._connection is None:
            async with asyncio.timeout(self._patience_s):
                self._connection = await self._engine.connect()
        return (await self._connection.get_raw_connection()).driver_connection

    async def _disconnect(self, *, broken: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, *_PASSING):  # it is given up either way
                if broken:
                    await connection.invalidate()
                await connection.close()


def _arguments(changes: list[Change]) -> list[list[Any]]:
    """Return the arrays of `_STORE`: one a column, in its order."""
    fences = [(n, *change.fence) for n, change in enumerate(changes) if change.fence is not None]
    writes: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    checkpoints: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    blobs: list[tuple[Any, ...]] = []
    for place, change in enumerate(changes):
        n = _UNFENCED if change.fence is None else place
        blobs.extend((n, *row) for row in change.blobs)
        # A statement may touch a row once only, so what would be replaced within the batch is left out here.
        for checkpoint in change.checkpoints:
            checkpoints[change.fence, *checkpoint[:3]] = (n, *checkpoint)
        for write in change.writes:
            key = (change.fence, *write[:5])
            if write.idx < 0 or key not in writes:
                writes[key] = (n, *write)
    return [
        *_columns(fences, 4),
        *_columns(writes.values(), 10),
        *_columns(blobs, 7),
        *_columns(checkpoints.values(), 8),
    ]


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


@asynccontextmanager
async def open_postgres_writer(engine: AsyncEngine, *, patience: timedelta) -> AsyncIterator[PostgresWriter]:
    """Open a writer on an engine; what is queued at the end is stored before it closes."""
    writer = PostgresWriter(engine, patience=patience)
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.serve(), name="aurora-checkpoints")
        try:
            yield writer
        except BaseException as error:  # noqa: BLE001  (raised again below; the group would wrap it)
            failure = error
        finally:
            writer.close()
    if failure is not None:
        raise failure
