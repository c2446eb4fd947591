"""Tells brokers again what they lost, or were never told: everything that is to be told is a row."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from aurora.dispatch.messages import Stream
from aurora.dispatch.route import Route
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, BrokerError, MessageInvalid
from aurora.kernel.models.task import TaskState
from aurora.storage.repositories.outbox import Result
from aurora.storage.unit_of_work import Storage

LOOK = timedelta(seconds=1)
"""Between two looks, where there is nothing to do."""

UNTOLD = timedelta(seconds=5)
"""Whoever submits announces right after the commit; what is queued for longer was lost on the way, or forgotten."""

ROUND = 500
"""Rows of one round at most: a broker that returns is not drowned in what piled up."""

ABREAST = 16
"""Results that are published at the same time."""

_LONGEST_PAUSE = timedelta(seconds=30)
"""Between two tries while the database cannot be reached."""

log = logging.getLogger(__name__)


class Relay:
    """Announces tasks that nobody was told of, and publishes how tasks ended. Any number may run.

    Args:
        storage: Where the rows are; the relay serves all tenants.
        route: The brokers.
        clock: Time for looks and pauses.
        generator: Spreads the looks of a fleet; of the machine's entropy if left out.
    """

    def __init__(self, storage: Storage, route: Route, clock: Clock, *, generator: random.Random | None = None) -> None:
        self._storage = storage
        self._route = route
        self._clock = clock
        self._random = generator or random.SystemRandom()
        self.announced = self.published = 0
        """Since the start."""

    async def run(self) -> None:
        """Work until cancelled; return at once where no broker reaches beyond this process.

        Errors are logged and tried again, after pauses that grow.
        """
        if self._route.is_local:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervised("announce", self.announce_due), name="relay:announce")
            group.create_task(self._supervised("report", self.report_results), name="relay:report")

    async def announce_due(self) -> int:
        """Announce what is queued and due and was not announced lately; return how many tasks a broker took.

        The rows are marked before the broker is asked, in a transaction of their own, so that no lock is held
        while a broker hangs and no two relays tell the same; the mark of what none took is wiped off again.
        """
        if self._route.is_resting:
            return 0
        now = self._clock.now()
        since = now - UNTOLD
        async with self._storage.reading() as transaction:
            if not await transaction.outbox.has_due(now, untold_since=since):
                return 0
        async with self._storage.writing() as transaction:
            tasks = await transaction.outbox.take_due(now, untold_since=since, limit=ROUND)
        if not tasks:
            return 0
        broker = await self._route.announce(tasks)
        if broker is None:
            async with self._storage.writing() as transaction:
                await transaction.outbox.untake(tasks, taken_at=now)
            return 0
        log.info("relay.announced", extra={"broker": broker, "tasks": len(tasks)})
        self.announced += len(tasks)
        return len(tasks)

    async def report_results(self) -> int:
        """Publish how tasks ended, dead letters too; return how many results a broker took.

        A result may be published twice, by two relays or after a crash; its content, and so its id, is the same.
        """
        if self._route.is_resting:
            return 0
        now = self._clock.now()
        since = now - UNTOLD
        async with self._storage.reading() as transaction:
            if not await transaction.outbox.has_results(untold_since=since):
                return 0
        async with self._storage.writing() as transaction:
            results = await transaction.outbox.take_results(now, untold_since=since, limit=ROUND)
        done = await self._published(results)
        if done:
            async with self._storage.writing() as transaction:
                await transaction.outbox.published(done)
        self.published += len(done)
        return len(done)

    async def _published(self, results: Sequence[Result]) -> list[Result]:
        """Publish some at a time, until the brokers rest; return those that need not come again."""
        done: list[Result] = []
        for start in range(0, len(results), ABREAST):
            part = results[start : start + ABREAST]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._is_told(each)) for each in part]
            done += [each for each, task in zip(part, tasks, strict=True) if task.result()]
            if self._route.is_resting:
                break
        return done

    async def _is_told(self, result: Result) -> bool:
        """Publish one result; return whether that is settled."""
        content = _content(result)
        try:
            if result.state in {TaskState.DEAD, TaskState.FAILED}:
                await self._route.publish(Stream.DEAD_LETTER, content)
            await self._route.publish(Stream.AGENT_RESULTS, content)
        except MessageInvalid as error:  # it never can be; the database has it
            log.warning("relay.unspeakable", extra={"task_id": str(result.task_id), "code": error.code})
        except BrokerError:
            return False
        return True

    async def _supervised(self, name: str, body: Callable[[], Awaitable[int]]) -> None:
        failures = 0
        this = asyncio.current_task()
        while this is None or not this.cancelling():  # a group of tasks that fails may forget that it was cancelled
            try:
                told = await body()
            except Exception as error:  # noqa: BLE001 - a loop that ends tells nobody anything any more
                failures += 1
                code = error.code if isinstance(error, AuroraError) else type(error).__name__
                log.warning("relay.failed", extra={"loop": name, "code": code, "failures": failures})
                pause = min(_LONGEST_PAUSE, LOOK * (1 << min(failures, 16)))
            else:
                failures = 0
                pause = LOOK if told < ROUND else timedelta()
            await self._clock.sleep(pause * (0.75 + self._random.random() / 2))


def _content(result: Result) -> dict[str, Any]:
    ended = result.finished_at
    return {
        "task_id": str(result.task_id),
        "run_id": str(result.run_id),
        "tenant": result.tenant,
        "graph": result.graph,
        "state": result.state.value,
        "outcome": result.outcome,
        "error": result.error,
        "finished_at": None if ended is None else ended.isoformat(),
    }
