"""Deletes, copies and prunes threads. None of it is fenced: it is for threads on which no run is live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import Select, and_, delete, func, insert, literal, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aurora.kernel.errors import Conflict
from aurora.storage.checkpoints.reading import Place
from aurora.storage.checkpoints.tables import CheckpointBlobModel as Blob
from aurora.storage.checkpoints.tables import CheckpointModel as Checkpoint
from aurora.storage.checkpoints.tables import CheckpointWriteModel as Write
from aurora.storage.engine import WRITES

_CHUNK = 500
"""Keys of one IN list of deletes."""

_TABLES: tuple[type[Checkpoint | Blob | Write], ...] = (Write, Blob, Checkpoint)


class Upkeep:
    """What happens to threads as a whole; every method is one transaction."""

    def __init__(self, engine: AsyncEngine, serde: SerializerProtocol) -> None:
        self._engine = engine.execution_options(**{WRITES: True})
        self._serde = serde

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """Remove all that is stored of these threads."""
        async with self._engine.begin() as connection:
            for table in _TABLES:
                await connection.execute(delete(table).where(table.thread_id.in_(thread_ids)))

    async def delete_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of these runs, their writes, and the values no other checkpoint uses."""
        async with self._engine.begin() as connection:
            rows = (
                await connection.execute(
                    select(Checkpoint.thread_id, Checkpoint.checkpoint_ns, Checkpoint.checkpoint_id).where(
                        Checkpoint.run_id.in_(run_ids)
                    )
                )
            ).all()
            await self._remove(connection, [(row[0], row[1], row[2]) for row in rows])

    async def prune(self, thread_ids: Sequence[str]) -> None:
        """Keep only the newest checkpoint of every namespace.

        A namespace whose newest checkpoint says that it builds on older ones (LangGraph's `DeltaChannel`
        replays their writes) is left as it is.
        """
        newest_id = func.max(Checkpoint.checkpoint_id).label("newest_id")
        newest = (
            select(Checkpoint.thread_id, Checkpoint.checkpoint_ns, newest_id)
            .where(Checkpoint.thread_id.in_(thread_ids))
            .group_by(Checkpoint.thread_id, Checkpoint.checkpoint_ns)
            .subquery()
        )
        place = and_(Checkpoint.thread_id == newest.c.thread_id, Checkpoint.checkpoint_ns == newest.c.checkpoint_ns)
        async with self._engine.begin() as connection:
            rows = (
                await connection.execute(
                    select(Checkpoint.thread_id, Checkpoint.checkpoint_ns, Checkpoint.details).join(
                        newest, and_(place, Checkpoint.checkpoint_id == newest.c.newest_id)
                    )
                )
            ).all()
            plain = {(row[0], row[1]) for row in rows if not row[2].get("counters_since_delta_snapshot")}
            older = (
                await connection.execute(
                    select(Checkpoint.thread_id, Checkpoint.checkpoint_ns, Checkpoint.checkpoint_id).join(
                        newest, and_(place, Checkpoint.checkpoint_id < newest.c.newest_id)
                    )
                )
            ).all()
            await self._remove(connection, [(row[0], row[1], row[2]) for row in older if (row[0], row[1]) in plain])

    async def copy(self, source_id: str, target_id: str) -> None:
        """Copy all checkpoints, values and writes of a thread to a new one.

        Raises:
            Conflict: the target thread has checkpoints of its own.
        """
        try:
            async with self._engine.begin() as connection:
                for table in _TABLES:
                    columns = [column for column in table.__table__.columns if column.name != "thread_id"]
                    rows: Select[Any] = select(literal(target_id), *columns).where(table.thread_id == source_id)
                    names = ["thread_id", *(column.name for column in columns)]
                    await connection.execute(insert(table).from_select(names, rows))
        except IntegrityError as clash:
            raise Conflict("the thread to copy to has checkpoints already", thread_id=target_id) from clash

    async def _remove(self, connection: AsyncConnection, keys: list[tuple[str, str, str]]) -> None:
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            for table in (Write, Checkpoint):
                key = tuple_(table.thread_id, table.checkpoint_ns, table.checkpoint_id)
                await connection.execute(delete(table).where(key.in_(chunk)))
        for place in sorted({(thread_id, checkpoint_ns) for thread_id, checkpoint_ns, _ in keys}):
            await self._sweep(connection, place)

    async def _sweep(self, connection: AsyncConnection, place: Place) -> None:
        """Remove the values of a namespace that none of its checkpoints uses.

        The values are listed first: one that a run adds meanwhile is not on the list and stays.
        """
        here = and_(Blob.thread_id == place[0], Blob.checkpoint_ns == place[1])
        listed = {(row[0], row[1]) for row in await connection.execute(select(Blob.channel, Blob.version).where(here))}
        states = await connection.execute(
            select(Checkpoint.data).where(Checkpoint.thread_id == place[0], Checkpoint.checkpoint_ns == place[1])
        )
        used = {
            (channel, str(version))
            for (data,) in states
            for channel, version in self._serde.loads_typed(("msgpack", data))["channel_versions"].items()
        }
        unused = sorted(listed - used)
        for start in range(0, len(unused), _CHUNK):
            chunk = unused[start : start + _CHUNK]
            await connection.execute(delete(Blob).where(here, tuple_(Blob.channel, Blob.version).in_(chunk)))
