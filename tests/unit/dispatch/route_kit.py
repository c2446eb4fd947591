"""Brokers that do as a test says, and tasks to announce."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from aurora.dispatch.circuits import Circuits
from aurora.dispatch.envelope import Envelope, Signer
from aurora.dispatch.route import POLICY, Route
from aurora.kernel.errors import BrokerUnavailable
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models.task import Lane, Task
from aurora.kernel.ports.broker import BrokerHealth, Delivery, DroppedGroup, Message, Stream
from aurora.testing import ManualClock

KEY = "only for tests: as long as HMAC-SHA256 wants it"
POLL = timedelta(seconds=1)


class FakeBroker:
    """Implements `Broker` in memory. `fault` is raised by every call; a `timedelta` hangs for so long instead."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self._clock = clock
        self._name = name
        self.fault: Exception | timedelta | None = None
        self.asked = 0
        self.waits: list[timedelta] = []
        self.woken: list[tuple[Lane, Message]] = []
        self.published: list[tuple[Stream, Message]] = []
        self.ready: list[Delivery] = []
        self.confirmed: list[Delivery] = []

    @property
    def name(self) -> str:
        return self._name

    async def publish(self, stream: Stream, message: Message) -> bool:
        await self._act()
        is_new = (stream, message) not in self.published
        self.published.append((stream, message))
        return is_new

    async def wake(self, lane: Lane, messages: Sequence[Message]) -> None:
        await self._act()
        self.woken += [(lane, message) for message in messages]

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        await self._act()
        self.waits.append(wait)
        if not self.ready:
            await self._clock.sleep(wait)
        ready, self.ready = self.ready[:limit], self.ready[limit:]
        return ready

    async def receive(
        self, stream: Stream, *, group: str, consumer: str, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        raise NotImplementedError

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        await self._act()
        self.confirmed += deliveries

    async def trim(self) -> Sequence[DroppedGroup]:
        return ()

    async def health(self) -> BrokerHealth:
        await self._act()
        return BrokerHealth(server=f"fake {self._name}")

    async def _act(self) -> None:
        self.asked += 1
        if isinstance(self.fault, timedelta):
            await self._clock.sleep(self.fault)
        elif self.fault is not None:
            raise self.fault


class Kit:
    """Two brokers and the route over them."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.first, self.second = FakeBroker("nats", clock), FakeBroker("redis", clock)
        self.circuits = Circuits(clock=clock, generator=random.Random(5), policies={"broker": POLICY})
        self.signer = Signer(KEY)
        self.route = Route([self.first, self.second], circuits=self.circuits, signer=self.signer, clock=clock)

    def delivery(self, task: Task, *, signer: Signer | None = None, token: object = 1) -> Delivery:
        """Return a wake-up as a broker hands it out."""
        sealed = (signer or self.signer).seal(Envelope.of(task))
        return Delivery(Stream.AGENT_TASKS, sealed.data, token)

    async def fetch(self, *, limit: int = 8, wait: timedelta = POLL) -> Sequence[Delivery]:
        """Fetch, while time passes in steps of 10 ms."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.route.fetch(tuple(Lane), limit=limit, wait=wait))
            await self.pass_time(task)
        return task.result()

    async def pass_time(self, *tasks: asyncio.Task[Any], most: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass until the tasks are done."""
        ends = self.clock.monotonic() + most.total_seconds()
        while not all(task.done() for task in tasks):
            assert self.clock.monotonic() < ends, "not done in time"
            for _ in range(25):
                await asyncio.sleep(0)
            if not all(task.done() for task in tasks):
                self.clock.advance(timedelta(milliseconds=10))

    def state(self, broker: FakeBroker) -> str:
        """Return the state of a broker's breaker."""
        return self.circuits.state(f"broker:{broker.name}").value


def a_task(ids: Uuid7Factory, clock: ManualClock, *, priority: int = 5, **changes: Any) -> Task:
    """Return a queued task."""
    made: UUID = ids()
    given = {
        "id": TaskId(made),
        "tenant": "default",
        "run_id": RunId(ids()),
        "graph": "triage",
        "thread_id": f"triage:{made}",
        "created_at": clock.now(),
        "priority": priority,
        "idempotency_key": str(made),
    }
    return Task.model_validate(given | changes)


GONE = BrokerUnavailable("the server is gone")
