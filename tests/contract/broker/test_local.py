"""The broker of one process, in virtual time, and what it notices of other processes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

import pytest

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.local import LocalBroker, open_local
from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.models.task import Lane
from aurora.testing import ManualClock
from tests.contract.broker.clauses import BrokerContract
from tests.contract.broker.house import ALL, House, wake_up

T = TypeVar("T")
STEP = timedelta(milliseconds=5)
NOTHING = timedelta()


class LocalHouse:
    """One process: every broker is the same one. Time passes whenever everybody waits."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._broker: LocalBroker | None = None

    async def open(self, limits: Limits = LIMITS) -> LocalBroker:
        self._broker = self._broker or LocalBroker(clock=self._clock, limits=limits)
        return self._broker

    async def wait(self, duration: timedelta) -> None:
        for _ in range(round(duration / STEP)):
            await self._settle()
            self._clock.advance(STEP)
        await self._settle()

    async def done(self, work: Awaitable[T]) -> T:
        async def result() -> T:
            return await work

        async with asyncio.TaskGroup() as group:
            task = group.create_task(result())
            while not task.done():
                await self._settle()
                self._clock.advance(STEP)
        return task.result()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def house(clock: ManualClock) -> House:
    return LocalHouse(clock)


class TestLocalBroker(BrokerContract):
    """Nobody else reaches its streams, and there is no server to fail."""


def test_every_clause_is_held_to_that_needs_no_server() -> None:
    assert TestLocalBroker.held_to() == 28


@pytest.fixture
def database(tmp_path):
    """A ledger, and what another process does to it."""
    with sqlite3.connect(tmp_path / "aurora.db") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE tasks (id INTEGER)")
    yield connection
    connection.close()


async def test_a_commit_of_another_process_ends_the_wait(tmp_path, database, clock) -> None:
    house = LocalHouse(clock)
    async with open_local(clock=clock, database=f"sqlite:///{tmp_path}/aurora.db") as broker:
        await house.done(broker.fetch(ALL, limit=8, wait=NOTHING))
        began = clock.monotonic()

        async def commit() -> None:
            await house.wait(timedelta(milliseconds=200))
            with database:
                database.execute("INSERT INTO tasks VALUES (1)")

        found, _ = await house.done(asyncio.gather(broker.fetch(ALL, limit=8, wait=timedelta(seconds=30)), commit()))

    assert list(found) == []
    assert clock.monotonic() - began < 1.0


async def test_a_commit_between_two_fetches_is_noticed_and_only_once(tmp_path, database, clock) -> None:
    house = LocalHouse(clock)
    async with open_local(clock=clock, database=f"sqlite:///{tmp_path}/aurora.db") as broker:
        await house.done(broker.fetch(ALL, limit=8, wait=NOTHING))
        with database:
            database.execute("INSERT INTO tasks VALUES (1)")
        waited = []

        for _ in range(2):
            began = clock.monotonic()
            await house.done(broker.fetch(ALL, limit=8, wait=timedelta(seconds=1)))
            waited.append(clock.monotonic() - began)

    assert waited[0] < 0.1
    assert waited[1] >= 1.0


async def test_a_file_that_is_not_there_yet_is_no_fault(tmp_path, clock) -> None:
    async with open_local(clock=clock, database=f"sqlite:///{tmp_path}/later.db") as broker:
        await broker.wake(Lane.NORMAL, [wake_up(1)])

        assert [each.data for each in await broker.fetch(ALL, limit=8, wait=NOTHING)] == [wake_up(1).data]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [None, "sqlite://", "postgresql://user@host/name"])
async def test_without_a_file_there_is_nothing_to_watch(url, clock) -> None:
    async with open_local(clock=clock, database=url) as broker:
        began = clock.monotonic()

        await LocalHouse(clock).done(broker.fetch(ALL, limit=8, wait=timedelta(seconds=1)))

    assert clock.monotonic() - began >= 1.0


async def test_memory_is_bounded_though_nobody_trims(clock) -> None:
    broker = LocalBroker(clock=clock, limits=Limits(max_entries=500))
    await broker.receive(Stream.ALERTS, group="silent", consumer="one", limit=1, wait=NOTHING)

    for n in range(5000):
        await broker.wake(Lane.NORMAL, [wake_up(n)])
        await broker.publish(Stream.ALERTS, encoded({"n": n}))
        await broker.publish(Stream.AUDIT, encoded({"n": n}))

    entries = (await broker.health()).entries
    assert entries[Stream.AGENT_TASKS] <= 500
    assert entries[Stream.ALERTS] <= 500
    assert entries[Stream.AUDIT] == 0, "nobody listens"
    assert [(each.group, each.stream) for each in await broker.trim()] == [("silent", Stream.ALERTS)]


async def test_a_wake_up_that_is_older_than_an_hour_goes_unconfirmed(clock) -> None:
    broker = LocalBroker(clock=clock)
    await broker.wake(Lane.NORMAL, [wake_up("old")])
    await broker.fetch(ALL, limit=1, wait=NOTHING)
    clock.advance(timedelta(minutes=59))
    await broker.wake(Lane.NORMAL, [wake_up("young")])

    clock.advance(timedelta(minutes=2))
    await broker.trim()

    found = await broker.fetch(ALL, limit=8, wait=NOTHING)
    assert [each.data for each in found] == [wake_up("young").data]
