"""Runs of any graph: submitted to the ledger, carried out by a worker, told step by step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aurora.kernel.clock import Clock
from aurora.kernel.errors import Conflict, InputError
from aurora.kernel.ids import AlertId, IdFactory, RunId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.sdk.spec import GraphSpec
from aurora.services.graph_input import check_input, state_types
from aurora.storage.unit_of_work import Storage

if TYPE_CHECKING:
    from aurora.dispatch.dispatcher import Dispatcher
    from aurora.storage.repositories.runs import Step

LONGEST_KEY = 150
"""Characters; the ledger's column has room for 200."""

LOOK = timedelta(milliseconds=100)
"""Time between two looks at the ledger for new steps: as often as a person can read them."""

Json = dict[str, Any]
OnStep = Callable[[str, float], None]
"""Gets the name of a node and how many milliseconds it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRun:
    """What became of a run."""

    run_id: RunId
    graph: str
    version: str | None
    state: TaskState
    outcome: str | None
    """One word, as the graph tells it; `None` unless it succeeded."""
    error: str | None
    """Code of the error that ended it."""
    reason: str | None
    """What that error said."""
    values: Json
    """The graph's state after its last durable step."""
    cause: Exception | None = None
    """The error itself, if it happened in this process."""


async def submit(
    storage: Storage,
    spec: GraphSpec,
    given: Mapping[str, Any],
    *,
    key: str | None,
    clock: Clock,
    ids: IdFactory,
    priority: int = 5,
    max_attempts: int = 5,
    deadline: datetime | None = None,
    max_queued: int | None = None,
) -> Task:
    """Write a run of a graph to the ledger and return its task, or that which has the same key already.

    A graph whose state has the key `alert_id` works on that alert; the end of an id is completed.

    Args:
        storage: Where the ledger is.
        spec: The graph.
        given: State that the run begins with.
        key: Two submissions with one key are one run; `None`: this is a run of its own.
        clock: Time of the submission.
        ids: Where the ids of task and run come from.
        priority: From 0 to 9, the most urgent.
        max_attempts: Tries before it counts as dead.
        deadline: When its result is of no use any more.
        max_queued: So many tasks of the tenant may be queued; `None`: any number.

    Raises:
        QuotaExceeded: as many are queued already; nothing was written.
        InputError: the state has no such keys, or takes other values; or the key is too long.
        NotFound: there is no such alert.
        Conflict: the key belongs to a run of another graph, or with another input.
    """
    check_input(spec, given)
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InputError(f"a key has 1 to {LONGEST_KEY} characters")
    task_id, run_id = TaskId(ids()), RunId(ids())
    state = dict(given)
    async with storage.writing() as transaction:
        alert_id: AlertId | None = None
        if "alert_id" in state:
            alert_id = await transaction.alerts.resolve(str(state["alert_id"]))
            state["alert_id"] = str(alert_id)
        task = Task(
            id=task_id,
            tenant=transaction.tenant,
            run_id=run_id,
            graph=spec.id,
            thread_id=f"{spec.id}:{run_id}",
            alert_id=alert_id,
            input=state,
            created_at=clock.now(),
            priority=priority,
            max_attempts=max_attempts,
            deadline=deadline,
            idempotency_key=f"run:{task_id if key is None else key}",
        )
        standing = await transaction.tasks.get(await transaction.tasks.submit(task, max_queued=max_queued))
    if (standing.graph, standing.input) != (task.graph, task.input):
        raise Conflict(
            f"the key {key!r} belongs to a run of graph {standing.graph!r} with "
            f"{'the same' if standing.input == task.input else 'another'} input; give this one a key of its own",
            run_id=str(standing.run_id),
        )
    return standing


async def carry_out(
    storage: Storage,
    dispatcher: Dispatcher,
    spec: GraphSpec,
    task: Task,
    *,
    clock: Clock,
    on_step: OnStep | None = None,
) -> GraphRun:
    """Have a task done, whoever does it, and return what became of its run. One that is settled stays as it is.

    A run that waits for a decision is not waited for: its state is then `waiting`.

    Args:
        storage: Where the ledger is.
        dispatcher: Has it done.
        spec: Its graph.
        task: From `submit`.
        clock: Paces the looks for new steps.
        on_step: Called for every durable step, those of an earlier attempt included.
    """
    with _failures(task.id) as failures:
        if on_step is None:
            await dispatcher.complete(task_id=task.id)
        else:
            steps = _Steps(storage, task, on_step)
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(steps.watch(clock))
                await dispatcher.complete(task_id=task.id)
                watcher.cancel()
            await steps.tell()
    async with storage.reading() as transaction:
        row = await transaction.runs.get(task.run_id)
    return GraphRun(
        run_id=task.run_id,
        graph=spec.id,
        version=row["graph_version"],
        state=TaskState(row["task_state"]),
        outcome=row["outcome"],
        error=row["task_error"],
        reason=row["task_reason"],
        values=await _values(storage, task, spec),
        cause=failures[-1] if failures else None,
    )


class _Steps:
    """Tells each durable step of a run once."""

    def __init__(self, storage: Storage, task: Task, on_step: OnStep) -> None:
        self._storage = storage
        self._task = task
        self._on_step = on_step
        self._told = 0

    async def watch(self, clock: Clock) -> None:
        """Tell steps as they appear, until cancelled."""
        while True:
            await self.tell()
            await clock.sleep(LOOK)

    async def tell(self) -> None:
        """Tell the steps that came since the last time."""
        async with self._storage.reading() as transaction:
            steps = await transaction.runs.steps(self._task.thread_id)
        for before, step in list(pairwise(steps))[self._told :]:
            self._told += 1
            node = _node(step)
            if node:
                self._on_step(node, (step.at - before.at).total_seconds() * 1000)


def _node(step: Step) -> str:
    """Return the node that a step ran; empty where none ran: at the beginning, or as the run changed versions."""
    if step.source == "update":
        return ""
    name = step.task_path.rpartition(",")[2].strip()
    return "" if name.startswith("__") else name


async def _values(storage: Storage, task: Task, spec: GraphSpec) -> Json:
    """Return the keys of the graph's state in the last checkpoint of its thread; empty if there is none."""
    from aurora.storage.checkpoints.reading import Criteria, Reader, reading  # noqa: PLC0415 - imports langgraph
    from aurora.storage.checkpoints.serde import StrictSerializer  # noqa: PLC0415 - imports langgraph

    reader = Reader(reading(storage.engine), StrictSerializer())
    async for page in reader.pages(Criteria(task.thread_id, ""), {}, 1):
        channels = page[0].checkpoint["channel_values"]
        return {key: channels[key] for key in state_types(spec) if key in channels}
    return {}


@contextmanager
def _failures(task_id: TaskId) -> Iterator[list[Exception]]:
    """Collect what the worker of this process reports of a task: the ledger keeps no more than a code."""
    found: list[Exception] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            if getattr(record, "task_id", None) == str(task_id) and isinstance(error, Exception):
                found.append(error)

    listener = Listener()
    attempts = logging.getLogger("aurora.dispatch.attempt")
    attempts.addHandler(listener)
    try:
        yield found
    finally:
        attempts.removeHandler(listener)
