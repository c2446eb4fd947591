"""Runs of small graphs with the real runner, saver and journal on SQLite in a file; the ledger is a few statements."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from sqlalchemy import insert, select, update

from aurora.dispatch.attempt import Finished, Parked
from aurora.dispatch.inside import RunClock, RunIds, place
from aurora.dispatch.replay import NoWorld
from aurora.dispatch.runner import DurableRunner
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models import Task
from aurora.sdk import GraphSpec, Migration, RunContext
from aurora.sdk.knowledge import Knowledge
from aurora.storage.checkpoints.saver import AuroraSaver
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.journal import JournalStore
from aurora.storage.models import RunModel, TaskModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock


class Cut(BaseException):
    """Stands for the end of the process in the middle of a node."""


class State(TypedDict, total=False):
    asked: str
    trail: Annotated[list[str], operator.add]
    note: str


class World:
    """What is outside of the graphs: what was answered, what nodes did, and which of them does not survive."""

    def __init__(self) -> None:
        self.answer: str | None = None
        self.deeds: list[str] = []
        self.cut_off: str | None = None

    def does(self, name: str) -> Callable[[State], Any]:
        """Return a node that does something once a run."""

        async def node(_state: State) -> State:
            if self.cut_off == name:
                raise Cut
            self.deeds.append(name)
            return {"trail": [name]}

        return node

    async def waits(self, _state: State) -> State:
        """Wait for the answer, as DESIGN says: look first, and ask only when there is none."""
        if self.answer is None:
            interrupt({"question": "isolate?"})
        return {"trail": [f"heard {self.answer}"]}


def chain(state: type, nodes: Mapping[str, Any]) -> Callable[[], Any]:
    """Return what builds a graph that runs its nodes one after the other."""

    def build() -> Any:
        graph: Any = StateGraph(state, context_schema=RunContext)
        for name, node in nodes.items():
            graph.add_node(name, node)
        for one, following in pairwise([START, *nodes, END]):
            graph.add_edge(one, following)
        return graph

    return build


def spec(version: str, nodes: Mapping[str, Any], *, state: type = State, migrations: tuple[Migration, ...] = ()) -> Any:
    """Return one version of the graph `desk`."""
    return GraphSpec(
        id="desk",
        version=version,
        title="Desk",
        description="Asks and waits.",
        build=chain(state, nodes),
        state=state,
        nodes=tuple(nodes),
        outcome=lambda state: f"{len(state['trail'])}-done",
        migrations=migrations,
    )


def versions(*specs: GraphSpec) -> dict[str, dict[str, GraphSpec]]:
    """Return what is installed; the newest is named first."""
    return {"desk": {each.version: each for each in specs}}


class Desk:
    """A ledger with runs of `desk`, and runners that come and go like processes."""

    def __init__(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids

    async def task(self, *, graph_version: str | None = None) -> Task:
        """Write a task as it is once it is submitted."""
        task_id, run_id = TaskId(self._ids()), RunId(self._ids())
        thread = f"desk:{run_id}"
        row = {"run_id": run_id, "thread_id": thread, "graph": "desk", "graph_version": graph_version}
        given = {"asked": "now", "trail": []}
        async with self._storage.writing() as transaction:
            connection = transaction.connection
            tenant = transaction.tenant
            await connection.execute(
                insert(TaskModel).values(
                    id=task_id, tenant=tenant, idempotency_key=str(task_id), input=given, state="queued", **row
                )
            )
            await connection.execute(
                insert(RunModel).values(
                    id=run_id, tenant=tenant, task_id=task_id, graph="desk", thread_id=thread, details={}
                )
            )
        return Task(
            id=task_id,
            tenant=tenant,
            created_at=self._clock.now(),
            idempotency_key=str(task_id),
            input=given,
            **row,
        )

    async def claim(self, task: Task, installed: Mapping[str, Mapping[str, GraphSpec]]) -> Task:
        """Claim it as the ledger does: a new epoch, and pinned to the newest version if it was to none."""
        version = task.graph_version or next(iter(installed["desk"]))
        claimed = task.model_copy(update={"epoch": task.epoch + 1, "attempt": 1, "graph_version": version})
        async with self._storage.writing() as transaction:
            await transaction.connection.execute(
                update(TaskModel)
                .where(TaskModel.id == task.id)
                .values(state="running", epoch=claimed.epoch, graph_version=version)
            )
        return claimed

    async def run(self, task: Task, installed: Mapping[str, Mapping[str, GraphSpec]]) -> tuple[Task, Finished | Parked]:
        """Claim a task and run it in a process of its own; return it as it was claimed."""
        claimed = await self.claim(task, installed)
        return claimed, await self.run_claimed(claimed, installed)

    async def run_claimed(self, task: Task, installed: Mapping[str, Mapping[str, GraphSpec]]) -> Finished | Parked:
        async with self.runner(installed) as runner:
            return await runner.run(task)

    async def cut_off(self, task: Task, installed: Mapping[str, Mapping[str, GraphSpec]]) -> Task:
        """Claim a task and run it up to the node that does not survive."""
        claimed = await self.claim(task, installed)
        try:
            await self.run_claimed(claimed, installed)
        except Cut:
            return claimed
        raise AssertionError("no node was cut off")

    async def settle(self, finished: Finished) -> None:
        """Settle a run as the ledger does."""
        async with self._storage.writing() as transaction:
            connection = transaction.connection
            await connection.execute(
                update(TaskModel).where(TaskModel.id == finished.task.id).values(state="succeeded")
            )
            await connection.execute(
                update(RunModel)
                .where(RunModel.id == finished.task.run_id)
                .values(graph_version=finished.graph_version, outcome=finished.outcome)
            )

    @asynccontextmanager
    async def runner(
        self, installed: Mapping[str, Mapping[str, GraphSpec]], *, is_late: Callable[[Task], bool] = lambda _: False
    ) -> AsyncIterator[DurableRunner]:
        """Open the runner of a process."""
        journals = JournalStore(self._storage, clock=self._clock, place=place)

        def context(task: Task) -> RunContext:
            nothing: Any = NoWorld()
            return RunContext(
                task=task,
                clock=RunClock(task.created_at, clock=self._clock),
                ids=RunIds(task.run_id, task.created_at),
                agents=_NoModel(),
                alerts=nothing,
                recall=nothing,
                correlator=nothing,
                recorder=nothing,
                memory=nothing,
                knowledge=Knowledge(attack=nothing, lists=nothing),
                rules=(),
                enrichers=(),
            )

        async def read_ahead(_alerts: Any) -> None:
            pass

        async with AuroraSaver.open(self._storage.engine) as saver:
            yield DurableRunner(
                saver=saver,
                graphs=installed,
                context=context,
                read_ahead=read_ahead,
                journals=journals,
                clock=self._clock,
                ids=self._ids,
                is_late=is_late,
            )

    async def checkpoints(self, task: Task) -> list[tuple[int, str, str | None]]:
        """Return step, source and version of the checkpoints of a run, oldest first.

        It fails unless they are one line, each the parent of the next.
        """
        query = (
            select(CheckpointModel.checkpoint_id, CheckpointModel.parent_id, CheckpointModel.details)
            .where(CheckpointModel.thread_id == task.thread_id)
            .order_by(CheckpointModel.checkpoint_id)
        )
        async with self._storage.reading() as transaction:
            rows = (await transaction.connection.execute(query)).all()
        assert [row.parent_id for row in rows] == [None, *(row.checkpoint_id for row in rows)][: len(rows)]
        return [
            (row.metadata["step"], row.metadata["source"], row.metadata.get("aurora_graph_version")) for row in rows
        ]


class _NoModel:
    """Implements `Agents` where no model is configured."""

    model = None

    async def ask(self, agent: Any, data: Any) -> Any:
        raise AssertionError("no node of these graphs asks an agent")
