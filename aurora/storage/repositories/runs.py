"""Runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from aurora.kernel.errors import NotFound
from aurora.kernel.ids import RunId
from aurora.storage.checkpoints.tables import CheckpointModel, CheckpointWriteModel
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_RUNS, _TASKS = table_of(RunModel), table_of(TaskModel)
_CHECKPOINTS, _WRITES = table_of(CheckpointModel), table_of(CheckpointWriteModel)

_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
"""Where the time in a UUID of version 6 begins (RFC 9562, section 5.6)."""


class Runs(Repository):
    """Runs of one tenant."""

    async def get(self, run_id: UUID) -> dict[str, Any]:
        """Return a run with its task, as plain columns; the task's are prefixed with `task_`.

        They are `None` where the task is not kept any more; its id is known all the same.

        Raises:
            NotFound: there is no such run.
        """
        query = _with_task().where(_RUNS.c.tenant == self._tenant, _RUNS.c.id == run_id)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no run {run_id}", run_id=str(run_id))
        return dict(row._mapping)

    async def of_tasks(self, tasks: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """Return the runs of these tasks as `get` does, by the id of the task."""
        found: dict[UUID, dict[str, Any]] = {}
        for part in chunks(tasks):
            query = _with_task().where(_TASKS.c.tenant == self._tenant, _TASKS.c.id.in_(part))
            found.update((row.task_id, dict(row._mapping)) for row in await self._connection.execute(query))
        return found

    async def resolve(self, text: str) -> RunId:
        """Return the run that an id, or its unambiguous end of at least four digits, names.

        Raises:
            NotFound: nothing, or more than one run, is named so.
        """
        digits = text.replace("-", "").lower()
        if len(digits) < 4 or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
            raise NotFound(f"{text[:40]!r} is not the id of a run; give all of it or its last 4 digits or more")
        query = select(_RUNS.c.id).where(_RUNS.c.tenant == self._tenant)
        if len(digits) == 32:
            query = query.where(_RUNS.c.id == UUID(digits))
        stream = await self._connection.stream(query)
        found = [row.id async for row in stream if row.id.hex.endswith(digits)]
        if len(found) != 1:
            raise NotFound(
                f"{'more than one' if found else 'no'} run has the id {text[:40]!r}; "
                "`aurora alerts show ID` names the run of an alert"
            )
        return RunId(found[0])

    async def steps(self, thread_id: str) -> list[Step]:
        """Return the durable steps of a thread in order; the caller found the thread through its tenant's task."""
        named = {
            row.checkpoint_id: row.task_path
            for row in await self._connection.execute(
                select(_WRITES.c.checkpoint_id, _WRITES.c.task_path)
                .where(_WRITES.c.thread_id == thread_id, _WRITES.c.checkpoint_ns == "")
                .order_by(_WRITES.c.checkpoint_id, _WRITES.c.task_path.desc())
            )
        }
        query = (
            select(_CHECKPOINTS.c.checkpoint_id, _CHECKPOINTS.c.parent_id, _CHECKPOINTS.c.metadata)
            .where(_CHECKPOINTS.c.thread_id == thread_id, _CHECKPOINTS.c.checkpoint_ns == "")
            .order_by(_CHECKPOINTS.c.checkpoint_id)
        )
        return [
            Step(
                number=int(row.metadata.get("step", 0)),
                source=str(row.metadata.get("source", "")),
                task_path=named.get(row.parent_id, ""),
                at=_moment_of(row.checkpoint_id),
            )
            for row in await self._connection.execute(query)
        ]

    async def writes(self, thread_id: str) -> list[Written]:
        """Return what the nodes of a thread wrote, in order; subgraphs left out.

        The caller found the thread through its tenant's task.
        """
        query = (
            select(
                _CHECKPOINTS.c.metadata,
                _WRITES.c.task_id,
                _WRITES.c.task_path,
                _WRITES.c.channel,
                _WRITES.c.type,
                _WRITES.c.value,
            )
            .join(
                _CHECKPOINTS,
                (_CHECKPOINTS.c.thread_id == _WRITES.c.thread_id)
                & (_CHECKPOINTS.c.checkpoint_ns == _WRITES.c.checkpoint_ns)
                & (_CHECKPOINTS.c.checkpoint_id == _WRITES.c.checkpoint_id),
            )
            .where(_WRITES.c.thread_id == thread_id, _WRITES.c.checkpoint_ns == "", _WRITES.c.idx >= 0)
            .order_by(_WRITES.c.checkpoint_id, _WRITES.c.task_path, _WRITES.c.task_id, _WRITES.c.idx)
        )
        return [
            Written(
                step=int(row.metadata.get("step", 0)) + 1,
                task_id=row.task_id,
                task_path=row.task_path,
                channel=row.channel,
                typed=(row.type, row.value),
            )
            for row in await self._connection.execute(query)
        ]


def _with_task() -> Select[Any]:
    """Return a query for runs with their tasks, whose columns are prefixed.

    A run whose verdict stands outlives its task.
    """
    task = [column.label(f"task_{column.name}") for column in _TASKS.c if column.name != "id"]
    return select(*_RUNS.c, *task).outerjoin(_TASKS, _TASKS.c.id == _RUNS.c.task_id)


@dataclass(frozen=True, slots=True)
class Written:
    """One value that a node wrote to one channel."""

    step: int
    """The superstep in which the node ran."""
    task_id: str
    """LangGraph's id of the node's execution."""
    task_path: str
    channel: str
    typed: tuple[str, bytes]
    """As the saver's serializer wrote it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One checkpoint of a run: what had just been done when it was written."""

    number: int
    """From -1 (the input), as LangGraph counts supersteps."""
    source: str
    """`input`, `loop`, or `update`: the run was carried over to another version of its graph."""
    task_path: str
    """LangGraph's path of the step's node (of one of them, if several ran at once); empty for the input."""
    at: datetime


def _moment_of(checkpoint_id: str) -> datetime:
    """Return the time in a UUID of version 6, to the microsecond."""
    value = UUID(checkpoint_id).int
    ticks = value >> 80 << 12 | value >> 64 & 0xFFF
    return _GREGORIAN + timedelta(microseconds=ticks // 10)
