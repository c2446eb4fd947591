"""Composition: from settings to an open runtime. The only place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aurora.discovery import Content, discover_content
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.ids import IdFactory, Uuid7Factory
from aurora.kernel.models.task import Lane
from aurora.sdk.context import RunContext, ToolContext
from aurora.sdk.knowledge import Knowledge
from aurora.settings import Settings
from aurora.storage.engine import open_engine
from aurora.storage.schema import ensure_current
from aurora.storage.unit_of_work import Storage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import timedelta

    from langchain_core.language_models.chat_models import BaseChatModel

    from aurora.dispatch.circuits import Circuits
    from aurora.dispatch.dispatcher import Dispatcher
    from aurora.dispatch.recorded import Recording
    from aurora.dispatch.replay import ReplayJournal
    from aurora.dispatch.route import Route
    from aurora.dispatch.worker import Worker, WorkLedger
    from aurora.ingest.pipeline import Pipeline
    from aurora.storage.remembered import Judgements, TenantMemory
    from aurora.storage.unit_of_work import Transaction
    from memory.desk import Desk
    from memory.memory import Memory
    from memory.ports import Embedder, Transactions
    from memory.serving import Serving
    from memory.upkeep import Upkeep


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
            memory=nothing,
            knowledge=self.knowledge,
            rules=tuple(self.content.rules.values()),
            enrichers=tuple(self.content.enrichers.values()),
        )

    @cached_property
    def knowledge(self) -> Knowledge:
        """ATT&CK and the warning lists, loaded on first use."""
        return open_knowledge()

    @cached_property
    def embedder(self) -> Embedder:
        """What makes the vectors of memories. Loads nothing before it is first used."""
        from memory.embed import open_embedder  # noqa: PLC0415 - only those who remember need it

        return open_embedder(self.settings.memory.embedder)

    @cached_property
    def _searches(self) -> Serving:
        from memory.serving import Serving  # noqa: PLC0415

        return Serving(looks=self.storage.engine.dialect.name == "postgresql")

    @cached_property
    def _memories(self) -> dict[str, Memory]:
        return {}

    def memory(self, tenant: str) -> Memory:
        """Return the memory of a tenant, the same each time: it knows which vectors serve."""
        from aurora.storage.remembered import Connections  # noqa: PLC0415

        if tenant not in self._memories:
            self._memories[tenant] = self._memory(tenant, Connections(self.storage.of(tenant)))
        return self._memories[tenant]

    def _memory(self, tenant: str, transactions: Transactions) -> Memory:
        from memory.memory import Memory  # noqa: PLC0415

        return Memory(
            transactions,
            tenant=tenant,
            clock=self.clock,
            ids=self.ids,
            embedder=self.embedder,
            index=self._searches,
        )

    def desk(self, tenant: str, *, person: str) -> Desk:
        """Return the memory of a tenant as a person works with it.

        Args:
            tenant: Whose.
            person: Name of the authenticated person, who answers for what is added and taken away.
        """
        from memory.desk import Desk  # noqa: PLC0415

        return Desk(self.memory(tenant), person=person)

    def judgements(self, transaction: Transaction) -> Judgements | None:
        """Return what keeps conclusions within an open transaction; `None` where memory is switched off."""
        from aurora.storage.remembered import Within  # noqa: PLC0415
        from memory.judgements import Judgements  # noqa: PLC0415

        if not self.settings.memory.enabled:
            return None
        return Judgements(self._memory(transaction.tenant, Within(transaction)))

    def run_memory(self, tenant: str) -> TenantMemory:
        """Return the memory of a tenant as its runs use it."""
        from aurora.storage.remembered import TenantMemory  # noqa: PLC0415
        from memory.judgements import Judgements  # noqa: PLC0415

        return TenantMemory(Judgements(self.memory(tenant)), tenant=tenant)

    def tending(self) -> Callable[[], Awaitable[Mapping[str, int]]]:
        """Return what tends the memories of all tenants, and tells how many jobs it did and vectors it made."""
        upkeep: Upkeep | None = None

        async def tend() -> Mapping[str, int]:
            nonlocal upkeep
            if upkeep is None:
                from aurora.storage.remembered import Connections  # noqa: PLC0415
                from memory.upkeep import Upkeep  # noqa: PLC0415

                upkeep = Upkeep(Connections(self.storage), self.memory, ids=self.ids, owner="scheduler")
            done = await upkeep.round()
            return {"jobs": done.jobs, "vectors": done.vectors}

        return tend

    @cached_property
    def circuits(self) -> Circuits:
        """The breakers of this process: one for each thing outside that it calls."""
        from aurora.dispatch.circuits import Circuits  # noqa: PLC0415 - only those who run graphs need them
        from aurora.dispatch.route import POLICY  # noqa: PLC0415
        from aurora.llm.open import breaker_policy  # noqa: PLC0415

        return Circuits(clock=self.clock, policies={"broker": POLICY, "model": breaker_policy(self.settings.model)})


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
async def open_route(runtime: Runtime) -> AsyncIterator[Route]:
    """Open the brokers that the settings name, and the way to workers over them. Closed on exit.

    Raises:
        MissingExtra: the client of a broker is not installed.
    """
    from aurora.dispatch.brokers.open import open_broker  # noqa: PLC0415 - imports the client of a broker
    from aurora.dispatch.envelope import Signer  # noqa: PLC0415
    from aurora.dispatch.route import Route  # noqa: PLC0415

    dispatch = runtime.settings.dispatch
    key = dispatch.signing_key
    async with AsyncExitStack() as stack:
        urls = [url.get_secret_value() for url in (dispatch.broker, dispatch.second_broker) if url is not None]
        brokers = [
            await stack.enter_async_context(
                open_broker(url, clock=runtime.clock, database=runtime.settings.database.dsn)
            )
            for url in urls
        ]
        signer = Signer(None if key is None else key.get_secret_value())
        yield Route(brokers, circuits=runtime.circuits, signer=signer, clock=runtime.clock)


@asynccontextmanager
async def open_worker(
    runtime: Runtime,
    *,
    jobs: int | None = None,
    lanes: Sequence[Lane] | None = None,
    graphs: Collection[str] | None = None,
    drain_timeout: timedelta | None = None,
    route: Route | None = None,
    meter: Callable[[WorkLedger], WorkLedger] | None = None,
) -> AsyncIterator[Worker]:
    """Open a worker that serves everybody: `worker.serve(stop)`.

    Args:
        runtime: An open runtime.
        jobs: Runs at the same time; `None`, here and below: as the settings say.
        lanes: What it serves.
        graphs: Ids of the graphs that it runs; `None`: all that are installed.
        drain_timeout: How long runs may go on once it is told to stop.
        route: Brings wake-ups; one of its own if not given.
        meter: Puts something between the worker and the ledger, which counts.

    Raises:
        ConfigError: there is no such graph, or the model cannot be built.
    """
    from aurora.working import Work, open_working  # noqa: PLC0415 - imports langgraph

    dispatch = runtime.settings.dispatch
    work = Work(
        kind="worker",
        jobs=jobs or dispatch.concurrency,
        lanes=tuple(lanes or map(Lane, dispatch.lanes)),
        graphs=graphs,
        poll=dispatch.poll,
        drain_timeout=drain_timeout if drain_timeout is not None else dispatch.drain_timeout,
    )
    async with AsyncExitStack() as stack:
        route = route or await stack.enter_async_context(open_route(runtime))
        yield await stack.enter_async_context(open_working(runtime, work, route=route, meter=meter))


@asynccontextmanager
async def open_dispatcher(runtime: Runtime, *, jobs: int | None = None) -> AsyncIterator[Dispatcher]:
    """Open what has tasks done: by workers that are there, else in this process. Nothing is opened before its time.

    Args:
        runtime: An open runtime.
        jobs: Runs at the same time, in this process; `None`: as the settings say.
    """
    from aurora.dispatch.dispatcher import Dispatcher  # noqa: PLC0415 - only those who run graphs need it
    from aurora.dispatch.patience import Patience  # noqa: PLC0415

    async with AsyncExitStack() as stack:

        async def own_worker() -> Worker:
            from aurora.working import Work, open_working  # noqa: PLC0415 - imports langgraph

            work = Work(kind="embedded", jobs=jobs or runtime.settings.triage.jobs)
            return await stack.enter_async_context(open_working(runtime, work))

        async def announcer() -> Route:
            return await stack.enter_async_context(open_route(runtime))

        yield Dispatcher(
            storage=runtime.storage,
            graphs=versions(runtime.content),
            worker=own_worker,
            announcer=announcer,
            clock=runtime.clock,
            patience=Patience(clock=runtime.clock),
        )


def versions(content: Content) -> dict[str, str]:
    """Return the graphs with the version that a fresh run begins with."""
    return {spec.id: spec.version for spec in content.graphs.values()}


@asynccontextmanager
async def open_pipeline(runtime: Runtime, *, jobs: int | None = None, graph: str = "triage") -> AsyncIterator[Pipeline]:
    """Open what turns files into verdicts.

    Args:
        runtime: An open runtime.
        jobs: Alerts triaged at the same time, in this process; `None`: as the settings say.
        graph: Id of the graph that triages.
    """
    from aurora.ingest.accept import Acceptor  # noqa: PLC0415
    from aurora.ingest.formats.registry import Formats  # noqa: PLC0415
    from aurora.ingest.pipeline import Pipeline  # noqa: PLC0415

    async with open_dispatcher(runtime, jobs=jobs) as dispatcher:
        await dispatcher.prepare(graph)  # a missing key or package is told before anything is read
        acceptor = Acceptor(
            storage=runtime.storage,
            formats=Formats(),
            clock=runtime.clock,
            ids=runtime.ids,
            graph=graph,
            window=runtime.settings.ingest.dedup_window,
            max_record_bytes=runtime.settings.ingest.max_record_bytes,
        )
        yield Pipeline(storage=runtime.storage, acceptor=acceptor, dispatcher=dispatcher, clock=runtime.clock)
