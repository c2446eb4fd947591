"""A ledger just large enough for checkpoints: tasks that are claimed and taken over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.checkpoints.saver import EPOCH, TASK_ID
from aurora.storage.engine import WRITES
from aurora.storage.models import TaskModel


async def claim(engine: AsyncEngine, thread_id: str) -> dict[str, Any]:
    """Accept a task for a thread, claim it, and return the config of its first run."""
    task_id = uuid4()
    async with engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.execute(
            insert(TaskModel).values(
                id=task_id,
                tenant="acme",
                run_id=uuid4(),
                graph="triage",
                thread_id=thread_id,
                state="running",
                epoch=1,
                idempotency_key=str(task_id),
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
    return config_of(thread_id, task_id, epoch=1)


async def take_over(engine: AsyncEngine, config: dict[str, Any]) -> dict[str, Any]:
    """Claim the task again, as another worker does when the lease ran out; return the config of that run."""
    conf = config["configurable"]
    epoch = conf[EPOCH] + 1
    async with engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.execute(update(TaskModel).where(TaskModel.id == conf[TASK_ID]).values(epoch=epoch))
    return config_of(conf["thread_id"], conf[TASK_ID], epoch=epoch)


def config_of(thread_id: str, task_id: UUID | str, *, epoch: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", TASK_ID: str(task_id), EPOCH: epoch}}
