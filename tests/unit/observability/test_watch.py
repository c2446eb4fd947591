"""What is told of a worker is what is so: its loop, its database, its brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from aurora.kernel.clock import Clock
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import BrokerHealth
from aurora.observability.health import LOOK_LIMIT, LOOP_LIMIT, livez, readyz
from aurora.observability.vitals import Backlog, Circuit, Sign, Vitals
from aurora.observability.watch import ASK, TICK, Watch
from aurora.testing import ManualClock


@dataclass
class FakeWorker:
    running: int = 0
    is_draining: bool = False


@dataclass
class FakeStorage:
    """A database that answers, is away, or hangs."""

    clock: Clock
    error: Exception | None = None
    hangs: bool = False
    beaten: datetime | None = None
    queued: dict[Lane, int] = field(default_factory=dict)
    oldest: dict[Lane, datetime] = field(default_factory=dict)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        yield self

    @property
    def tasks(self) -> FakeStorage:
        return self

    @property
    def workers(self) -> FakeStorage:
        return self

    async def queued_by_lane(self) -> dict[Lane, int]:
        return self.queued

    async def oldest_queued(self, now: datetime) -> dict[Lane, datetime]:
        return {lane: moment for lane, moment in self.oldest.items() if moment <= now}

    async def seen_at(self, _: str) -> datetime | None:
        return self.beaten


@dataclass
class Watched:
    vitals: Vitals
    worker: FakeWorker
    storage: FakeStorage
    watch: Watch


@pytest.fixture
def watched(clock: ManualClock) -> Watched:
    vitals, worker, storage = Vitals(clock=clock), FakeWorker(), FakeStorage(clock)
    watch = Watch(vitals, worker=worker, storage=storage, clock=clock, owner="w", places=2)  # type: ignore[arg-type]
    return Watched(vitals, worker, storage, watch)


async def test_what_the_database_says_is_told(watched, clock):
    watched.storage.queued = {Lane.HIGH: 3}
    watched.storage.oldest = {Lane.HIGH: clock.now() - timedelta(seconds=40)}
    watched.storage.beaten = clock.now() - timedelta(seconds=2)

    await watched.watch.ask_database()

    assert watched.vitals.backlog == Backlog({"high": 3}, 40.0)
    assert watched.vitals.age(Sign.BEAT) == timedelta(seconds=2)
    assert readyz(watched.vitals)[0]


async def test_a_database_that_went_away_is_told_and_so_is_its_return(watched):
    told = []
    for error in (None, StorageUnavailable("gone"), None):
        watched.storage.error = error
        await watched.watch.ask_database()
        told.append(readyz(watched.vitals)[0])

    assert told == [True, False, True]


async def test_a_message_that_names_hosts_is_not_told_to_the_network(watched):
    watched.storage.error = StorageUnavailable("cannot reach postgresql://aurora@db-17.corp.example")

    await watched.watch.ask_database()

    _, document = readyz(watched.vitals)
    assert document["checks"]["database"]["detail"] == StorageUnavailable.code


async def test_a_database_that_does_not_answer_in_time_is_away(watched, clock):
    watched.storage.hangs = True
    watch = Watch(
        watched.vitals,
        worker=watched.worker,
        storage=watched.storage,
        clock=clock,
        owner="w",
        places=2,
        patience=timedelta(milliseconds=10),
    )

    await watch.ask_database()

    assert readyz(watched.vitals)[1]["checks"]["database"]["detail"] == "TimeoutError"


async def test_each_broker_is_told_by_itself(watched, clock):
    async def brokers() -> dict[str, BrokerHealth | Problem]:
        return {"redis": BrokerHealth(server="valkey 9\x1b[2J"), "nats": Problem(code="aurora.x", reason="secret")}

    watch = Watch(
        watched.vitals,
        worker=watched.worker,
        storage=watched.storage,
        clock=clock,
        owner="w",
        places=2,
        brokers=brokers,
        circuits=lambda: {"broker:nats": Circuit("open")},
    )

    watch.look()
    await watch.ask_brokers()

    checks = readyz(watched.vitals)[1]["checks"]
    assert (checks["broker:redis"]["status"], checks["broker:redis"]["detail"]) == ("up", "valkey 9\\u001b[2J")
    assert (checks["broker:nats"]["status"], checks["broker:nats"]["detail"]) == ("down", "aurora.x")
    assert checks["broker:nats"]["circuit"] == "open"


async def test_a_worker_whose_places_are_taken_need_not_look_for_work(watched, clock):
    watched.worker.running = 2
    clock.advance(LOOK_LIMIT * 2)
    watched.watch.look()
    full, _ = livez(watched.vitals)
    watched.worker.running = 1
    clock.advance(LOOK_LIMIT + timedelta(seconds=1))
    watched.watch.look()

    assert (full, livez(watched.vitals)[0]) == (True, False)


async def test_draining_is_told_with_the_next_look(watched):
    await watched.watch.ask_database()
    watched.worker.is_draining = True
    watched.watch.look()

    assert readyz(watched.vitals)[1]["status"] == "draining"


async def test_while_it_runs_the_loop_shows_life_and_once_it_stops_it_does_not(watched, clock):
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watched.watch.run())
        for _ in range(20):
            await _asleep(clock, 2)
            clock.advance(TICK)
        await _asleep(clock, 2)
        age = watched.vitals.age(Sign.LOOP)
        asked = watched.vitals.since(watched.vitals.dependencies()[0].asked)
        running.cancel()
    clock.advance(LOOP_LIMIT + TICK)

    assert age is not None
    assert age <= TICK
    assert asked <= ASK
    assert livez(watched.vitals)[0] is False


async def test_a_loop_that_comes_round_late_is_told_by_how_much(watched, clock):
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watched.watch.run())
        await _asleep(clock, 2)
        clock.advance(TICK + timedelta(seconds=3))
        await _asleep(clock, 2)
        running.cancel()

    assert watched.vitals.lag_s == pytest.approx(3.0)


async def _asleep(clock: ManualClock, number: int) -> None:
    """Let the others go on until so many of them wait for time to pass."""
    for _ in range(1000):
        await asyncio.sleep(0)
        if clock.sleepers >= number:
            return
    raise AssertionError(f"{clock.sleepers} wait, not {number}")
