"""Composition: from settings to an open runtime. The only place where the parts are put together."""

from __future__ import annotations

import math
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from aurora.discovery import Content, discover_content
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.ids import IdFactory, Uuid7Factory
from aurora.kernel.models import Task
from aurora.sdk.context import RunContext, ToolContext
from aurora.sdk.knowledge import Knowledge
from aurora.settings import Settings
from aurora.storage.engine import open_engine
from aurora.storage.schema import ensure_current
from aurora.storage.triage import StoredTriage
from aurora.storage.unit_of_work import Storage

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from aurora.dispatch.recorded import Recording
    from aurora.dispatch.replay import ReplayJournal
    from aurora.dispatch.worker import Worker
    from aurora.ingest.pipeline import Pipeline


@dataclass(frozen=True)
class Runtime:
    """The open parts. Closed by whoever opened it."""

    settings: Settings
    storage: Storage
    clock: Clock
    ids: IdFactory
    given_content: Content | None = None
    """What there is instead of what is installed; for tests."""
    given_chat: BaseChatModel | None = None
    """What agents think with instead of the model that the settings name; for tests."""

    @cached_property
    def content(self) -> Content:
        """All content that is installed and trusted."""
        if self.given_content is not None:
            return self.given_content
        return discover_content(trusted_plugins=self.settings.content.trusted_plugins)

    def replaying(self, recording: Recording, journal: ReplayJournal) -> RunContext:
        """Return what the nodes of a replay may reach: what was recorded, and the content of today."""
        from aurora.dispatch.inside import RunClock, RunIds  # noqa: PLC0415
        from aurora.dispatch.replay import NoWorld  # noqa: PLC0415
        from aurora.llm.agents import replaying_agents  # noqa: PLC0415

        task, nothing = recording.task, NoWorld()
        tools = ToolContext(alert_id=task.alert_id, lookup=nothing, knowledge=self.knowledge)
        return RunContext(
            task=task,
            clock=RunClock(task.created_at, clock=self.clock),
            ids=RunIds(task.run_id, task.created_at),
            agents=replaying_agents(
                journal.model_request(), journal=journal, tools=self.content.tools, context=tools, clock=self.clock
            ),
            alerts=nothing,
            recall=nothing,
            correlator=nothing,
            recorder=nothing,
            knowledge=self.knowledge,
            rules=tuple(self.content.rules.values()),
            enrichers=tuple(self.content.enrichers.values()),
        )

    @cached_property
    def knowledge(self) -> Knowledge:
        """ATT&CK and the warning lists, loaded on first use."""
        return open_knowledge()


def open_knowledge() -> Knowledge:
    """Return the knowledge that ships with Aurora."""
    from aurora.knowledge.attack import Attack  # noqa: PLC0415 - reads data files
    from aurora.knowledge.warninglists import WarningLists  # noqa: PLC0415 - reads data files

    return Knowledge(attack=Attack(), lists=WarningLists())


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    clock: Clock | None = None,
    ids: IdFactory | None = None,
    content: Content | None = None,
    chat: BaseChatModel | None = None,
) -> AsyncIterator[Runtime]:
    """Open the database (bringing a new one to the current schema) and hand out the parts.

    Args:
        settings: Of this process.
        clock: Time; that of the machine if not given.
        ids: Where new ids come from.
        content: What there is instead of what is installed.
        chat: What agents think with instead of the model that the settings name.

    Raises:
        ConfigError: the settings name a database that cannot be used.
        SchemaOutdated: the database holds an older or newer schema.
        StorageUnavailable: it cannot be reached.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        database = settings.database
        engine = await stack.enter_async_context(open_engine(database.dsn, pool_size=database.pool_size))
        await ensure_current(engine)
        yield Runtime(
            settings=settings,
            storage=Storage(engine),
            clock=clock,
            ids=ids or Uuid7Factory(clock=clock),
            given_content=content,
            given_chat=chat,
        )


@asynccontextmanager
async def open_worker(runtime: Runtime, *, jobs: int | None = None) -> AsyncIterator[Worker]:
    """Open what carries tasks out: graphs with their checkpoints, their journal, and what their nodes may reach.

    Args:
        runtime: An open runtime.
        jobs: Runs at the same time; `None`: as the settings say.
    """
    # LangGraph reads this when it is imported; crafted checkpoint bytes would run code otherwise.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from aurora.dispatch.inside import RunClock, RunIds, place  # noqa: PLC0415
    from aurora.dispatch.runner import DurableRunner  # noqa: PLC0415 - imports langgraph
    from aurora.dispatch.worker import BUDGET, Worker  # noqa: PLC0415
    from aurora.llm.open import open_models  # noqa: PLC0415
    from aurora.storage.checkpoints.saver import AuroraSaver  # noqa: PLC0415 - imports langgraph
    from aurora.storage.journal import JournalStore  # noqa: PLC0415
    from aurora.storage.lookup import StoredLookup  # noqa: PLC0415

    ports = StoredTriage(runtime.storage, clock=runtime.clock)
    lookup = StoredLookup(runtime.storage)
    pauses = random.Random()  # noqa: S311 - it spreads retries, it hides nothing
    journals = JournalStore(runtime.storage, clock=runtime.clock, place=place)
    content, settings = runtime.content, runtime.settings
    jobs = jobs or settings.triage.jobs

    def context(task: Task) -> RunContext:
        return RunContext(
            task=task,
            clock=RunClock(task.created_at, clock=runtime.clock),
            ids=RunIds(task.run_id, task.created_at),
            agents=models.agents(
                journal=journals.of(task),
                tools=content.tools,
                context=ToolContext(alert_id=task.alert_id, lookup=lookup, knowledge=runtime.knowledge),
                budget=settings.budget,
                generator=pauses,
            ),
            alerts=ports,
            recall=ports,
            correlator=ports,
            recorder=ports,
            knowledge=runtime.knowledge,
            rules=tuple(content.rules.values()),
            enrichers=tuple(content.enrichers.values()),
        )

    async with (
        AuroraSaver.open(runtime.storage.engine) as saver,
        open_models(settings.model, clock=runtime.clock, chat=runtime.given_chat) as models,
    ):
        if models.model is not None:
            _ = models.model.built  # now, so that a missing key or package is told before anything is read
        runner = DurableRunner(
            saver=saver,
            graphs=content.graphs,
            context=context,
            read_ahead=ports.read_ahead,
            journals=journals,
            clock=runtime.clock,
            ids=runtime.ids,
        )
        yield Worker(
            storage=runtime.storage,
            runner=runner,
            clock=runtime.clock,
            ids=runtime.ids,
            jobs=jobs,
            budget=BUDGET if models.model is None else BUDGET + _patience(settings, jobs),
        )


def _patience(settings: Settings, jobs: int) -> timedelta:
    """Return how long a run may wait for models: its own budget, and those of the runs that stand before it."""
    return settings.budget.wall * math.ceil(jobs / settings.model.concurrency)


@asynccontextmanager
async def open_pipeline(runtime: Runtime, *, jobs: int | None = None, graph: str = "triage") -> AsyncIterator[Pipeline]:
    """Open what turns files into verdicts.

    Args:
        runtime: An open runtime.
        jobs: Alerts triaged at the same time; `None`: as the settings say.
        graph: Id of the graph that triages.
    """
    async with open_worker(runtime, jobs=jobs) as worker:
        from aurora.ingest.accept import Acceptor  # noqa: PLC0415
        from aurora.ingest.formats.registry import Formats  # noqa: PLC0415
        from aurora.ingest.pipeline import Pipeline  # noqa: PLC0415

        acceptor = Acceptor(
            storage=runtime.storage,
            formats=Formats(),
            clock=runtime.clock,
            ids=runtime.ids,
            graph=graph,
            window=runtime.settings.ingest.dedup_window,
            max_record_bytes=runtime.settings.ingest.max_record_bytes,
        )
        yield Pipeline(storage=runtime.storage, acceptor=acceptor, worker=worker, clock=runtime.clock)
