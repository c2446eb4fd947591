"""The LangGraph checkpoint saver: one commit a superstep, in the name of a task that still holds its lease."""

from __future__ import annotations

import asyncio
import json
from asyncio import Future
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import ConfigError, LeaseLost, StorageUnavailable, Unfenced
from aurora.storage.checkpoints.change import BlobRow, Change, CheckpointRow, Fence, Writer, WriteRow
from aurora.storage.checkpoints.reading import Criteria, Reader, reading
from aurora.storage.checkpoints.serde import StrictSerializer
from aurora.storage.checkpoints.upkeep import Upkeep
from aurora.storage.sqlite import BUSY_TIMEOUT

TASK_ID = "aurora_task_id"
"""Key in `config["configurable"]`: id of the row of `tasks`, as text."""

EPOCH = "aurora_epoch"
"""Key in `config["configurable"]`: epoch under which that task was claimed."""

FRESH = "aurora_fresh"
"""Key in `config["configurable"]`: true on a task's first claim, when its thread cannot have a checkpoint yet."""

_SHORT = 64
"""Text of up to so many characters is kept in the checkpoint: a row of its own needs more for its key."""

_PLAIN = frozenset({bool, int, float, type(None)})

_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode  # PostgreSQL knows no NaN

Owner = tuple[str, Fence | None]
"""Whose buffered writes: thread and claim. A run that lost its lease never sends those of its successor."""


class AuroraSaver(BaseCheckpointSaver[str]):
    """Stores the threads of LangGraph in SQLite or PostgreSQL. Open it with `AuroraSaver.open(engine)`.

    What a task of a superstep wrote waits in memory and is stored with the superstep's checkpoint, in one
    transaction; errors, interrupts and resumes are stored at once. Whoever runs a graph calls it with
    `durability="sync"` and awaits `flush` when the run stops, however it stops. LangGraph holds the same
    writes in memory until the superstep ends, so what waits here at most doubles them.

    Every write names a task and an epoch (`TASK_ID`, `EPOCH` in `config["configurable"]`) and is stored
    only while that task runs under that epoch on that thread. Only the async methods exist.
    """

    def __init__(self, *, engine: AsyncEngine, writer: Writer, fenced: bool, random: Random) -> None:
        super().__init__(serde=StrictSerializer())
        # LangGraph clones savers (`with_allowlist`). Clones share all below, so none of it is ever rebound.
        self._engine = engine
        self._reading = reading(engine)
        self._writer = writer
        self._fenced = fenced
        self._random = random
        self._buffer: dict[Owner, list[WriteRow]] = {}
        self._flying: dict[Future[None], str] = {}
        self._begun: set[str] = set()  # threads of fresh runs that have a checkpoint by now

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        engine: AsyncEngine,
        *,
        fenced: bool = True,
        random: Random | None = None,
        patience: timedelta = BUSY_TIMEOUT,
    ) -> AsyncIterator[AuroraSaver]:
        """Open a saver on a database that has the tables; what is buffered is stored before it closes.

        Args:
            engine: From `aurora.storage.engine.open_engine`; it stays open and belongs to the caller.
            fenced: False lets anybody write. For the conformance suite, which knows no tasks.
            random: Tells apart the versions that two branches of one thread give to a channel.
            patience: How long a commit waits for a lock that somebody else holds.

        Raises:
            ConfigError: the database is in memory, or of a kind that is not supported.
        """
        async with _open_writer(engine, patience) as writer:
            random = random or Random()  # noqa: S311  (it keeps versions apart, it hides nothing)
            saver = cls(engine=engine, writer=writer, fenced=fenced, random=random)
            try:
                yield saver
            finally:
                await saver._settle()  # a run that still had a use for an error has flushed itself

    @property
    def commits(self) -> int:
        """Transactions committed so far by puts and flushes."""
        return self._writer.commits

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, the channels it changed and the writes that led to it, and wait until it is durable.

        Raises:
            Unfenced: the config names no task or no epoch.
            LeaseLost: the task does not run under that epoch on this thread any more; nothing was stored.
            StorageUnavailable: the database is locked or gone; the buffered writes wait for `flush`.
        """
        conf = config["configurable"]
        thread_id, checkpoint_ns = str(conf["thread_id"]), conf.get("checkpoint_ns", "")
        fence = self._fence(conf, thread_id)
        dumps = self.serde.dumps_typed
        values = checkpoint["channel_values"]
        short = {channel: value for channel, value in values.items() if _is_short(value)}
        details = get_checkpoint_metadata(config, metadata)
        change = Change(
            fence=fence,
            checkpoints=[
                CheckpointRow(
                    thread_id,
                    checkpoint_ns,
                    checkpoint["id"],
                    conf.get("checkpoint_id"),
                    details.get("run_id"),
                    dumps({**checkpoint, "channel_values": short})[1],
                    _to_json(details),
                )
            ],
            blobs=[
                BlobRow(thread_id, checkpoint_ns, channel, str(version), *dumps(values[channel]))
                for channel, version in new_versions.items()
                if channel in values and channel not in short
            ],
        )
        if conf.get(FRESH):
            self._begun.add(thread_id)
        await self._store((thread_id, fence), change)
        return {
            "configurable": {
                **_claim(conf),
                "thread_id": thread_id,
                "checkpoint_ns": checkpoint_ns,
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote until the next checkpoint; store it at once if it is an error, interrupt or resume.

        Raises:
            Unfenced: the config names no task or no epoch.
            LeaseLost: as `aput`, when stored at once.
            StorageUnavailable: as `aput`, when stored at once.
        """
        conf = config["configurable"]
        thread_id = str(conf["thread_id"])
        owner = (thread_id, self._fence(conf, thread_id))
        place = (thread_id, conf.get("checkpoint_ns", ""), str(conf["checkpoint_id"]), task_id)
        dumps = self.serde.dumps_typed
        # No await before the rows are buffered: LangGraph starts this call before the checkpoint that follows.
        self._buffer.setdefault(owner, []).extend(
            WriteRow(*place, WRITES_IDX_MAP.get(channel, idx), task_path, channel, *dumps(value))
            for idx, (channel, value) in enumerate(writes)
        )
        if any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._store(owner, Change(fence=owner[1]))

    async def flush(self, thread_id: str | None = None, *, epoch: int | None = None) -> None:
        """Store what is buffered and wait for what is under way, so that nothing of a stopped run is pending.

        Args:
            thread_id: Of this thread only; None means of all.
            epoch: Of the run with this epoch only; a predecessor on the thread may have lost its lease.

        Raises:
            LeaseLost: the run's task has another lease; the writes are dropped.
            StorageUnavailable: the database is locked or gone; the writes are dropped, the nodes run again.
        """
        failures = await self._settle(thread_id, epoch=epoch)
        if thread_id is not None:
            self._begun.discard(thread_id)
        for failure in failures:
            raise failure

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that the config names, or the newest of its thread and namespace, or None."""
        conf = config["configurable"]
        thread_id = str(conf["thread_id"])
        if conf.get(FRESH) and thread_id not in self._begun:
            return None
        await self._make_visible(thread_id)
        criteria = Criteria(thread_id, conf.get("checkpoint_ns", ""), conf.get("checkpoint_id") or None)
        async for page in Reader(self._reading, self.serde).pages(criteria, _claim(conf), 1):
            return page[0]
        return None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield the checkpoints of a thread (or of all, without a config), newest first."""
        conf = config["configurable"] if config else {}
        thread_id = str(conf["thread_id"]) if config else None
        await self._make_visible(thread_id)
        criteria = Criteria(
            thread_id,
            conf.get("checkpoint_ns"),
            conf.get("checkpoint_id") or None,
            before["configurable"].get("checkpoint_id") if before else None,
            filter,
        )
        async for page in Reader(self._reading, self.serde).pages(criteria, _claim(conf), limit):
            for found in page:
                yield found

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove all that is stored of a thread. Not for a thread on which a run is live."""
        await self._make_visible(str(thread_id))
        await Upkeep(self._engine, self.serde).delete_threads([str(thread_id)])

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of these runs. Not while one of them is live."""
        await self._make_visible(None)
        await Upkeep(self._engine, self.serde).delete_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread to a new one.

        Raises:
            Conflict: the target thread has checkpoints of its own.
        """
        await self._make_visible(str(source_thread_id))
        await Upkeep(self._engine, self.serde).copy(str(source_thread_id), str(target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep only the newest checkpoint of every namespace of these threads, or, with `delete`, nothing.

        Raises:
            ValueError: the strategy is neither `keep_latest` nor `delete`.
        """
        upkeep = Upkeep(self._engine, self.serde)
        strategies = {"keep_latest": upkeep.prune, "delete": upkeep.delete_threads}
        if strategy not in strategies:
            raise ValueError(f"strategy={strategy!r} must be one of {sorted(strategies)}")
        for thread_id in thread_ids:
            await self._make_visible(str(thread_id))
        await strategies[strategy]([str(thread_id) for thread_id in thread_ids])

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a version that sorts after `current` and that no other branch of the thread has drawn."""
        count = int(current.partition(".")[0]) if current else 0
        return f"{count + 1:010}.{self._random.getrandbits(32):08x}"

    def _fence(self, conf: Mapping[str, Any], thread_id: str) -> Fence | None:
        if not self._fenced:
            return None
        task_id, epoch = conf.get(TASK_ID), conf.get(EPOCH)
        if task_id is None or epoch is None:
            raise Unfenced(f"a checkpoint needs {TASK_ID} and {EPOCH} in config['configurable']", thread_id=thread_id)
        try:
            return Fence(UUID(str(task_id)), int(epoch), thread_id)
        except ValueError:
            raise Unfenced(f"{TASK_ID} must be a UUID and {EPOCH} a number", thread_id=thread_id) from None

    async def _store(self, owner: Owner, change: Change) -> None:
        """Store a change together with what its owner has buffered."""
        change.writes = self._buffer.pop(owner, [])
        try:
            await self._send(owner[0], change)
        except StorageUnavailable:  # the run stops now; its flush may find the database back
            self._buffer[owner] = change.writes + self._buffer.get(owner, [])
            raise

    async def _send(self, thread_id: str, change: Change) -> None:
        future = self._writer.submit(change)
        self._flying[future] = thread_id
        future.add_done_callback(self._flying.pop)
        await asyncio.shield(future)  # a cancelled run leaves its change with the writer; `flush` waits for it

    async def _settle(self, thread_id: str | None = None, *, epoch: int | None = None) -> list[BaseException]:
        """Store what is buffered and wait for what is under way; return why some of it was not stored."""
        owners = [
            (thread, fence)
            for thread, fence in self._buffer
            if thread_id in (None, thread) and (epoch is None or fence is None or fence.epoch == epoch)
        ]
        flying = [future for future, thread in self._flying.items() if thread_id in (None, thread)]
        sent = [self._send(owner[0], Change(fence=owner[1], writes=self._buffer.pop(owner))) for owner in owners]
        outcomes = await asyncio.gather(*sent, return_exceptions=True) if sent else []
        if flying:  # their own callers are told how they end
            await asyncio.wait(flying)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _make_visible(self, thread_id: str | None) -> None:
        """Let a read see what is buffered. A run that lost its lease is not the reader's concern."""
        if self._buffer or self._flying:
            for failure in await self._settle(thread_id):
                if not isinstance(failure, LeaseLost):
                    raise failure


def _is_short(value: Any) -> bool:
    kind = type(value)
    return kind in _PLAIN or (kind is str and len(value) <= _SHORT)


def _claim(conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claim of a config: what a config that the saver returns must carry to be usable for a write."""
    return {key: conf[key] for key in (TASK_ID, EPOCH) if key in conf}


def _open_writer(engine: AsyncEngine, patience: timedelta) -> AbstractAsyncContextManager[Writer]:
    if engine.dialect.name == "sqlite":
        from aurora.storage.checkpoints.sqlite_writer import open_sqlite_writer  # noqa: PLC0415  (one driver is enough)

        return open_sqlite_writer(engine.url.database, patience=patience)
    if engine.dialect.name == "postgresql":
        from aurora.storage.checkpoints.postgres_writer import open_postgres_writer  # noqa: PLC0415  (as above)

        return open_postgres_writer(engine, patience=patience)
    raise ConfigError(f"the checkpoint saver does not know {engine.dialect.name!r}", dialect=engine.dialect.name)
