"""Group commit on SQLite: one connection, owned by one thread, so that no `fsync` blocks the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread

from aurora.kernel.errors import ConfigError, StorageError, StorageUnavailable
from aurora.storage.checkpoints.change import Change, Outcome, failures, settle
from aurora.storage.sqlite import apply_pragmas

BATCH = 256
"""Most changes of one transaction; it bounds how long other processes wait for the lock."""

# BEGIN IMMEDIATE holds the write lock of the whole file, so this row cannot change before the commit.
_HOLDS = "SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND thread_id = ? AND state = 'running'"

_CHECKPOINT = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, data, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
    parent_id = excluded.parent_id, run_id = excluded.run_id, data = excluded.data, metadata = excluded.metadata
"""
_BLOB = """
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, value) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
"""
_WRITE = """
INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET
    task_path = excluded.task_path, channel = excluded.channel, type = excluded.type, value = excluded.value
WHERE excluded.idx < 0
"""
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)


class SqliteWriter:
    """A thread that takes what is queued, stores it in one transaction, and tells the event loop."""

    def __init__(self, connection: sqlite3.Connection, *, loop: asyncio.AbstractEventLoop) -> None:
        self.commits = 0
        self._connection = connection
        self._loop = loop
        self._closing = False
        self._queue: SimpleQueue[tuple[Change, Future[None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="aurora-checkpoints", daemon=True)
        self._thread.start()

    def submit(self, change: Change) -> Future[None]:
        """Queue a change; see `Writer.submit`."""
        if self._closing:
            raise StorageError("the checkpoint saver is closed")
        future: Future[None] = self._loop.create_future()
        self._queue.put((change, future))
        return future

    async def close(self) -> None:
        """Store what is queued, then close the connection."""
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while waiting := self._take():
            outcomes = self._commit([change for change, _ in waiting])
            self._loop.call_soon_threadsafe(settle, waiting, outcomes)
        self._connection.close()

    def _take(self) -> list[tuple[Change, Future[None]]]:
        """Wait for a change and return it with all that queued meanwhile; nothing when the writer closes."""
        waiting = []
        item = self._queue.get()
        while item is not None:
            waiting.append(item)
            if len(waiting) == BATCH:
                return waiting
            try:
                item = self._queue.get_nowait()
            except Empty:
                return waiting
        if waiting:  # the end was queued behind them: serve them first and find it again
            self._queue.put(None)
        return waiting

    def _commit(self, changes: list[Change]) -> list[Outcome]:
        try:
            outcomes = self._store(changes)
        except Exception as error:  # noqa: BLE001  (whatever it is belongs to a run, not to this thread)
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                return failures(
                    StorageUnavailable, "the database is locked or cannot be written", count=len(changes), cause=error
                )
            if len(changes) > 1:  # one run's rows were refused: find out whose, and store the others
                return [self._commit([change])[0] for change in changes]
            return failures(StorageError, "the database refused a checkpoint", count=1, cause=error)
        self.commits += 1
        return outcomes

    def _store(self, changes: list[Change]) -> list[Outcome]:
        execute, executemany = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        try:
            outcomes: list[Outcome] = [
                None
                if fence is None or execute(_HOLDS, (fence.task_id.hex, fence.epoch, fence.thread_id)).fetchone()
                else fence.lost()
                for fence in (change.fence for change in changes)
            ]
            held = [change for change, outcome in zip(changes, outcomes, strict=True) if outcome is None]
            executemany(_WRITE, [row for change in held for row in change.writes])
            executemany(_BLOB, [row for change in held for row in change.blobs])
            executemany(_CHECKPOINT, [row for change in held for row in change.checkpoints])
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return outcomes


@asynccontextmanager
async def open_sqlite_writer(path: str | None, *, patience: timedelta) -> AsyncIterator[SqliteWriter]:
    """Open a writer on a database file; what is queued at the end is stored before it closes.

    Raises:
        ConfigError: the database is in memory, which a second connection cannot see.
        StorageUnavailable: the file cannot be opened.
    """
    if not path or ":memory:" in path or "mode=memory" in path:
        raise ConfigError(
            "the checkpoint saver needs a database file: it writes on a connection of its own, "
            "which cannot see a database in memory"
        )
    try:
        connection = await asyncio.to_thread(_connect, path, patience)
    except sqlite3.Error as error:
        raise StorageUnavailable("the database file cannot be opened", reason=str(error)) from error
    writer = SqliteWriter(connection, loop=asyncio.get_running_loop())
    try:
        yield writer
    finally:
        await writer.close()


def _connect(path: str, patience: timedelta) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,  # opened here, then used by the writer's thread alone
        uri=path.startswith("file:"),
    )
    apply_pragmas(connection, busy_timeout=patience)
    return connection
