"""Dispatch: what one worker does and costs, how soon work begins, and how soon it goes on after a kill.

Contenders take turns, each round in a process of its own, with the same tasks, payload and 64 places.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from tests.bench import dispatch_ours as ours
from tests.bench.dispatch_peers import PEERS, Drained, installed
from tests.bench.dispatch_recovery import Recovered, broker_killed, worker_killed
from tests.bench.measurement import Measurement
from tests.faults.process import Place
from tests.faults.servers import Postgres, Server, Valkey, running_servers
from tests.services import NatsServer, fresh_postgres_database

T = TypeVar("T")

TASKS = 5_000
FEW = 500
"""Tasks where each has a transaction of its own."""
ROUNDS = 3
RATE = 200
GOAL_PER_SECOND = 5_000.0
GOAL_CPU_US = 150.0
GOAL_LATENCY_MS = 5.0
GOAL_WORKER_S = 12.0
"""The lease, and two seconds."""
GOAL_BROKER_S = 5.0

DATABASES = {"sqlite": "local", "sqlite_redis": "redis", "sqlite_nats": "nats", "postgres": "local"}
"""Where our own worker is measured, with its broker."""

WOKEN = {"sqlite": "local", "sqlite_redis": "redis", "sqlite_nats": "nats", "postgres_nats": "nats"}
"""The same for how soon work begins. PostgreSQL without a broker is left out: there it is half of `dispatch.poll`."""

RAW = ("redis-py streams, by 64", "nats-py JetStream, by 128")
"""Clients without a task library: what the servers can do."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What is running."""

    valkey: Valkey
    nats: NatsServer
    postgres: Postgres

    def broker(self, name: str) -> str:
        """Return the URL of a broker."""
        return {"local": ours.LOCAL, "redis": self.valkey.url, "nats": self.nats.url}[name]

    def wipe(self) -> None:
        """Forget what was measured before, so that no round is slowed by another's leftovers."""
        for server in (self.valkey, self.nats):
            server.wipe()
            server.start()


def run() -> list[Measurement]:
    """Measure all of it; some four minutes."""
    with running_servers() as (valkey, nats, postgres):
        servers = Servers(valkey, nats, postgres)
        return [
            *_drains(servers),
            *_submissions(servers),
            *_results(servers),
            *_latencies(servers),
            *_recoveries(servers),
        ]


def _drains(servers: Servers) -> Iterator[Measurement]:
    theirs = [name for name, (_, package, _) in PEERS.items() if installed(package)]
    if missing := sorted(set(PEERS) - set(theirs)):
        print(f"not installed, so not measured: {', '.join(missing)}")
    rounds: dict[str, list[Drained]] = {name: [] for name in (*DATABASES, *theirs)}
    for _ in range(ROUNDS):
        for name, taken in rounds.items():
            servers.wipe()
            taken.append(_drained(servers, name))
    per_second = {name: statistics.median(each.per_second for each in taken) for name, taken in rounds.items()}
    cpu_us = {name: statistics.median(each.cpu_us for each in taken) for name, taken in rounds.items()}
    libraries = [name for name in theirs if name not in RAW]
    fastest = max(libraries, key=lambda name: per_second[name], default=None)
    leanest = min(libraries, key=lambda name: cpu_us[name], default=None)
    for name in DATABASES:
        rate, cpu = round(per_second[name]), round(cpu_us[name])
        yield _rate(f"dispatch.drain.{name}", rate, fastest, per_second)
        yield _cost(f"dispatch.drain.{name}.cpu", cpu, leanest, cpu_us)
    for peer in theirs:
        mine = f"sqlite_{PEERS[peer][0]}"
        yield _rate(f"dispatch.drain.{mine}, beside {peer}", round(per_second[mine]), peer, per_second)
        yield _cost(f"dispatch.drain.{mine}.cpu, beside {peer}", round(cpu_us[mine]), peer, cpu_us)
    worst = max(cpu_us[name] for name in DATABASES)
    slowest = min(per_second[name] for name in DATABASES)
    yield _rate("dispatch.drain.slowest", round(slowest), "goal", {"goal": GOAL_PER_SECOND})
    yield _cost("dispatch.drain.dearest.cpu", round(worst), "goal", {"goal": GOAL_CPU_US})


def _rate(name: str, value: float, peer: str | None, values: dict[str, float]) -> Measurement:
    peer_value = None if peer is None else round(values[peer])
    return Measurement(name=name, value=value, unit="tasks/s", better="higher", peer=peer, peer_value=peer_value)


def _cost(name: str, value: float, peer: str | None, values: dict[str, float]) -> Measurement:
    peer_value = None if peer is None else round(values[peer])
    return Measurement(name=name, value=value, unit="µs/task", better="lower", peer=peer, peer_value=peer_value)


def _drained(servers: Servers, name: str) -> Drained:
    if name in PEERS:
        return _apart(partial(_peer_drained, name, servers.broker(PEERS[name][0])))
    with _database(servers, name) as url:
        return _apart(partial(_ours_drained, url, servers.broker(DATABASES[name])))


def _peer_drained(name: str, url: str) -> Drained:
    return _in_loop(PEERS[name][2](url, TASKS))


def _ours_drained(url: str, broker: str) -> Drained:
    return _in_loop(ours.drain(url, broker, TASKS))


def _submissions(servers: Servers) -> Iterator[Measurement]:
    for database in ("sqlite", "postgres"):
        for name, tasks, at_once in (("one_by_one", FEW, 1), ("in_batches", TASKS, ours.BATCH)):
            with _database(servers, database) as url:
                rate = _apart(partial(_submitted, url, tasks, at_once))
            yield Measurement(
                name=f"dispatch.submit.{database}.{name}", value=round(rate), unit="tasks/s", better="higher"
            )


def _submitted(url: str, tasks: int, at_once: int) -> float:
    return _in_loop(ours.submitted_per_second(url, tasks, at_once=at_once))


def _results(servers: Servers) -> Iterator[Measurement]:
    """Telling others how tasks ended, which the relay does in the same process once a broker is configured."""
    for name in ("redis", "nats"):
        servers.wipe()
        with _database(servers, "sqlite") as url:
            found = _apart(partial(_reported, url, servers.broker(name)))
        yield _rate(f"dispatch.results.sqlite_{name}", round(found.per_second), None, {})
        yield _cost(f"dispatch.results.sqlite_{name}.cpu", round(found.cpu_us), None, {})


def _reported(url: str, broker: str) -> Drained:
    return _in_loop(ours.reported(url, broker, TASKS))


def _latencies(servers: Servers) -> Iterator[Measurement]:
    for name, broker in WOKEN.items():
        servers.wipe()
        with _database(servers, name) as url:
            found = _apart(partial(_delayed, url, servers.broker(broker)))
        percentiles = statistics.quantiles(found, n=100)
        for label, value in (("p50", percentiles[49]), ("p95", percentiles[94])):
            yield Measurement(
                name=f"dispatch.latency.{name}.{label}",
                value=round(value, 1),
                unit="ms",
                better="lower",
                peer="goal" if label == "p50" else None,
                peer_value=GOAL_LATENCY_MS if label == "p50" else None,
            )


def _delayed(url: str, broker: str) -> list[float]:
    return _in_loop(ours.latencies(url, broker, rate=RATE, tasks=4 * RATE, dropped=RATE))


def _recoveries(servers: Servers) -> Iterator[Measurement]:
    found = [_in_folder(worker_killed) for _ in range(ROUNDS)]
    yield from _recovered("worker_killed", found, goal_s=GOAL_WORKER_S)
    brokers: dict[str, Server] = {"redis": servers.valkey, "nats": servers.nats}
    for name, server in brokers.items():
        yield from _recovered(f"{name}_killed", [_in_folder(partial(_without, server))], goal_s=GOAL_BROKER_S)


def _without(server: Server, folder: Path) -> Awaitable[Recovered]:
    database = f"sqlite+aiosqlite:///{folder / 'aurora.db'}"
    return broker_killed(Place(folder=folder, database=database, broker=server.url), server)


def _recovered(name: str, found: list[Recovered], *, goal_s: float) -> Iterator[Measurement]:
    """Return the worst of the rounds: a median says nothing about what may be lost."""
    figures = {
        "seconds": (max(each.seconds for each in found), "s", goal_s),
        "lost": (sum(each.lost for each in found), "tasks", 0.0),
        "twice": (sum(each.twice for each in found), "times", 0.0),
    }
    for label, (value, unit, goal) in figures.items():
        yield Measurement(
            name=f"dispatch.{name}.{label}",
            value=round(value, 1),
            unit=unit,
            better="lower",
            peer="goal",
            peer_value=goal,
        )


def _in_folder(trial: Callable[[Path], Awaitable[T]]) -> T:
    with TemporaryDirectory(prefix="aurora-bench-") as folder:
        return _in_loop(trial(Path(folder)))


@contextmanager
def _database(servers: Servers, name: str) -> Iterator[str]:
    """Hand out the URL of an empty database."""
    if not name.startswith("postgres"):
        with TemporaryDirectory(prefix="aurora-bench-") as folder:
            yield f"sqlite+aiosqlite:///{folder}/aurora.db"
        return
    with asyncio.Runner() as runner:
        opened = fresh_postgres_database(servers.postgres.url)
        url = runner.run(opened.__aenter__())
        try:
            yield url
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _apart(measure: Callable[[], T]) -> T:
    """Measure in a fresh process: what an earlier one has imported and kept slows no other."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure).result()


def _in_loop(measured: Awaitable[T]) -> T:
    async def awaited() -> T:
        return await measured

    return asyncio.run(awaited())
