"""Batches and rejected records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from aurora.kernel.ids import BatchId
from aurora.storage.models import BatchModel, RejectedRecordModel, TaskModel
from aurora.storage.repositories.base import Repository, table_of

_BATCHES, _REJECTED, _TASKS = table_of(BatchModel), table_of(RejectedRecordModel), table_of(TaskModel)


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of one command."""

    id: BatchId
    state: str
    """`accepting`, `accepted` or `done`."""
    opened_at: datetime


class Batches(Repository):
    """The inputs that commands handed in."""

    async def take_turn(self) -> None:
        """Wait until no other transaction of this tenant accepts input; hold the turn until this one ends."""
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            turn = func.pg_advisory_xact_lock(func.hashtextextended(f"aurora.accept:{self._tenant}", 0))
            await self._connection.execute(select(turn))

    async def is_accepting(self, batch: BatchId) -> bool:
        """Tell whether the batch still waits to be accepted; another command with the same input may have done it."""
        query = select(_BATCHES.c.state).where(_BATCHES.c.tenant == self._tenant, _BATCHES.c.id == batch)
        return await self._connection.scalar(query) == "accepting"

    async def unfinished(self, inputs_digest: bytes) -> Batch | None:
        """Return the newest batch of the same inputs that was not read to its end.

        One that was takes no more alerts, even if its files grew: what they share is written already.
        """
        query = (
            select(_BATCHES.c.id, _BATCHES.c.state, _BATCHES.c.opened_at)
            .where(
                _BATCHES.c.tenant == self._tenant,
                _BATCHES.c.inputs_digest == inputs_digest,
                _BATCHES.c.state == "accepting",
            )
            .order_by(_BATCHES.c.id.desc())
            .limit(1)
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else Batch(BatchId(row.id), row.state, row.opened_at)

    async def inputs(self, batch: BatchId) -> tuple[list[str], bytes]:
        """Return the names of a batch's inputs, and their digest."""
        query = select(_BATCHES.c.inputs, _BATCHES.c.inputs_digest).where(
            _BATCHES.c.tenant == self._tenant, _BATCHES.c.id == batch
        )
        row = (await self._connection.execute(query)).one()
        return list(row.inputs), row.inputs_digest

    async def open(self, batch: Batch, *, inputs: Sequence[str], inputs_digest: bytes) -> None:
        """Write a new batch."""
        await self._connection.execute(
            insert(_BATCHES).values(
                id=batch.id,
                tenant=self._tenant,
                inputs_digest=inputs_digest,
                inputs=list(inputs),
                state=batch.state,
                counts={},
                opened_at=batch.opened_at,
            )
        )

    async def accepted(self, batch: BatchId, *, at: datetime) -> None:
        """Mark that the whole input was read and let its tasks run; an already finished batch stays finished."""
        await self._connection.execute(
            update(_BATCHES)
            .where(_BATCHES.c.tenant == self._tenant, _BATCHES.c.id == batch, _BATCHES.c.state == "accepting")
            .values(state="accepted", accepted_at=at)
        )
        of_batch = (_TASKS.c.tenant == self._tenant, _TASKS.c.batch_id == batch)
        if self._connection.dialect.name == "postgresql":
            # In the order of ids, as everybody does: another command may work on some of them already.
            ordered = select(_TASKS.c.id).where(*of_batch).order_by(_TASKS.c.id).with_for_update().cte("held")
            await self._connection.execute(select(func.count()).select_from(ordered))
        await self._connection.execute(update(_TASKS).where(*of_batch).values(run_at=at, batch_id=None))

    async def finished(self, batch: BatchId, *, counts: Mapping[str, int], at: datetime) -> None:
        """Mark that every alert of it has its verdict; so have those of its killed predecessors."""
        same = select(_BATCHES.c.inputs_digest).where(_BATCHES.c.tenant == self._tenant, _BATCHES.c.id == batch)
        await self._connection.execute(
            update(_BATCHES)
            .where(
                _BATCHES.c.tenant == self._tenant,
                _BATCHES.c.inputs_digest == same.scalar_subquery(),
                _BATCHES.c.id <= batch,
                _BATCHES.c.state == "accepted",
            )
            .values(state="done", counts=dict(counts), finished_at=at)
        )

    async def reject(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep records that cannot be used; one that was kept before stays as it is."""
        if rows:
            statement = self._insert(_REJECTED).on_conflict_do_nothing(
                index_elements=["tenant", "record_key", "reason"]
            )
            await self._connection.execute(statement, [{"tenant": self._tenant, **row} for row in rows])

    async def rejected(self, *, batch: BatchId | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return rejected records, the newest first, as plain columns."""
        query = select(_REJECTED).where(_REJECTED.c.tenant == self._tenant)
        if batch is not None:
            query = query.where(_REJECTED.c.batch_id == batch)
        rows = await self._connection.execute(query.order_by(_REJECTED.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]
