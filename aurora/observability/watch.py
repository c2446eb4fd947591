"""Looks after the vitals of a worker while it works: its loop, the database, the brokers, what is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol

from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import BrokerHealth
from aurora.kernel.untrusted import clean
from aurora.observability.vitals import Backlog, Circuit, Sign, Vitals
from aurora.storage.unit_of_work import Storage

TICK = timedelta(seconds=1)
"""Between two rounds of the event loop that are noted."""

ASK = timedelta(seconds=3)
"""Between two questions to a dependency."""

PATIENCE = timedelta(seconds=4)
"""For one answer; what takes longer is not there."""

Brokers = Callable[[], Awaitable[Mapping[str, BrokerHealth | Problem]]]
Circuits = Callable[[], Mapping[str, Circuit]]


class Watched(Protocol):
    """What of a worker is looked at."""

    is_draining: bool

    @property
    def running(self) -> int:
        """Tasks that it holds."""


class Watch:
    """Keeps the vitals of one worker true. Belongs to the worker's event loop: that it goes on is what it shows.

    Args:
        vitals: What is written.
        worker: What is looked at.
        storage: Asked whether it is there, and what is queued.
        clock: Paces it.
        owner: Name of the worker, by which its heartbeat is found.
        places: Tasks that it runs at the same time.
        brokers: Asks the brokers.
        circuits: Returns the breakers of this process.
        patience: For one answer.
    """

    def __init__(
        self,
        vitals: Vitals,
        *,
        worker: Watched,
        storage: Storage,
        clock: Clock,
        owner: str,
        places: int,
        brokers: Brokers | None = None,
        circuits: Circuits | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._vitals = vitals
        self._worker = worker
        self._storage = storage
        self._clock = clock
        self._owner = owner
        self._places = places
        self._brokers = brokers
        self._circuits = circuits
        self._patience_s = patience.total_seconds()

    async def run(self) -> None:
        """Watch until cancelled."""
        self._vitals.places = self._places
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick(), name="watch:loop")
            group.create_task(self._again(self.ask_database), name="watch:database")
            if self._brokers is not None:
                group.create_task(self._again(self.ask_brokers), name="watch:brokers")

    async def _tick(self) -> None:
        while True:
            self.look()
            before = self._clock.monotonic()
            await self._clock.sleep(TICK)
            self._vitals.lag_s = max(0.0, self._clock.monotonic() - before - TICK.total_seconds())

    async def _again(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await ask()
            await self._clock.sleep(ASK)

    def look(self) -> None:
        """Note what the worker does at this moment."""
        vitals, worker = self._vitals, self._worker
        vitals.show(Sign.LOOP)
        vitals.running, vitals.is_draining = worker.running, worker.is_draining
        if worker.running >= self._places:  # nothing to look for until a place is free
            vitals.show(Sign.LOOK)
        if self._circuits is not None:
            vitals.circuits = self._circuits()

    async def ask_database(self) -> None:
        """Ask the database what is queued and when it heard of this worker last: whether it answers is the answer."""
        try:
            async with asyncio.timeout(self._patience_s), self._storage.reading() as transaction:
                now = self._clock.now()
                queued = await transaction.tasks.queued_by_lane()
                oldest = await transaction.tasks.oldest_queued(now)
                seen = await transaction.workers.seen_at(self._owner)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the health check tells
            self._vitals.found("database", is_up=False, is_needed=True, detail=_code(error))
            return
        if seen is not None:
            self._vitals.show(Sign.BEAT, ago=now - seen)
        age = max((now - moment for moment in oldest.values()), default=timedelta())
        self._vitals.backlog = Backlog({lane.value: number for lane, number in queued.items()}, age.total_seconds())
        self._vitals.found("database", is_up=True, is_needed=True)

    async def ask_brokers(self) -> None:
        """Ask every broker how it is."""
        assert self._brokers is not None
        try:
            async with asyncio.timeout(self._patience_s):
                found = await self._brokers()
        except Exception as error:  # noqa: BLE001 - as above
            found = {"brokers": Problem(code=_code(error), reason="")}
        for name, health in found.items():
            is_up = isinstance(health, BrokerHealth)
            detail = clean(health.server) if isinstance(health, BrokerHealth) else health.code
            self._vitals.found(f"broker:{name}", is_up=is_up, detail=detail)


def _code(error: Exception) -> str:
    """Return what is told to whoever asks over the network: a message may name hosts and users, a code does not."""
    return error.code if isinstance(error, AuroraError) else type(error).__name__
