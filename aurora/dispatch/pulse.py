"""What one heartbeat does to the database: leases, the worker's own row, and what people have decided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from aurora.dispatch.heart import Obey, OpenPulse, Pulse
from aurora.kernel.models import Task
from aurora.kernel.models.work import Beat
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage, Transaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

OnBeat = Callable[[Transaction], Awaitable[Obey | None]]
"""Reads something with each beat; returns what the worker's loop is to do about it."""


class Leases(Protocol):
    """What of the ledger a heartbeat needs."""

    async def beat(self, held: Sequence[Task]) -> Beat:
        """Renew leases and learn cancellations."""


class StoredPulse:
    """Implements `Pulse` on a connection of its own.

    Args:
        storage: Nobody else's.
        leases: The ledger, on that storage.
        presence: Returns the worker's row as it is now; called in the heart's thread.
        on_beat: What else to read with every beat.
    """

    def __init__(
        self, *, storage: Storage, leases: Leases, presence: Callable[[], Presence], on_beat: Sequence[OnBeat] = ()
    ) -> None:
        self._storage = storage
        self._leases = leases
        self._presence = presence
        self._on_beat = on_beat

    async def beat(self, tasks: Sequence[Task]) -> tuple[Beat, Sequence[Obey]]:
        found = await self._leases.beat(tasks) if tasks else Beat(frozenset(), frozenset())
        async with self._storage.writing() as transaction:
            await transaction.workers.seen(self._presence())
            obey = [each for on_beat in self._on_beat if (each := await on_beat(transaction)) is not None]
        return found, obey

    async def part(self) -> None:
        async with self._storage.writing() as transaction:
            await transaction.workers.gone(self._presence().id)


def pulse_on(
    open_engine: Callable[[], AbstractAsyncContextManager[AsyncEngine]],
    *,
    ledger: Callable[[Storage], Leases],
    presence: Callable[[], Presence],
    on_beat: Sequence[OnBeat] = (),
) -> OpenPulse:
    """Return what opens a pulse on an engine of its own."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Pulse]:
        async with open_engine() as engine:
            storage = Storage(engine)
            yield StoredPulse(storage=storage, leases=ledger(storage), presence=presence, on_beat=on_beat)

    return opened
