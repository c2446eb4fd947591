"""Aurora's own figures for trivial tasks: the worker that `aurora worker` runs, with a runner that does nothing.

Everything else is real: database with full sync, ledger with its fences, leases and fair shares, the heart's thread,
signed wake-ups through the route, and its breakers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from aurora.dispatch.attempt import Attempts, Finished
from aurora.dispatch.brokers.open import open_broker
from aurora.dispatch.circuits import Circuits
from aurora.dispatch.envelope import Signer
from aurora.dispatch.ledger import Ledger
from aurora.dispatch.patience import Patience
from aurora.dispatch.pulse import pulse_on
from aurora.dispatch.relay import Relay
from aurora.dispatch.route import POLICY, Route
from aurora.dispatch.worker import Worker, WorkLedger
from aurora.kernel.clock import SystemClock
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models.task import Task
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.storage.engine import open_engine
from aurora.storage.repositories.workers import Presence
from aurora.storage.schema import ensure_current
from aurora.storage.unit_of_work import Storage
from tests.bench.dispatch_peers import PAYLOAD, PLACES, Drained, Stopwatch

GRAPH = "trivial"
OWNER = "bench:1:worker"
POLL = timedelta(seconds=1)
BATCH = 500
"""Tasks that are submitted in one transaction where it does not matter."""

LOCAL = "local://"

OnRun = Callable[[Task], None]


class Trivial:
    """Implements `GraphRunner`: a run that is over at once."""

    def __init__(self, clock: SystemClock, on_run: OnRun | None = None) -> None:
        self._clock = clock
        self._on_run = on_run

    async def prepare(self, tasks: Sequence[Task]) -> None:
        """Nothing is needed."""

    async def run(self, task: Task) -> Finished:
        began = self._clock.now()
        if self._on_run is not None:
            self._on_run(task)
        return Finished(task, "done", "1", began, began)

    async def give_up(self, task: Task, error: Exception) -> None:
        raise error


@dataclass(frozen=True, slots=True)
class Counted:
    """A ledger that tells how many tasks it has settled."""

    ledger: Ledger
    count: Callable[[int], None]

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        turn = await self.ledger.turn(endings, limit=limit, scope=scope)
        if turn.settled:
            self.count(len(turn.settled))
        return turn

    async def reap(self) -> int:
        return await self.ledger.reap()


@dataclass(frozen=True, slots=True)
class Installation:
    """An open database and the way to workers."""

    url: str
    storage: Storage
    route: Route
    clock: SystemClock
    ids: Uuid7Factory

    def task(self, tenant: str = "default", **given: object) -> Task:
        """Return a new task with the payload that peers carry too."""
        run_id, task_id = RunId(self.ids()), TaskId(self.ids())
        return Task(
            id=task_id,
            tenant=tenant,
            run_id=run_id,
            graph=GRAPH,
            thread_id=f"{GRAPH}:{run_id}",
            input={**PAYLOAD, **given},
            created_at=self.clock.now(),
            idempotency_key=f"run:{task_id}",
        )

    async def submit(self, count: int, *, at_once: int = BATCH) -> list[Task]:
        """Submit tasks, some in one transaction; brokers are told nothing."""
        tasks = [self.task() for _ in range(count)]
        for start in range(0, count, at_once):
            async with self.storage.writing() as transaction:
                for task in tasks[start : start + at_once]:
                    await transaction.tasks.submit(task, announced=True)
        return tasks

    def ledger(self, storage: Storage) -> Ledger:
        """Return the worker's side of the ledger."""
        return Ledger(storage, owner=OWNER, clock=self.clock, publishes=not self.route.is_local)

    def worker(self, *, count: Callable[[int], None], on_run: OnRun | None = None) -> Worker:
        """Return a worker that is made as `aurora worker` makes one."""
        patience = Patience(clock=self.clock, is_endless=True)
        ledger: WorkLedger = Counted(self.ledger(self.storage), count)
        return Worker(
            owner=OWNER,
            ledger=ledger,
            attempts=Attempts(
                runner=Trivial(self.clock, on_run),
                clock=self.clock,
                patience=patience,
                generator=random.Random(0),
            ),
            open_pulse=pulse_on(
                partial(open_engine, self.url, pool_size=1), ledger=self.ledger, presence=self._presence
            ),
            clock=self.clock,
            patience=patience,
            scope=Scope(graphs={GRAPH: "1"}),
            jobs=PLACES,
            poll=POLL,
            wake_ups=self.route,
        )

    @asynccontextmanager
    async def working(self, *, count: Callable[[int], None], on_run: OnRun | None = None) -> AsyncIterator[None]:
        """Have a worker serve meanwhile."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.worker(count=count, on_run=on_run).serve(stop))
            try:
                yield
            finally:
                stop.set()

    def _presence(self) -> Presence:
        now = self.clock.now()
        return Presence(id=OWNER, kind="worker", host="bench", pid=1, version="0", started_at=now, seen_at=now)


@asynccontextmanager
async def installed_at(url: str, broker: str = LOCAL) -> AsyncIterator[Installation]:
    """Open an installation; an empty database gets its schema as users get it."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(url))
        await ensure_current(engine)
        brokers = [await stack.enter_async_context(open_broker(broker, clock=clock, database=url))]
        route = Route(
            brokers,
            circuits=Circuits(clock=clock, policies={"broker": POLICY}),
            signer=Signer("a key of the bench, not a secret " * 2),
            clock=clock,
        )
        yield Installation(url, Storage(engine), route, clock, Uuid7Factory(clock=clock))


async def drain(url: str, broker: str, tasks: int) -> Drained:
    """Work tasks off that wait with their wake-ups: claim, run, settle, in one worker of 64 places."""
    watch = Stopwatch(tasks)
    async with installed_at(url, broker) as here:
        waiting = await here.submit(tasks)
        if not here.route.is_local:
            for start in range(0, tasks, BATCH):
                assert await here.route.announce(waiting[start : start + BATCH]), "no broker took the wake-ups"
        async with here.working(count=watch.count):
            await watch.finished.wait()
    assert watch.result is not None
    return watch.result


async def submitted_per_second(url: str, tasks: int, *, at_once: int) -> float:
    """Return how many tasks a second one producer submits, in transactions of that size."""
    async with installed_at(url) as here:
        await here.submit(at_once)
        began = time.perf_counter()
        await here.submit(tasks, at_once=at_once)
        return tasks / (time.perf_counter() - began)


async def reported(url: str, broker: str, tasks: int) -> Drained:
    """Publish how tasks ended: what the relay does beside the worker once a broker is configured."""
    watch = Stopwatch(tasks)
    async with installed_at(url, broker) as here:
        await here.submit(tasks)
        done = Stopwatch(tasks)
        async with here.working(count=done.count):
            await done.finished.wait()
        relay = Relay(here.storage, here.route, here.clock)
        while watch.result is None:
            watch.count(await relay.report_results())
    return watch.result


async def latencies(url: str, broker: str, *, rate: int, tasks: int, dropped: int) -> list[float]:
    """Return the milliseconds from before each submission to the begin of its run; a process submits, another works.

    Args:
        url: Database, with its schema.
        broker: What wakes the worker.
        rate: Submissions a second, evenly spaced.
        tasks: How many are measured.
        dropped: How many before those.
    """
    began: list[float] = []
    watch = Stopwatch(tasks + dropped)

    def on_run(task: Task) -> None:
        assert task.input is not None
        began.append((time.time() - task.input["at"]) * 1000)

    async with installed_at(url, broker) as here, here.working(count=watch.count, on_run=on_run):
        context = multiprocessing.get_context("spawn")
        producer = context.Process(target=produce, args=(url, broker, rate, tasks + dropped))
        producer.start()
        try:
            async with asyncio.timeout(60 + (tasks + dropped) / rate):
                await watch.finished.wait()
        finally:
            producer.kill()
            producer.join()
    return began[dropped:]


def produce(url: str, broker: str, rate: int, tasks: int) -> None:
    """Submit tasks one by one at a steady rate, and announce each after its commit."""
    asyncio.run(_produce(url, broker, rate, tasks))


async def _produce(url: str, broker: str, rate: int, tasks: int) -> None:
    async with installed_at(url, broker) as here:
        start = time.perf_counter()
        for number in range(tasks):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            task = here.task(at=time.time())
            async with here.storage.writing() as transaction:
                await transaction.tasks.submit(task, announced=True)
            await here.route.announce([task])
