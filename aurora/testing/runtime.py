"""A whole runtime for a test: nothing of the machine's settings, nothing left behind.

Content is the real one, storage is the real one on a database in a temporary folder (LangGraph's checkpoints
need a file), the worker is the real one. Only the model is a script, and the clock is the test's.
"""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from aurora import bootstrap
from aurora.discovery import HOUSE, discover_content
from aurora.dispatch.inside import RunClock
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.errors import NotFound
from aurora.kernel.evidence import Finding
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import TaskState
from aurora.sdk import AgentSpec, Answer, GraphSpec, RunContext, Spec, ToolContext, ToolSpec
from aurora.services.graph_runs import GraphRun, carry_out, submit
from aurora.services.outcomes import Document, outcome_document
from aurora.services.summary import outcomes
from aurora.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""What time it is in a test that brings no clock."""


class RunFailed(AssertionError):
    """A run under test did not come to its end; the error that ended it is the cause."""


@dataclass(frozen=True, slots=True)
class MemoryRuntime:
    """An open runtime, and short ways for a test to use it."""

    runtime: bootstrap.Runtime
    """The same, as the rest of Aurora knows it."""

    async def run(self, graph: str, given: Mapping[str, Any] | None = None, *, key: str | None = None) -> GraphRun:
        """Run a graph to its end and return what became of it: `values` is its last state, `outcome` its word.

        One that waits for a decision comes back with the state `waiting`; the same key goes on with it.

        Args:
            graph: Id of the graph.
            given: State that it begins with, held against its type.
            key: Two runs with one key are one.

        Raises:
            InputError: the state does not fit; nothing was begun.
            NotFound: there is no such graph, or no such alert.
            RunFailed: a node raised; its error is the cause.
        """
        spec = self.runtime.content.graphs.get(graph)
        if spec is None:
            raise NotFound(f"there is no graph {graph!r}; there are {', '.join(self.runtime.content.graphs)}")
        storage, clock = self.runtime.storage, self.runtime.clock
        task = await submit(storage, spec, given or {}, key=key, clock=clock, ids=self.runtime.ids)
        async with bootstrap.open_dispatcher(self.runtime, jobs=1) as dispatcher:
            try:
                ended = await carry_out(storage, dispatcher, spec, task, clock=clock)
            except BaseExceptionGroup as group:
                raise _script_broken(group) or group from None
        if ended.state not in {TaskState.SUCCEEDED, TaskState.WAITING}:
            raise RunFailed(f"graph {graph!r} ended as {ended.state}: {ended.error}") from ended.cause
        return ended

    async def triage(self, records: Iterable[Mapping[str, Any]], *, graph: str = "triage") -> list[Document]:
        """Accept records as if they stood in a file, triage them, and return what `aurora triage --json` prints.

        Args:
            records: Alerts of any format that Aurora reads, as JSON objects.
            graph: Id of the graph that triages.
        """
        from aurora.ingest.reading import Source  # noqa: PLC0415 - only those who triage need it

        lines = "".join(json.dumps(each) + "\n" for each in records).encode()
        source = Source(name="records", size_bytes=len(lines), stream=io.BytesIO(lines))
        async with bootstrap.open_pipeline(self.runtime, jobs=1, graph=graph) as pipeline:
            triaged = await pipeline.triage([source])
        found = outcomes(self.runtime.storage, triaged.accepted.records(), lambda each: each[0])
        return [outcome_document(outcome) async for _, outcome in found]

    async def ask(self, agent: AgentSpec, data: Mapping[str, Any]) -> Answer[Any]:
        """Ask an agent as a node would, in a run of its own, and return its answer.

        Raises:
            RunFailed: there is no model, or the agent names a tool that is not there.
        """
        answers: list[Answer[Any]] = []
        content = self.runtime.content
        graph = _asking(agent, data, answers)
        asked = replace(content, graphs={**content.graphs, graph.id: graph}, agents={**content.agents, agent.id: agent})
        await MemoryRuntime(replace(self.runtime, given_content=asked)).run(graph.id)
        return answers[-1]

    async def look_up(self, tool: ToolSpec, *, alert_id: AlertId | None = None, **given: Any) -> Sequence[Finding]:
        """Call a tool as a model would, and return what it finds.

        Args:
            tool: The tool.
            alert_id: The alert that the run works on.
            **given: The tool's arguments; held against their types, as a model's are.

        Raises:
            ValidationError: (of pydantic) the arguments do not fit.
            RetryWithHint: the tool would have the model ask otherwise.
            GiveUp: there is nothing to find.
        """
        from aurora.storage.lookup import StoredLookup  # noqa: PLC0415 - imports SQLAlchemy models

        arguments = tool.parameters.model_validate(given)
        context = ToolContext(
            alert_id=alert_id, lookup=StoredLookup(self.runtime.storage), knowledge=self.runtime.knowledge
        )
        values = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        found: Sequence[Finding] = await tool.function(**values, context=context)
        return found


@asynccontextmanager
async def open_runtime(
    *,
    model: BaseChatModel | None = None,
    content: Iterable[Spec] = (),
    packages: Sequence[str] = (),
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[MemoryRuntime]:
    """Open a runtime on a database of its own, which is gone afterwards.

    Args:
        model: What agents think with: a `ScriptedChatModel`, which must be used up exactly when the block ends
            without an error. `None`: no model is configured.
        content: Specs to have besides Aurora's own; those that are Aurora's already do no harm.
        packages: Packages to look for content in, besides: `acme_soc` for a whole plugin.
        clock: Time. A `ManualClock` stands still until the test moves it, so a retry waits for that; without one
            it is always noon of 2026-01-01, and what waits waits as long as it says.
        **settings: Settings that differ from the defaults, such as `budget__steps=3`; nothing else is read.

    Raises:
        ContentInvalid: the content cannot be used; the message has one line a fault.
        ScriptBroken: replies of the script are left, or some were missing.
    """
    clock = clock or RunClock(MOMENT, clock=SystemClock())
    ids = Uuid7Factory(clock=clock, generator=random.Random(7))  # noqa: S311 - the same ids in every test
    found = discover_content(packages=(*HOUSE, *packages), plugins=(), given=content)
    with tempfile.TemporaryDirectory(prefix="aurora-", ignore_cleanup_errors=True) as folder:
        chosen = load_settings(
            environ={},
            directory=Path(folder),
            database__url=f"sqlite:///{folder}/aurora.db",
            **({} if model is None else {"model__name": "scripted:model"}),
            **settings,
        )
        async with bootstrap.open_runtime(chosen, clock=clock, ids=ids, content=found, chat=model) as opened:
            yield MemoryRuntime(opened)
    if (assert_used := getattr(model, "assert_used", None)) is not None:
        assert_used()


def _asking(agent: AgentSpec, data: Mapping[str, Any], answers: list[Answer[Any]]) -> GraphSpec:
    """Return a graph of one node that asks an agent."""

    async def ask(_state: dict[str, Any], runtime: Any) -> dict[str, Any]:
        answers.append(await runtime.context.agents.ask(agent, data))
        return {}

    def build() -> Any:
        from langgraph.graph import END, START, StateGraph  # noqa: PLC0415 - imports langgraph

        graph: Any = StateGraph(_Nothing, context_schema=RunContext)
        graph.add_node("ask", ask)
        graph.add_edge(START, "ask")
        graph.add_edge("ask", END)
        return graph

    return GraphSpec(
        id="testing.ask",
        version="1",
        title="Asks an agent",
        description="One node, which asks the agent under test.",
        build=build,
        state=_Nothing,
        nodes=("ask",),
    )


class _Nothing(TypedDict):
    """State without a key."""


def _script_broken(group: BaseException) -> BaseException | None:
    """Return the complaint of a scripted model that task groups have wrapped."""
    if isinstance(group, BaseExceptionGroup):
        return next((found for each in group.exceptions if (found := _script_broken(each))), None)
    return None if isinstance(group, Exception) else group
