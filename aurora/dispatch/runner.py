"""Walks a task through its LangGraph graph, durably."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aurora.dispatch.worker import Finished
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, ConfigError
from aurora.kernel.evidence import Claim
from aurora.kernel.ids import AlertId, IdFactory, VerdictId
from aurora.kernel.models import Contribution, Decider, Task, Verdict, VerdictLabel
from aurora.kernel.models.verdict import FALLBACK
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.context import RunContext
from aurora.sdk.spec import GraphSpec

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from aurora.storage.checkpoints.saver import AuroraSaver
    from aurora.storage.journal import JournalStore


def input_of(task: Task) -> dict[str, Any]:
    """Return the state with which a fresh run begins."""
    return {"alert_id": str(task.alert_id)} if task.input is None else task.input


class DurableRunner:
    """Runs graphs with a checkpoint after every step, each fenced by the task's epoch."""

    def __init__(
        self,
        *,
        saver: AuroraSaver,
        graphs: Mapping[str, GraphSpec],
        context: Callable[[Task], RunContext],
        read_ahead: Callable[[Sequence[AlertId]], Awaitable[None]],
        journals: JournalStore,
        clock: Clock,
        ids: IdFactory,
    ) -> None:
        self._saver = saver
        self._specs = graphs
        self._compiled: dict[str, Any] = {}
        self._context = context
        self._read_ahead = read_ahead
        self._journals = journals
        self._clock = clock
        self._ids = ids

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Read ahead what the runs of these tasks will ask for."""
        await self._read_ahead([task.alert_id for task in tasks if task.alert_id is not None])

    async def run(self, task: Task) -> Finished:
        """Start the run, or resume it after its last durable step.

        Raises:
            LeaseLost: another worker owns the task now.
            ConfigError: there is no such graph.
        """
        spec = self._spec(task)
        graph = self._graph(spec)
        started = self._clock.now()
        config = self._config(task)
        context = self._context(task)
        try:
            given = await self._input(task, config, has_model=context.agents.model is not None)
            state = await graph.ainvoke(given, config, context=context, durability="sync")
        finally:
            await self._saver.flush(task.thread_id, epoch=task.epoch)
        return Finished(task, spec.outcome(state)[:32], spec.version, started, self._clock.now())

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

    async def _input(self, task: Task, config: RunnableConfig, *, has_model: bool) -> dict[str, Any] | None:
        """Return the input of a fresh run, or `None` to go on from the last checkpoint."""
        # Not the attempt: a task that was handed back is claimed again without a new one.
        last = await self._saver.aget_tuple(config) if task.epoch > 1 else None
        if task.epoch > 1 and not has_model:
            # The attempt before may have had one. What it was answered in steps still to be done is not asked now.
            await self._journals.forget(task, after_step=-1 if last is None else last.metadata.get("step", -1))
        return input_of(task) if last is None else None

    def _config(self, task: Task) -> RunnableConfig:
        from aurora.storage.checkpoints.saver import EPOCH, FRESH, TASK_ID  # noqa: PLC0415 - imports langgraph

        return {
            "configurable": {
                "thread_id": task.thread_id,
                TASK_ID: str(task.id),
                EPOCH: task.epoch,
                FRESH: task.epoch == 1,
            },
            "run_name": task.graph,
        }

    def _spec(self, task: Task) -> GraphSpec:
        if task.graph not in self._specs:
            raise ConfigError(f"there is no graph {task.graph!r}; `aurora graph list` shows them", graph=task.graph)
        return self._specs[task.graph]

    def _graph(self, spec: GraphSpec) -> Any:
        if spec.id not in self._compiled:
            self._compiled[spec.id] = spec.build().compile(checkpointer=self._saver, name=spec.id)
        return self._compiled[spec.id]
