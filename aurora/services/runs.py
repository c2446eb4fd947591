"""What a run did, step by step."""

from __future__ import annotations

from typing import Any

from aurora.services.outcomes import Document, told
from aurora.services.recalled import recalled
from aurora.storage.unit_of_work import Storage


async def run_details(storage: Storage, run: str) -> Document:
    """Return a run with its task, its durable steps and its verdict.

    Where its task is not kept any more, `state`, `attempts` and `error` are `None`.

    Args:
        storage: Where the run is.
        run: Id of the run, or the end of it.

    Raises:
        NotFound: there is no such run, or more than one.
    """
    async with storage.reading() as transaction:
        run_id = await transaction.runs.resolve(run)
        row = await transaction.runs.get(run_id)
        steps = await transaction.runs.steps(row["thread_id"])
        verdict = await transaction.verdicts.of_run(run_id)
        asked = await transaction.journal.account(run_id)
    listed, before = [], None
    for step in steps:
        listed.append(
            {
                "step": step.number,
                "node": step.source if step.source == "input" else _node(step.task_path),
                "time": told(step.at),
                "took_ms": None if before is None else round((step.at - before).total_seconds() * 1000, 1),
            }
        )
        before = step.at
    alert_id = row["task_alert_id"] or (verdict and verdict["alert_id"])
    return {
        "run_id": str(run_id),
        "graph": row["graph"],
        "graph_version": row["graph_version"],
        "state": row["task_state"],
        "attempts": row["task_attempt"],
        "error": row["task_error"],
        "alert_id": str(alert_id) if alert_id else None,
        "task_id": str(row["task_id"]),
        "thread_id": row["thread_id"],
        "started": told(row["started_at"]),
        "finished": told(row["finished_at"]),
        "outcome": row["outcome"],
        "steps": listed,
        "answers": [_answer(each) for each in asked],
        "verdict": None if verdict is None else _verdict(verdict),
    }


def _node(task_path: str) -> str:
    """Return the node of a LangGraph task path: `~__pregel_pull, assess` is `assess`, `__start__` is `start`."""
    return task_path.rpartition(",")[2].strip().strip("_")


def _answer(row: dict[str, Any]) -> Document:
    cost = row["cost_usd"]
    return {
        "scope": row["scope"],
        "number": row["number"],
        "kind": row["kind"],
        "name": row["name"],
        "request_sha256": row["request_sha256"].hex(),
        "answer_sha256": row["answer_sha256"].hex(),
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cost_usd": None if cost is None else float(cost),
        "took_ms": row["took_ms"],
        "time": told(row["created_at"]),
    }


def _verdict(row: dict[str, Any]) -> Document:
    return {
        "verdict": row["label"],
        "confidence": round(row["confidence"], 4),
        "reason": row["reason"],
        "decided_by": row["decided_by"],
        "decided_name": row["decided_name"],
        "degraded": row["degraded"],
        "model": row["model"],
        "recalled": recalled(row["evidence"] or (), row["contributions"] or ()),
    }
