"""A run as it was recorded: what each node wrote, and what models and tools answered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.kernel.errors import AuroraError
from aurora.kernel.ids import RunId
from aurora.kernel.models import Task, TaskState
from aurora.storage.repositories.journal import Entry
from aurora.storage.repositories.runs import Written
from aurora.storage.unit_of_work import Storage

Json = dict[str, Any]


class NotReplayable(AuroraError):
    """The run left no record that one graph could walk through: it has not ended, or its checkpoints are gone."""

    code = "aurora.replay.impossible"
    http_status = 409


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """What the nodes of one superstep wrote."""

    named: Mapping[str, Json]
    """By node."""
    fanned_out: tuple[Json, ...]
    """Of nodes that were started by `Send`, whose names the record does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Everything that a replay needs."""

    task: Task
    graph_version: str | None
    """Version of the graph that the run went through."""
    steps: Mapping[int, RecordedStep]
    """By number, from 1."""
    journal: Sequence[Entry]


async def recorded(storage: Storage, run: str) -> Recording:
    """Return the record of a run.

    Args:
        storage: Where the run is.
        run: Id of the run, or the end of it.

    Raises:
        NotFound: there is no such run, or more than one.
        NotReplayable: it has not ended, its steps are not kept any more, or it changed versions on its way.
        JournalDamaged: the journal cannot be read.
    """
    async with storage.reading() as transaction:
        run_id = await transaction.runs.resolve(run)
        row = await transaction.runs.get(run_id)
        if row["task_state"] is None:
            raise NotReplayable(f"the task of run {run_id} is not kept any more", run_id=str(run_id))
        task = await transaction.tasks.get(row["task_id"])
        writes = await transaction.runs.writes(task.thread_id)
        steps = await transaction.runs.steps(task.thread_id)
        journal = await transaction.journal.of_run(run_id)
    if task.state is not TaskState.SUCCEEDED:
        raise NotReplayable(
            f"run {run_id} is {task.state.value}: only a run that came to its end can be replayed", run_id=str(run_id)
        )
    if not writes:
        raise NotReplayable(f"the steps of run {run_id} are not kept any more", run_id=str(run_id))
    if any(each.source == "update" for each in steps):
        raise NotReplayable(
            f"run {run_id} began with another version of its graph than it ended with: no version walks all of its way",
            run_id=str(run_id),
        )
    return Recording(
        task=task, graph_version=row["graph_version"], steps=_steps(writes), journal=_unbroken(run_id, journal)
    )


def _steps(writes: Sequence[Written]) -> dict[int, RecordedStep]:
    from aurora.storage.checkpoints.serde import StrictSerializer  # noqa: PLC0415 - imports langgraph

    loads = StrictSerializer().loads_typed
    executions: dict[tuple[int, str, str], Json] = {}
    for each in writes:
        output = executions.setdefault((each.step, each.task_path, each.task_id), {})
        if not each.channel.startswith(("branch:", "__")):  # those are LangGraph's own: where to go next
            output[each.channel] = loads(each.typed)
    steps: dict[int, RecordedStep] = {}
    for number in sorted({step for step, _, _ in executions if step > 0}):
        named: dict[str, Json] = {}
        fanned_out: list[Json] = []
        for (step, path, _), output in executions.items():
            if step == number:
                kind, _, name = path.rpartition(",")
                if kind.endswith("__pregel_pull"):
                    named[name.strip()] = output
                else:
                    fanned_out.append(output)
        steps[number] = RecordedStep(named, tuple(fanned_out))
    return steps


def _unbroken(run_id: RunId, journal: Sequence[Entry]) -> Sequence[Entry]:
    for each in journal:
        if hashlib.sha256(each.request).digest() != each.request_sha256 or (
            hashlib.sha256(each.answer).digest() != each.answer_sha256
        ):
            raise NotReplayable(
                f"entry {each.number} of {each.scope} in the journal of run {run_id} was changed after it was written",
                run_id=str(run_id),
                number=each.number,
            )
    return journal
