"""Tasks for people: what became of each, who holds it, and a hand on those that need one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.task import Lane
from aurora.services.outcomes import Document, told
from aurora.storage.models.task import HELD
from aurora.storage.unit_of_work import Storage


async def list_tasks(
    storage: Storage, *, state: TaskState | None = None, graph: str | None = None, limit: int = 50
) -> list[Document]:
    """Return tasks as `task_document` tells them, the newest first.

    Args:
        storage: Where the ledger is.
        state: Only those in this state.
        graph: Only those of this graph.
        limit: So many at most.
    """
    async with storage.reading() as transaction:
        tasks = await transaction.tasks.list(state=state, graph=graph, limit=limit)
        rows = await transaction.runs.of_tasks([task.id for task in tasks])
    return [task_document(rows[task.id]) for task in tasks if task.id in rows]  # one may have been removed in between


async def describe_task(storage: Storage, task: str) -> Document:
    """Return everything that is known of a task: its row, its history, what it waits for and its verdict.

    Args:
        storage: Where the ledger is.
        task: Id of the task, or the end of it.

    Raises:
        NotFound: there is no such task, or more than one.
    """
    async with storage.reading() as transaction:
        found = await transaction.tasks.find(task)
        row = await transaction.runs.get(found.run_id)
        events = await transaction.tasks.events(found.id)
        verdict = await transaction.verdicts.of_run(found.run_id)
    return {
        **task_document(row),
        "thread_id": row["thread_id"],
        "idempotency_key": row["task_idempotency_key"],
        "correlation": row["task_correlation"] or {},
        "traceparent": row["task_traceparent"],
        "epoch": row["task_epoch"],
        "announced_at": told(row["task_notified_at"]),
        "input": row["task_input"],
        "outcome": row["outcome"],
        "waits_for": await _waits_for(storage, found),
        "history": [_event(each) for each in events],
        "verdict": None if verdict is None else {key: verdict[key] for key in ("label", "confidence", "reason")},
    }


async def cancel_task(storage: Storage, task: str, *, clock: Clock, publishes: bool = False) -> Document:
    """Cancel a task: at once, or, where it runs, with its worker's next heartbeat. Return what it is like now.

    Args:
        storage: Where the ledger is.
        task: Id of the task, or the end of it.
        clock: Time.
        publishes: Whether somebody listens on a broker for how tasks end.

    Raises:
        NotFound: there is no such task, or more than one.
        Conflict: it has ended.
    """
    async with storage.writing() as transaction:
        found = await transaction.tasks.find(task)
        await transaction.tasks.cancel(found.id, clock.now(), publishes=publishes)
        return task_document(await transaction.runs.get(found.run_id))


async def retry_task(storage: Storage, task: str, *, clock: Clock) -> Document:
    """Let a task run again, now: it goes on after its last durable step, its attempts are counted anew.

    Raises:
        NotFound: there is no such task, or more than one.
        Conflict: it runs, or it succeeded.
    """
    async with storage.writing() as transaction:
        found = await transaction.tasks.find(task)
        await transaction.tasks.retry(found.id, clock.now())
        return task_document(await transaction.runs.get(found.run_id))


async def replay_task(storage: Storage, task: str, *, clock: Clock, ids: IdFactory) -> Document:
    """Do the work of a dead letter again from its beginning, as a task and a run of their own; return the new task.

    The old task keeps its end and its history.

    Raises:
        NotFound: there is no such task, or more than one.
        Conflict: it is neither dead nor failed.
    """
    async with storage.writing() as transaction:
        found = await transaction.tasks.find(task)
        again = await transaction.tasks.replay(found.id, clock.now(), ids)
        return {"replays": str(found.id), **task_document(await transaction.runs.get(again.run_id))}


def task_document(row: Mapping[str, Any]) -> Document:
    """Return a task as JSON values; the order of the keys is fixed.

    Args:
        row: As `Runs.get` returns it.
    """
    is_held = row["task_run_at"] == HELD
    return {
        "task_id": str(row["task_id"]),
        "state": row["task_state"],
        "graph": row["graph"],
        "graph_version": row["task_graph_version"],
        "agent_type": row["task_agent_type"],
        "lane": Lane.of(row["task_priority"]).value,
        "priority": row["task_priority"],
        "attempt": row["task_attempt"],
        "max_attempts": row["task_max_attempts"],
        "owner": row["task_owner"],
        "lease_until": told(row["task_lease_until"]),
        "cancel_requested": row["task_cancel_requested"],
        "held": is_held,
        "run_at": None if is_held else told(row["task_run_at"]),
        "deadline": told(row["task_deadline"]),
        "created": told(row["task_created_at"]),
        "finished": told(row["task_finished_at"]),
        "error": row["task_error"],
        "reason": row["task_reason"],
        "run_id": str(row["id"]),
        "alert_id": _text(row["task_alert_id"]),
        "tenant": row["tenant"],
    }


async def _waits_for(storage: Storage, task: Task) -> list[Any]:
    if task.state is not TaskState.WAITING:
        return []
    from aurora.dispatch.waiting import waiting_for  # noqa: PLC0415 - imports langgraph

    return await waiting_for(storage, task)


def _event(row: Mapping[str, Any]) -> Document:
    return {
        "time": told(row["at"]),
        "event": row["event"],
        "attempt": row["attempt"],
        "epoch": row["epoch"],
        "owner": row["owner"],
        "error": row["code"],
        "reason": row["reason"],
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
