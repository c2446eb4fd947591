"""Reads checkpoints back: rows become LangGraph's `CheckpointTuple`s, a page of them in three statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, writes_sort_key
from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import Row, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aurora.storage.checkpoints.tables import CheckpointBlobModel as Blob
from aurora.storage.checkpoints.tables import CheckpointModel as Checkpoint
from aurora.storage.checkpoints.tables import CheckpointWriteModel as Write
from aurora.storage.faults import told_plainly

PAGE = 64
"""Checkpoints read at a time; with 30 channels each this stays far below 32,766 bound values, SQLite's limit."""

_CHUNK = 5000
"""Most key tuples in one IN list: three values each."""

_COLUMNS = (
    Checkpoint.thread_id,
    Checkpoint.checkpoint_ns,
    Checkpoint.checkpoint_id,
    Checkpoint.parent_id,
    Checkpoint.data,
    Checkpoint.details,
)
_POSITION = tuple_(Checkpoint.checkpoint_id, Checkpoint.thread_id, Checkpoint.checkpoint_ns)

Place = tuple[str, str]
"""Thread and namespace."""


class Criteria(NamedTuple):
    """Which checkpoints to read; None means any."""

    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: str | None = None
    before_id: str | None = None
    metadata: Mapping[str, Any] | None = None

    def query(self) -> Select[Any]:
        """Return the statement, newest first. Of the metadata it looks at the run id alone."""
        query = select(*_COLUMNS).order_by(
            Checkpoint.checkpoint_id.desc(), Checkpoint.thread_id.desc(), Checkpoint.checkpoint_ns.desc()
        )
        if self.thread_id is not None:
            query = query.where(Checkpoint.thread_id == self.thread_id)
        if self.checkpoint_ns is not None:
            query = query.where(Checkpoint.checkpoint_ns == self.checkpoint_ns)
        if self.checkpoint_id is not None:
            query = query.where(Checkpoint.checkpoint_id == self.checkpoint_id)
        if self.before_id is not None:
            query = query.where(Checkpoint.checkpoint_id < self.before_id)
        if isinstance(run_id := (self.metadata or {}).get("run_id"), str):
            query = query.where(Checkpoint.run_id == run_id)
        return query

    def matches(self, details: Mapping[str, Any]) -> bool:
        """Tell whether a checkpoint's metadata has every value asked for.

        Compared here and not in SQL: equal on both databases, and no key from outside becomes a JSON path.
        """
        return all(key in details and details[key] == value for key, value in (self.metadata or {}).items())


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine for a `Reader`: the three statements of a page must see one moment.

    In SQLite every transaction does.
    """
    postgres = engine.dialect.name == "postgresql"
    return engine.execution_options(isolation_level="REPEATABLE READ") if postgres else engine


@asynccontextmanager
async def _reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    with told_plainly():
        async with engine.connect() as connection:
            yield connection


class Reader:
    """Reads with one serializer, on connections of an engine made by `reading`."""

    def __init__(self, engine: AsyncEngine, serde: SerializerProtocol) -> None:
        self._engine = engine
        self._serde = serde

    async def pages(
        self, criteria: Criteria, claim: Mapping[str, Any], limit: int | None
    ) -> AsyncIterator[list[CheckpointTuple]]:
        """Yield pages of checkpoints, newest first; no connection is held between two pages.

        `claim` is carried over into the configs, so that they can be used for a write.

        Raises:
            StorageUnavailable: the database is locked or gone.
        """
        left = limit
        query = page = criteria.query()
        while left is None or left > 0:
            size = PAGE if left is None or criteria.metadata else min(left, PAGE)
            async with _reading(self._engine) as connection:
                rows = (await connection.execute(page.limit(size))).all()
                kept = [row for row in rows if criteria.matches(row.metadata)][:left]
                loaded = await self._load(connection, kept, claim)
            if loaded:
                yield loaded
            if len(rows) < size:
                return
            left = None if left is None else left - len(kept)
            last = rows[-1]
            page = query.where(tuple_(last.checkpoint_id, last.thread_id, last.checkpoint_ns) > _POSITION)

    async def _load(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]], claim: Mapping[str, Any]
    ) -> list[CheckpointTuple]:
        loads = self._serde.loads_typed
        stored = [loads(("msgpack", row.data)) for row in rows]
        blobs = await self._blobs(connection, rows, stored)
        writes = await self._writes(connection, rows)
        found = []
        for row, checkpoint in zip(rows, stored, strict=True):
            place = (row.thread_id, row.checkpoint_ns)
            values = checkpoint["channel_values"]
            for channel, version in checkpoint["channel_versions"].items():
                blob = blobs.get((*place, channel, str(version)))
                if blob is not None and channel not in values:
                    values[channel] = loads(blob)
            found.append(
                CheckpointTuple(
                    config=_config(place, row.checkpoint_id, claim),
                    checkpoint=checkpoint,
                    metadata=row.metadata,
                    parent_config=_config(place, row.parent_id, claim) if row.parent_id else None,
                    pending_writes=[
                        (write.task_id, write.channel, loads((write.type, write.value)))
                        for write in writes[*place, row.checkpoint_id]
                    ],
                )
            )
        return found

    async def _blobs(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]], stored: Sequence[Any]
    ) -> dict[tuple[str, str, str, str], tuple[str, bytes]]:
        wanted: dict[Place, set[tuple[str, str]]] = defaultdict(set)
        for row, checkpoint in zip(rows, stored, strict=True):
            wanted[row.thread_id, row.checkpoint_ns].update(
                (channel, str(version))
                for channel, version in checkpoint["channel_versions"].items()
                if channel not in checkpoint["channel_values"]
            )
        found = {}
        for (thread_id, checkpoint_ns), keys in wanted.items():
            ordered = sorted(keys)
            for start in range(0, len(ordered), _CHUNK):
                query = select(Blob.channel, Blob.version, Blob.type, Blob.value).where(
                    Blob.thread_id == thread_id,
                    Blob.checkpoint_ns == checkpoint_ns,
                    tuple_(Blob.channel, Blob.version).in_(ordered[start : start + _CHUNK]),
                )
                for blob in await connection.execute(query):
                    found[thread_id, checkpoint_ns, blob.channel, blob.version] = (blob.type, blob.value)
        return found

    async def _writes(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]]
    ) -> dict[tuple[str, str, str], list[Any]]:
        keys = [(row.thread_id, row.checkpoint_ns, row.checkpoint_id) for row in rows]
        found: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        if keys:
            query = select(
                Write.thread_id,
                Write.checkpoint_ns,
                Write.checkpoint_id,
                Write.task_id,
                Write.idx,
                Write.task_path,
                Write.channel,
                Write.type,
                Write.value,
            ).where(tuple_(Write.thread_id, Write.checkpoint_ns, Write.checkpoint_id).in_(keys))
            for write in await connection.execute(query):
                found[write.thread_id, write.checkpoint_ns, write.checkpoint_id].append(write)
        for writes in found.values():  # the order in which a live run applies them
            writes.sort(key=lambda write: writes_sort_key(write.task_path, write.task_id, write.idx))
        return found


def _config(place: Place, checkpoint_id: str, claim: Mapping[str, Any]) -> RunnableConfig:
    return {"configurable": {**claim, "thread_id": place[0], "checkpoint_ns": place[1], "checkpoint_id": checkpoint_id}}
