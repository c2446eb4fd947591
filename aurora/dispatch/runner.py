"""Walks a task through its LangGraph graph, durably."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aurora.dispatch.attempt import Finished, Parked
from aurora.dispatch.versions import Way, gone, way_of
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, ConfigError
from aurora.kernel.evidence import Claim
from aurora.kernel.ids import IdFactory, VerdictId
from aurora.kernel.models import Contribution, Decider, Task, Verdict, VerdictLabel
from aurora.kernel.models.verdict import FALLBACK
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.context import RunContext
from aurora.sdk.migration import START
from aurora.sdk.spec import GraphSpec

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import CheckpointTuple

    from aurora.storage.checkpoints.saver import AuroraSaver
    from aurora.storage.journal import JournalStore

_INTERRUPT = "__interrupt__"
"""Key under which LangGraph tells, in the state, that a node waits."""


def input_of(task: Task) -> dict[str, Any]:
    """Return the state with which a fresh run begins."""
    return {"alert_id": str(task.alert_id)} if task.input is None else task.input


class DurableRunner:
    """Runs graphs with a checkpoint after every step, each fenced by the task's epoch.

    A run stays with the version of its graph that it began with, which every checkpoint names. Where that version is
    not installed any more, a declared migration carries it over, or it is refused.

    Before each node it looks whether the lease still counts: a process that was stopped between two nodes begins none
    when it goes on, for somebody else may have.
    """

    def __init__(
        self,
        *,
        saver: AuroraSaver,
        graphs: Mapping[str, Mapping[str, GraphSpec]],
        context: Callable[[Task], RunContext],
        read_ahead: Callable[[Sequence[Task]], Awaitable[None]],
        journals: JournalStore,
        clock: Clock,
        ids: IdFactory,
        is_late: Callable[[Task], bool] = lambda _: False,
    ) -> None:
        self._saver = saver
        self._specs = graphs
        self._compiled: dict[tuple[str, str], Any] = {}
        self._context = context
        self._read_ahead = read_ahead
        self._journals = journals
        self._clock = clock
        self._ids = ids
        self._is_late = is_late

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Read ahead what the runs of these tasks will ask for."""
        await self._read_ahead(tasks)

    async def run(self, task: Task) -> Finished | Parked:
        """Start the run, or take it up after its last durable step, until it ends or has to wait.

        A run that waits is taken up in the same way: the node that waits runs again and looks for itself whether what
        it waits for has come. So it may be woken too early, and twice, and by anybody.

        Raises:
            LeaseLost: another worker owns the task now.
            GraphVersionGone: the version that it began with is not installed, and no migration leads on.
            ConfigError: there is no such graph.
        """
        versions = self._versions(task)
        started = self._clock.now()
        try:
            # Not the attempt: a task that was handed back is claimed again without a new one.
            last = await self._saver.aget_tuple(self._config(task)) if task.epoch > 1 else None
            if last is not None and (ended := self._ended(task, last, versions)) is not None:
                return Finished(task, *ended, started, self._clock.now())
            way = self._way(task, last, versions)
            if way.steps:
                last = await self._migrated(task, last, way)
            state = await self._walk(task, last, way.spec)
        finally:
            await self._saver.flush(task.thread_id, epoch=task.epoch)
        if _INTERRUPT in state:
            return Parked(task, way.spec.version, started)
        return Finished(task, way.spec.outcome(state)[:32], way.spec.version, started, self._clock.now())

    async def give_up(self, task: Task, error: Exception) -> None:
        """Write a verdict that asks for a person: no alert disappears because its triage failed.

        Raises:
            LeaseLost: another worker owns the task now.
        """
        if task.alert_id is None:
            return
        context = self._context(task)
        code = error.code if isinstance(error, AuroraError) else type(error).__name__
        alert = await context.alerts.load(task.alert_id)
        claim = Claim(text=UntrustedText(f"triage ended with {code}; nothing was concluded"), evidence=("f1",))
        evidence = alert.evidence()
        verdict = Verdict(
            id=VerdictId(self._ids()),
            alert_id=task.alert_id,
            run_id=task.run_id,
            label=VerdictLabel.NEEDS_REVIEW,
            confidence=0.5,
            reason=f"triage ended with {code}; an analyst must look",
            evidence=evidence,
            contributions=(Contribution(rule="triage-failed", weight=0.0, claim=claim),) if evidence else (),
            decided_by=Decider.RULES,
            decided_name=FALLBACK,
            degraded=True,
            created_at=self._clock.now(),
        )
        await context.recorder.record(task, verdict, observables=alert.observables)

    async def _walk(self, task: Task, last: CheckpointTuple | None, spec: GraphSpec) -> dict[str, Any]:
        from aurora.dispatch.guarding import Guard  # noqa: PLC0415 - imports langchain

        context = self._context(task)
        changed = last is None and task.graph_version not in (None, spec.version)
        if task.epoch > 1 and (changed or context.agents.model is None):
            # The attempt before may have been of another version, or may have had a model. What was answered in steps
            # still to be done is not asked now.
            await self._journals.forget(task, after_step=_step(last))
        given = input_of(task) if last is None else None
        config: RunnableConfig = {**self._config(task, version=spec.version), "callbacks": [Guard(task, self._is_late)]}
        state: dict[str, Any] | None = await self._graph(spec).ainvoke(
            given, config, context=context, durability="sync"
        )
        return state or {}  # LangGraph tells nothing at all of a state without a value

    def _way(self, task: Task, last: CheckpointTuple | None, versions: Mapping[str, GraphSpec]) -> Way:
        """Return how the run goes on.

        Raises:
            GraphVersionGone: it cannot.
        """
        from aurora.dispatch.migration import standing, version_of  # noqa: PLC0415 - imports langgraph

        if last is None:
            return way_of(task, versions, begun=False)
        recorded = version_of(last)
        way = way_of(task, versions, begun=True, recorded=recorded)
        strange = set(standing(last.checkpoint)) - {*way.spec.nodes, START}
        if strange and recorded is None:
            raise gone(
                task,
                versions,
                f"it stands at {', '.join(sorted(strange))}, which is no node of that version: "
                "install the version that it began with instead",
            )
        return way

    async def _migrated(self, task: Task, last: CheckpointTuple | None, way: Way) -> CheckpointTuple | None:
        """Carry the run over, and return its newest checkpoint. A kill between two steps leaves what the first wrote.

        Raises:
            GraphVersionGone: a migration does not know the place at which the run stands.
        """
        from aurora.dispatch.migration import NoWayOn, migrate, version_of  # noqa: PLC0415 - imports langgraph

        for migration, spec in way.steps:
            if last is None:
                break
            await self._journals.forget(task, after_step=_step(last))
            config = self._config(task, version=spec.version)
            try:
                await migrate(self._saver, last, config, migration=migration, spec=spec, begun_with=input_of(task))
            except NoWayOn as stuck:
                raise gone(task, self._versions(task), f"{stuck}", version=version_of(last)) from stuck
            last = await self._saver.aget_tuple(config)
        return last

    def _ended(self, task: Task, last: CheckpointTuple, versions: Mapping[str, GraphSpec]) -> tuple[str, str] | None:
        """Return outcome and version of a run that came to its end and was not settled, and whose version is gone."""
        from aurora.dispatch.migration import standing, state_of, version_of  # noqa: PLC0415 - imports langgraph

        version = version_of(last)
        if version in versions or standing(last.checkpoint):
            return None
        newest = next(iter(versions.values()))
        try:
            outcome = newest.outcome(state_of(last.checkpoint))[:32]
        except Exception:  # noqa: BLE001 - it reads the state of its own version, not of one that is gone
            outcome = "done"
        return outcome, version or task.graph_version or newest.version

    def _config(self, task: Task, *, version: str | None = None) -> RunnableConfig:
        from aurora.dispatch.migration import VERSION  # noqa: PLC0415 - imports langgraph
        from aurora.storage.checkpoints.saver import EPOCH, FRESH, TASK_ID  # noqa: PLC0415 - imports langgraph

        return {
            "configurable": {
                "thread_id": task.thread_id,
                TASK_ID: str(task.id),
                EPOCH: task.epoch,
                FRESH: task.epoch == 1,
            },
            "metadata": {} if version is None else {VERSION: version},
            "run_name": task.graph,
        }

    def _versions(self, task: Task) -> Mapping[str, GraphSpec]:
        if task.graph not in self._specs:
            raise ConfigError(f"there is no graph {task.graph!r}; `aurora graph list` shows them", graph=task.graph)
        return self._specs[task.graph]

    def _graph(self, spec: GraphSpec) -> Any:
        key = (spec.id, spec.version)
        if key not in self._compiled:
            self._compiled[key] = spec.build().compile(checkpointer=self._saver, name=spec.id)
        return self._compiled[key]


def _step(last: CheckpointTuple | None) -> int:
    """Return the number of the last durable step; that of the input is -1."""
    return -1 if last is None else last.metadata.get("step", -1)
