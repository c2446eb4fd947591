"""What the runs of a tenant ask of its memory, and what they leave there, each write fenced by its task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from aurora.kernel.errors import LeaseLost
from aurora.kernel.evidence import Finding
from aurora.kernel.models import Alert, Observable, Task, Verdict
from aurora.storage.group_commit import GroupCommit
from aurora.storage.unit_of_work import Storage, Transaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Judged = tuple[Alert, Verdict, Sequence[Observable]]
Fence = Callable[["AsyncConnection"], Awaitable[None]]


class Judgements(Protocol):
    """Keeps what was concluded of alerts. The memory package has it."""

    async def remember(self, judged: Sequence[Judged], *, fence: Fence | None = None) -> None:
        """Keep what was concluded of alerts; the fence is called in the transaction that does it."""

    async def similar(
        self, alert: Alert, observables: Sequence[Observable], *, as_of: datetime | None = None
    ) -> Sequence[Finding]:
        """Return what is remembered of alerts of the same kind."""


class Connections:
    """Lends the storage's transactions to memory, whose tables are its own. Implements `memory.ports.Transactions`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._storage.reading() as transaction:
            yield transaction.connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._storage.writing() as transaction:
            yield transaction.connection


class Within:
    """One open transaction in place of many, so that what is remembered is written with it or not at all.

    Implements `memory.ports.Transactions`.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection


class TenantMemory:
    """The memory of one tenant, for all its runs: what several remember at once is one transaction.

    Args:
        judgements: Where it is kept.
        tenant: Whose runs they are.
    """

    def __init__(self, judgements: Judgements, *, tenant: str) -> None:
        self.judgements = judgements
        self._tenant = tenant
        self._group: GroupCommit[tuple[Task, Judged], bool] = GroupCommit(self._remember_all)

    async def remember(self, task: Task, judged: Judged) -> None:
        """Keep what a run concluded.

        Raises:
            LeaseLost: another worker owns the task; nothing was written.
        """
        await self._group.submit((task, judged))

    async def _remember_all(self, entries: Sequence[tuple[Task, Judged]]) -> list[bool | Exception]:
        held: set[object] = set()

        async def fence(connection: AsyncConnection) -> None:
            """Find who may still write. One that may not spoils the batch, which is written again without it."""
            standing = await Transaction(connection, self._tenant).tasks.hold([task for task, _ in entries])
            held.update(standing)
            if len(standing) < len({task.id for task, _ in entries}):
                raise _SomeLostError

        try:
            await self.judgements.remember([judged for _, judged in entries], fence=fence)
        except _SomeLostError:
            remaining = [(task, judged) for task, judged in entries if task.id in held]
            if remaining:
                await self._remember_all(remaining)
            return [
                True
                if task.id in held
                else LeaseLost("another worker owns this task now", task_id=str(task.id), epoch=task.epoch)
                for task, _ in entries
            ]
        return [True for _ in entries]


@dataclass(frozen=True, slots=True)
class RunMemory:
    """Implements `CaseMemory` for one run: it sees what was held before the run was asked for."""

    memory: TenantMemory
    task: Task

    async def similar(self, alert: Alert, observables: Sequence[Observable]) -> Sequence[Finding]:
        before = self.task.created_at - timedelta(microseconds=1)
        return await self.memory.judgements.similar(alert, observables, as_of=before)

    async def remember(self, alert: Alert, verdict: Verdict, observables: Sequence[Observable]) -> None:
        await self.memory.remember(self.task, (alert, verdict, observables))


class NoMemory:
    """Implements `CaseMemory` where memory is switched off."""

    async def similar(self, alert: Alert, observables: Sequence[Observable]) -> Sequence[Finding]:
        return ()

    async def remember(self, alert: Alert, verdict: Verdict, observables: Sequence[Observable]) -> None:
        return


class _SomeLostError(Exception):
    """Some of the tasks whose results are written together belong to other workers."""
