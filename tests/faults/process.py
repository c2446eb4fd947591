"""Processes under test: workers, producers and schedulers, forked from one that has everything imported."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from aurora.bootstrap import open_dispatcher, open_route, open_runtime, open_worker
from aurora.discovery import discover_content
from aurora.dispatch.relay import Relay
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.models import Task
from aurora.observability.health import served
from aurora.observability.metered import MeteredLedger
from aurora.observability.metrics import page
from aurora.observability.vitals import Vitals
from aurora.observability.watch import Watch
from aurora.scheduling import open_scheduler
from aurora.settings import Settings, load_settings
from tests.faults import crash
from tests.faults.effects import World
from tests.faults.graph import FAULT

ATTEMPTS = 100
"""Of a task: the same one may be hit by many faults of a storm, and none of them is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a trial happens."""

    folder: Path
    database: str
    broker: str = "local://"
    second_broker: str | None = None

    @property
    def label(self) -> str:
        """Database and broker, for the table."""
        database = "SQLite" if self.database.startswith("sqlite") else "PostgreSQL"
        brokers = [url.partition("://")[0] for url in (self.broker, self.second_broker) if url]
        names = {"unix": "Valkey", "redis": "Valkey", "nats": "NATS", "local": "no broker"}
        return f"{database}, {' + '.join(names[each] for each in brokers)}"

    def settings(self, **overrides: Any) -> Settings:
        """Return the settings of a process in this place."""
        second = {} if self.second_broker is None else {"dispatch__second_broker": self.second_broker}
        return load_settings(
            environ={},
            directory=self.folder,
            database__url=self.database,
            dispatch__broker=self.broker,
            **second,
            **overrides,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a process is told to do, and when to die."""

    place: Place
    name: str
    """Unique; also the host that it believes to be on, so that others must wait for its leases."""
    keys: tuple[str, ...] = ()
    """Of the tasks that a producer submits."""
    pause_s: float = 0.0
    """Between two submissions."""
    attempts: int = ATTEMPTS
    """Of each of these tasks."""
    concurrency: int = 4
    health_port: int | None = None
    """Where a worker answers health checks."""
    point: str | None = None
    after: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


class ShiftedClock:
    """The machine's clock, off by as much as a file says: wall clocks jump, monotonic ones do not."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._clock = SystemClock()

    def now(self) -> datetime:
        shift = timedelta()
        with suppress(FileNotFoundError):
            shift = timedelta(seconds=float(self._file.read_text(encoding="ascii") or 0))
        return self._clock.now() + shift

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await self._clock.sleep(duration)


def work(role: Role) -> None:
    """Be a worker until SIGTERM."""
    _settle_in(role)
    asyncio.run(_work(role))


def produce(role: Role) -> None:
    """Submit tasks, one after the other, and say of each that it was accepted."""
    _settle_in(role)
    asyncio.run(_produce(role))


def schedule(role: Role) -> None:
    """Be a scheduler until SIGTERM."""
    _settle_in(role)
    asyncio.run(_schedule(role))


def content() -> Any:
    """Return the one graph there is."""
    return discover_content(packages=(), plugins=(), given=[FAULT])


def _settle_in(role: Role) -> None:
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    socket.gethostname = lambda: role.name  # type: ignore[assignment]
    log = (role.place.folder / f"{role.name}.log").open("a", encoding="utf-8")
    sys.stderr = log
    logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    crash.arm(role.point, after=role.after)
    _set_points()


def _set_points() -> None:
    from aurora.dispatch.ledger import Ledger
    from aurora.dispatch.runner import DurableRunner
    from aurora.storage.checkpoints.saver import AuroraSaver
    from aurora.storage.repositories.schedules import Schedules

    crash.before(Ledger, "turn", "notified", when=lambda *_, limit, **__: limit > 0)
    crash.behind(Ledger, "turn", "claimed", when=lambda turn: bool(turn.claimed))
    crash.before(AuroraSaver, "aput", "unsaved", when=lambda _self, _config, _point, meta, *_: meta["step"] > 0)
    crash.behind(DurableRunner, "run", "saved")
    crash.behind(Ledger, "turn", "settled", when=lambda turn: bool(turn.settled))
    crash.before(Ledger, "beat", "beat")
    crash.behind(Schedules, "fired", "fired")


def clock_of(role: Role) -> Clock:
    """Return the clock that a process believes in."""
    return ShiftedClock(role.place.folder / f"{role.name}.shift")


async def _work(role: Role) -> None:
    settings = role.place.settings(dispatch__concurrency=role.concurrency, **role.settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        open_runtime(settings, content=content(), clock=clock_of(role)) as runtime,
        open_route(runtime) as route,
    ):
        vitals = Vitals(clock=runtime.clock)
        meter = partial(MeteredLedger, vitals=vitals, clock=runtime.clock)
        async with open_worker(runtime, route=route, meter=meter) as worker, asyncio.TaskGroup() as group:
            watch = Watch(
                vitals,
                worker=worker,
                storage=runtime.storage,
                clock=runtime.clock,
                owner=worker.owner,
                places=role.concurrency,
                brokers=None if route.is_local else route.health,
                circuits=dict,
            )
            with ExitStack() as answering:
                if role.health_port is not None:
                    metrics = partial(page, vitals)
                    answering.enter_context(served(vitals, host="127.0.0.1", port=role.health_port, metrics=metrics))
                beside = [
                    group.create_task(each)
                    for each in (Relay(runtime.storage, route, runtime.clock).run(), watch.run())
                ]
                await worker.serve(stop)
                for each in beside:
                    each.cancel()


async def _schedule(role: Role) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = role.place.settings(**role.settings)
    async with open_runtime(settings, content=content(), clock=clock_of(role)) as runtime, open_scheduler(runtime):
        await stop.wait()


async def _produce(role: Role) -> None:
    from aurora.services.graph_runs import submit

    world = World(role.place.folder)
    settings = role.place.settings(**role.settings)
    async with (
        open_runtime(settings, content=content(), clock=clock_of(role)) as runtime,
        open_dispatcher(runtime) as dispatcher,
    ):
        for key in role.keys:
            given = {"key": key, "folder": str(role.place.folder)}
            submitting = partial(
                submit,
                runtime.storage,
                FAULT,
                given,
                key=key,
                clock=runtime.clock,
                ids=runtime.ids,
                max_attempts=role.attempts,
            )
            task = await _patiently(submitting)
            world.tell("accept", key, "-", 0)
            crash.reach("committed")
            await dispatcher.announce([task])
            await asyncio.sleep(role.pause_s)


async def _patiently(work: Callable[[], Awaitable[Task]]) -> Task:
    """Do as a client should that was told to try again: with the same key, so that it cannot be two tasks."""
    while True:
        try:
            return await work()
        except StorageUnavailable:
            await asyncio.sleep(0.5)


class Crew:
    """The processes of one trial. All of them are gone when it is closed."""

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.imported"])
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGCONT)
                process.kill()
            process.join()

    def pids(self) -> list[int]:
        """Return the process ids of those that live."""
        return [each.pid for each in self._processes if each.pid and each.is_alive()]

    def start(self, work: Callable[..., None], *arguments: Any) -> BaseProcess:
        """Start a process that does `work`."""
        process = self._context.Process(target=work, args=arguments, daemon=True)
        process.start()
        self._processes.append(process)
        return process


async def ended(processes: Iterable[BaseProcess], *, within_s: float) -> bool:
    """Wait until all of these have ended; tell whether they did."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while any(each.is_alive() for each in processes):
        if loop.time() > until:
            return False
        await asyncio.sleep(0.01)
    return True
