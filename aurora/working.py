"""Composition of what carries tasks out: graphs, their checkpoints and journals, the model, the ledger, a heart."""

from __future__ import annotations

import math
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from aurora import AURORA_PACKAGE
from aurora.bootstrap import Runtime
from aurora.dispatch.attempt import BUDGET, Attempts, GraphRunner
from aurora.dispatch.dispatcher import MOST
from aurora.dispatch.fairness import Shares
from aurora.dispatch.heart import Held, Obey
from aurora.dispatch.inside import RunClock, RunIds, place
from aurora.dispatch.ledger import Ledger
from aurora.dispatch.owner import this_owner
from aurora.dispatch.patience import Patience
from aurora.dispatch.pulse import OnBeat, pulse_on
from aurora.dispatch.worker import LOOK, Worker, WorkLedger
from aurora.kernel.errors import ConfigError
from aurora.kernel.models import Task
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Scope
from aurora.sdk.context import RunContext, ToolContext
from aurora.sdk.spec import GraphSpec
from aurora.services.breakers import apply_decisions, breakers_document
from aurora.storage.engine import open_engine
from aurora.storage.journal import JournalStore
from aurora.storage.lookup import StoredLookup
from aurora.storage.remembered import NoMemory, RunMemory, TenantMemory
from aurora.storage.repositories.workers import Kind, Presence
from aurora.storage.triage import StoredTriage
from aurora.storage.unit_of_work import Transaction

if TYPE_CHECKING:
    from aurora.dispatch.route import Route
    from aurora.llm.open import Models


SETTLED_AT_ONCE = 16
"""Runs that a command's own worker settles in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What kind of worker is wanted."""

    kind: Kind
    jobs: int
    """Runs at the same time."""
    lanes: Sequence[Lane] = tuple(Lane)
    graphs: Collection[str] | None = None
    """Ids of those that it runs; `None`: all."""
    poll: timedelta = LOOK
    drain_timeout: timedelta = timedelta()


@asynccontextmanager
async def open_working(
    runtime: Runtime,
    work: Work,
    *,
    route: Route | None = None,
    meter: Callable[[WorkLedger], WorkLedger] | None = None,
) -> AsyncIterator[Worker]:
    """Open a worker, with all that its runs may reach.

    Args:
        runtime: An open runtime.
        work: What kind of worker.
        route: Brings wake-ups; without it there is the poll.
        meter: Puts something between the worker and the ledger.

    Raises:
        ConfigError: there is no such graph, or the model cannot be built.
    """
    is_service = work.kind == "worker"
    settings, clock = runtime.settings, runtime.clock
    graphs = _graphs(runtime, work.graphs)
    owner = this_owner(runtime.ids)
    patience = Patience(clock=clock, is_endless=is_service)
    generator = random.Random()  # noqa: S311 - it spreads retries, it hides nothing
    ledger = partial(
        Ledger,
        owner=owner,
        clock=clock,
        shares=Shares(weights=settings.dispatch.weights, running=settings.dispatch.running),
        publishes=_publishes(runtime),
    )

    def presence() -> Presence:
        return present.now(worker)

    held = Held(clock)
    async with _open_runner(runtime, graphs, generator, held) as (runner, models):
        present = _Present(runtime, work, graphs, owner=owner, route=route)
        own: WorkLedger = ledger(runtime.storage)
        worker = Worker(
            owner=owner,
            ledger=own if meter is None else meter(own),
            attempts=Attempts(
                runner=runner,
                clock=clock,
                patience=patience,
                generator=generator,
                budget=BUDGET if models.model is None else BUDGET + _wait(runtime, work.jobs),
                elsewhere=_Elsewhere(runtime, owner=owner),
            ),
            open_pulse=pulse_on(
                partial(open_engine, settings.database.dsn, pool_size=1),
                ledger=ledger,
                presence=presence,
                on_beat=[_obeying(runtime), present.look],
            ),
            clock=clock,
            patience=patience,
            scope=Scope(lanes=work.lanes, graphs={name: next(iter(known)) for name, known in graphs.items()}),
            jobs=work.jobs,
            most=None if is_service else max(MOST, work.jobs),
            batch=1 if is_service else SETTLED_AT_ONCE,
            poll=work.poll,
            drain_timeout=work.drain_timeout,
            wake_ups=route,
            held=held,
        )
        yield worker


@asynccontextmanager
async def _open_runner(
    runtime: Runtime, graphs: Mapping[str, Mapping[str, GraphSpec]], generator: random.Random, held: Held
) -> AsyncIterator[tuple[GraphRunner, Models]]:
    # LangGraph reads this when it is imported; crafted checkpoint bytes would run code otherwise.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from aurora.dispatch.runner import DurableRunner  # noqa: PLC0415 - imports langgraph
    from aurora.llm.open import open_models  # noqa: PLC0415 - imports langchain
    from aurora.storage.checkpoints.saver import AuroraSaver  # noqa: PLC0415 - imports langgraph

    content, settings = runtime.content, runtime.settings
    journals = JournalStore(runtime.storage, clock=runtime.clock, place=place)
    tenants = _Tenants(runtime)

    def context(task: Task) -> RunContext:
        ports, lookup, memory = tenants.of(task.tenant)
        return RunContext(
            task=task,
            clock=RunClock(task.created_at, clock=runtime.clock),
            ids=RunIds(task.run_id, task.created_at),
            agents=models.agents(
                journal=journals.of(task),
                tools=content.tools,
                context=ToolContext(alert_id=task.alert_id, lookup=lookup, knowledge=runtime.knowledge),
                budget=settings.budget,
                generator=generator,
            ),
            alerts=ports,
            recall=ports,
            correlator=ports,
            recorder=ports,
            memory=NoMemory() if memory is None else RunMemory(memory, task),
            knowledge=runtime.knowledge,
            rules=tuple(content.rules.values()),
            enrichers=tuple(content.enrichers.values()),
        )

    async with (
        AuroraSaver.open(runtime.storage.engine) as saver,
        open_models(settings.model, clock=runtime.clock, circuits=runtime.circuits, chat=runtime.given_chat) as models,
    ):
        if models.model is not None:
            _ = models.model.built  # now, so that a missing key or package is told before anything is begun
        runner = DurableRunner(
            saver=saver,
            graphs=graphs,
            context=context,
            read_ahead=tenants.read_ahead,
            journals=journals,
            clock=runtime.clock,
            ids=runtime.ids,
            is_late=held.is_late,
        )
        yield runner, models


class _Tenants:
    """What the runs of each tenant may reach of the database: that tenant's rows, and no other."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ports: dict[str, tuple[StoredTriage, StoredLookup, TenantMemory | None]] = {}

    def of(self, tenant: str) -> tuple[StoredTriage, StoredLookup, TenantMemory | None]:
        """Return the ports of a tenant; without a memory where that is switched off."""
        if tenant not in self._ports:
            runtime = self._runtime
            storage = runtime.storage.of(tenant)
            self._ports[tenant] = (
                StoredTriage(storage, clock=runtime.clock),
                StoredLookup(storage),
                runtime.run_memory(tenant) if runtime.settings.memory.enabled else None,
            )
        return self._ports[tenant]

    async def read_ahead(self, tasks: Sequence[Task]) -> None:
        """Fetch what the runs of these tasks will ask for, tenant by tenant."""
        alerts = [(task.tenant, task.alert_id) for task in tasks if task.alert_id is not None]
        for tenant in {tenant: None for tenant, _ in alerts}:
            ports, *_ = self.of(tenant)
            await ports.read_ahead([alert_id for owner, alert_id in alerts if owner == tenant])


class _Present:
    """The worker's row among those of all workers."""

    def __init__(
        self,
        runtime: Runtime,
        work: Work,
        graphs: Mapping[str, Mapping[str, GraphSpec]],
        *,
        owner: str,
        route: Route | None,
    ) -> None:
        self._circuits = runtime.circuits
        self._clock = runtime.clock
        self._work = work
        self._graphs = {name: list(known) for name, known in graphs.items()}
        self._owner = owner
        self._brokers = [] if route is None else list(route.names)
        self._version = metadata.version(AURORA_PACKAGE)
        self._started_at: datetime = runtime.clock.now()
        self._breakers: dict[str, Any] = {}

    def now(self, worker: Worker) -> Presence:
        """Return the row as it is; called in the heart's thread."""
        return Presence(
            id=self._owner,
            kind=self._work.kind,
            host=socket.gethostname()[:64],
            pid=os.getpid(),
            version=self._version,
            state="draining" if worker.is_draining else "active",
            lanes=[lane.value for lane in self._work.lanes],
            graphs=self._graphs,
            concurrency=self._work.jobs,
            running=worker.running,
            started_at=self._started_at,
            seen_at=self._clock.now(),
            details={"counts": asdict(worker.tally), "brokers": self._brokers, "breakers": self._breakers},
        )

    async def look(self, _: Transaction) -> Obey:
        """Have the worker's loop, to which the breakers belong, look at them for the next beat."""
        return self._look

    def _look(self) -> None:
        self._breakers = breakers_document(self._circuits)


class _Elsewhere:
    """Tells whether another live worker has a version of a graph that this one has not."""

    def __init__(self, runtime: Runtime, *, owner: str) -> None:
        self._runtime = runtime
        self._owner = owner

    async def __call__(self, task: Task, version: str) -> bool:
        async with self._runtime.storage.reading() as transaction:
            live = await transaction.workers.live(self._runtime.clock.now(), kind="worker")
        return any(
            version in each.graphs.get(task.graph, ())
            for each in live
            if each.id != self._owner and each.serves(task.graph, task.lane)
        )


def _obeying(runtime: Runtime) -> OnBeat:
    """Return what hears of people's decisions about breakers, and has the worker's loop carry them out."""

    async def hear(transaction: Transaction) -> Obey | None:
        decisions = await transaction.circuits.decisions(runtime.circuits.obeyed)
        return partial(_obey, decisions) if decisions else None

    def _obey(decisions: Any) -> None:
        apply_decisions(runtime.circuits, decisions)

    return hear


def _graphs(runtime: Runtime, chosen: Collection[str] | None) -> Mapping[str, Mapping[str, GraphSpec]]:
    known = runtime.content.graph_versions
    if chosen is None:
        return known
    if missing := sorted(set(chosen) - set(known)):
        raise ConfigError(f"there is no graph {', '.join(missing)}; there are {', '.join(known)}")
    return {name: known[name] for name in known if name in chosen}


def _publishes(runtime: Runtime) -> bool:
    """Whether some broker reaches beyond this process, so that somebody can be told how tasks ended."""
    dispatch = runtime.settings.dispatch
    urls = [url.get_secret_value() for url in (dispatch.broker, dispatch.second_broker) if url is not None]
    return any(not url.startswith("local:") for url in urls)


def _wait(runtime: Runtime, jobs: int) -> timedelta:
    """Return how long a run may wait for models: its own budget, and those of the runs that stand before it."""
    settings = runtime.settings
    return settings.budget.wall * math.ceil(jobs / settings.model.concurrency)
