"""Composition: from settings to an open runtime. The only place where the parts are put together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aurora.discovery import Content, discover_content
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.ids import IdFactory, Uuid7Factory
from aurora.kernel.models import Task
from aurora.sdk.context import RunContext
from aurora.sdk.knowledge import Knowledge
from aurora.settings import Settings
from aurora.storage.engine import open_engine
from aurora.storage.schema import ensure_current
from aurora.storage.triage import StoredTriage
from aurora.storage.unit_of_work import Storage

if TYPE_CHECKING:
    from aurora.ingest.pipeline import Pipeline


@dataclass(frozen=True)
class Runtime:
    """The open parts. Closed by whoever opened it."""

    settings: Settings
    storage: Storage
    clock: Clock
    ids: IdFactory

    @cached_property
    def content(self) -> Content:
        """All content that is installed and trusted."""
        return discover_content(trusted_plugins=self.settings.content.trusted_plugins)

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
    settings: Settings, *, clock: Clock | None = None, ids: IdFactory | None = None
) -> AsyncIterator[Runtime]:
    """Open the database (bringing a new one to the current schema) and hand out the parts.

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
        yield Runtime(settings=settings, storage=Storage(engine), clock=clock, ids=ids or Uuid7Factory(clock=clock))


@asynccontextmanager
async def open_pipeline(runtime: Runtime, *, jobs: int | None = None, graph: str = "triage") -> AsyncIterator[Pipeline]:
    """Open what turns files into verdicts.

    Args:
        runtime: An open runtime.
        jobs: Alerts triaged at the same time; `None`: as the settings say.
        graph: Id of the graph that triages.
    """
    # LangGraph reads this when it is imported; crafted checkpoint bytes would run code otherwise.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from aurora.dispatch.runner import DurableRunner  # noqa: PLC0415 - imports langgraph
    from aurora.dispatch.worker import Worker  # noqa: PLC0415
    from aurora.ingest.accept import Acceptor  # noqa: PLC0415
    from aurora.ingest.formats.registry import Formats  # noqa: PLC0415
    from aurora.ingest.pipeline import Pipeline  # noqa: PLC0415
    from aurora.storage.checkpoints.saver import AuroraSaver  # noqa: PLC0415 - imports langgraph

    ports = StoredTriage(runtime.storage, clock=runtime.clock)
    content = runtime.content

    def context(task: Task) -> RunContext:
        return RunContext(
            task=task,
            clock=runtime.clock,
            ids=runtime.ids,
            alerts=ports,
            recall=ports,
            correlator=ports,
            recorder=ports,
            knowledge=runtime.knowledge,
            rules=tuple(content.rules.values()),
            enrichers=tuple(content.enrichers.values()),
        )

    async with AuroraSaver.open(runtime.storage.engine) as saver:
        runner = DurableRunner(
            saver=saver,
            graphs=content.graphs,
            context=context,
            read_ahead=ports.read_ahead,
            clock=runtime.clock,
            ids=runtime.ids,
        )
        worker = Worker(
            storage=runtime.storage,
            runner=runner,
            clock=runtime.clock,
            ids=runtime.ids,
            jobs=jobs or runtime.settings.triage.jobs,
        )
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
