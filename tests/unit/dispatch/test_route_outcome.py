"""Whatever brokers do, the same tasks are done, each once: it changes how soon, never whether. Virtual time, SQLite."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from aurora.dispatch.relay import Relay
from aurora.kernel.errors import BrokerError
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Delivery, Stream
from aurora.storage.models import TaskModel
from aurora.storage.unit_of_work import Storage, Transaction
from aurora.testing import ManualClock
from tests.contract.storage.test_outbox import add_tasks
from tests.services import engine_with_schema
from tests.unit.dispatch.route_kit import GONE, POLL, FakeBroker, Kit

TASKS, BURSTS = 6, 5


class WatchedStorage(Storage):
    """Knows whether a transaction is open: meanwhile virtual time stands still, however busy the machine is."""

    open = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        async with self._counted(super().reading()) as transaction:
            yield transaction

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        async with self._counted(super().writing()) as transaction:
            yield transaction

    @asynccontextmanager
    async def _counted(self, opened: AbstractAsyncContextManager[Transaction]) -> AsyncIterator[Transaction]:
        self.open += 1
        try:
            async with opened as transaction:
                yield transaction
        finally:
            self.open -= 1


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[WatchedStorage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield WatchedStorage(engine)


def _fails(broker: FakeBroker) -> None:
    broker.fault = GONE


def _hangs(broker: FakeBroker) -> None:
    broker.fault = timedelta(hours=1)


def _is_misconfigured(broker: FakeBroker) -> None:
    broker.fault = BrokerError("the password is wrong")


def _loses(broker: FakeBroker) -> None:
    async def wake(lane: Lane, messages: Any) -> None:
        pass

    broker.wake = wake  # type: ignore[method-assign]


def _floods(broker: FakeBroker) -> None:
    async def fetch(lanes: Any, *, limit: int, wait: timedelta) -> list[Delivery]:
        return [Delivery(Stream.AGENT_TASKS, b"forged", number) for number in range(limit)]

    broker.fetch = fetch  # type: ignore[method-assign]


def _works(broker: FakeBroker) -> None:
    async def wake(lane: Lane, messages: Any) -> None:
        broker.ready += [Delivery(Stream.AGENT_TASKS, message.data, message.id) for message in messages]

    broker.wake = wake  # type: ignore[method-assign]


@pytest.mark.parametrize("first", [_works, _fails, _hangs, _is_misconfigured, _loses, _floods])
@pytest.mark.parametrize("second", [_works, _fails, _hangs, _floods])
async def test_the_same_tasks_are_done_once_each_and_not_much_later(
    first: Callable[[FakeBroker], None],
    second: Callable[[FakeBroker], None],
    storage: WatchedStorage,
    clock: ManualClock,
    ids: Uuid7Factory,
) -> None:
    kit = Kit(clock)
    first(kit.first)
    second(kit.second)
    relay = Relay(storage, kit.route, clock, generator=random.Random(1))
    done: list[UUID] = []
    late: list[float] = []

    async with asyncio.TaskGroup() as group:
        services = [group.create_task(relay.run()), group.create_task(_work(kit, storage, done))]
        made: list[UUID] = []
        for _ in range(BURSTS):
            made += await add_tasks(storage, ids, count=TASKS, run_at=clock.now(), created_at=clock.now())
            began = clock.monotonic()
            while len(done) < len(made) and clock.monotonic() - began < 60.0:
                for _ in range(40):
                    await asyncio.sleep(0)
                if storage.open:
                    await asyncio.wait(services, timeout=0.001)
                else:
                    clock.advance(timedelta(milliseconds=100))
            late.append(clock.monotonic() - began)
        for service in services:
            service.cancel()

    assert Counter(done) == Counter(made)
    assert max(late[2:]) <= 6.5, "the breakers are open by now; a probe of each that hangs costs a time-out"
    assert sorted(late)[BURSTS // 2] <= 3.0


async def _work(kit: Kit, storage: Storage, done: list[UUID]) -> None:
    """Do as a worker does: wait for a wake-up, but look into the database whether one comes or not."""
    while True:
        deliveries = await kit.route.fetch(tuple(Lane), limit=4, wait=POLL)
        due = (TaskModel.state == "queued", TaskModel.run_at <= kit.clock.now())
        async with storage.writing() as transaction:
            statement = update(TaskModel).where(*due).values(state="succeeded").returning(TaskModel.id)
            done += (await transaction.connection.execute(statement)).scalars()
        await kit.route.confirm(deliveries)
