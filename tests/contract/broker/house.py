"""What the clauses need of a backend: brokers on the same streams, time that passes, a server that can fail."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import Message, Stream, encoded
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Broker, Delivery

T = TypeVar("T")

WAIT = timedelta(milliseconds=100)
"""For one call; it is back as soon as there is something."""

SOON = timedelta(milliseconds=50)
LATER = timedelta(milliseconds=120)
"""A little longer than `SOON`, so that what was due after that is due now."""

NOTHING = timedelta()
ALL = tuple(Lane)
F = TypeVar("F", bound=Callable[..., Any])


def needs(capability: str) -> Callable[[F], F]:
    """Mark a clause that only a backend with this capability can be held to."""

    def mark(clause: F) -> F:
        clause.needs = capability  # type: ignore[attr-defined]
        return clause

    return mark


class House(Protocol):
    """One server, emptied for each clause, or one process. Closes what it opened."""

    async def open(self, limits: Limits = ...) -> Broker:
        """Return one more broker on the same streams; within one process the same one again."""

    async def wait(self, duration: timedelta) -> None:
        """Let time pass, for the server too."""

    async def done(self, work: Awaitable[T]) -> T:
        """Return what `work` returns; time goes on meanwhile."""

    def monotonic(self) -> float:
        """Return the seconds of the clock that brokers wait by."""

    async def forge(self, stream: Stream, data: bytes) -> None:
        """Put an entry on the stream that no broker of ours would write. Capability `forge`."""

    async def stop(self) -> None:
        """End the server as a crash would. Capability `restart`."""

    async def start(self) -> None:
        """Start it again, at the same place. Capability `restart`."""

    async def wipe(self) -> None:
        """Make the server forget everything: streams, groups, scripts. Capability `wipe`."""


def wake_up(name: object) -> Message:
    """Return a message as different from others as its name."""
    return encoded({"wake": str(name)})


def raw(data: bytes) -> Message:
    """Return a message that nobody looked at."""
    return Message(hashlib.sha256(data).hexdigest(), data)


async def fetched(
    house: House, broker: Broker, *, lanes: Sequence[Lane] = ALL, limit: int = 64, wait: timedelta = WAIT
) -> Sequence[Delivery]:
    """Fetch once."""
    return tuple(await house.done(broker.fetch(lanes, limit=limit, wait=wait)))


async def received(
    house: House,
    broker: Broker,
    group: str,
    *,
    stream: Stream = Stream.ALERTS,
    consumer: str = "one",
    limit: int = 64,
    wait: timedelta = WAIT,
) -> Sequence[Delivery]:
    """Receive once."""
    return tuple(await house.done(broker.receive(stream, group=group, consumer=consumer, limit=limit, wait=wait)))


async def collected(
    broker: Broker,
    once: Callable[[], Awaitable[Sequence[Delivery]]],
    *,
    count: int,
    confirms: bool = True,
    patience: int = 20,
) -> list[Delivery]:
    """Fetch or receive until `count` different ones have come, or nothing has `patience` times in a row."""
    found: list[Delivery] = []
    idle = 0
    while len({each.data for each in found}) < count and idle < patience:
        some = await once()
        idle = 0 if some else idle + 1
        if confirms:
            await broker.confirm(some)
        found.extend(some)
    return found


async def until(house: House, work: Callable[[], Awaitable[Any]], *, accepts: type[Exception], tries: int = 100) -> Any:
    """Return what `work` returns once it does not raise any more."""
    for _ in range(tries):
        try:
            return await work()
        except accepts:
            await house.wait(timedelta(milliseconds=50))
    return await work()


class RealTime:
    """For servers: time passes by itself."""

    async def wait(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())

    async def done(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(20):
            return await work

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
