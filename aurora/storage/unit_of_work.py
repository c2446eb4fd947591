"""The unit of work: one transaction, and the repositories that speak within it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aurora.storage.base import DEFAULT_TENANT
from aurora.storage.engine import WRITES
from aurora.storage.faults import told_plainly
from aurora.storage.repositories.alerts import Alerts
from aurora.storage.repositories.announcements import Announcements
from aurora.storage.repositories.batches import Batches
from aurora.storage.repositories.cases import Cases
from aurora.storage.repositories.circuits import CircuitDecisions
from aurora.storage.repositories.claims import Claims
from aurora.storage.repositories.correlation import Correlation
from aurora.storage.repositories.duplicates import Duplicates
from aurora.storage.repositories.intake import Intake
from aurora.storage.repositories.journal import Journals
from aurora.storage.repositories.lookup import Lookups
from aurora.storage.repositories.outbox import Outbox
from aurora.storage.repositories.overdue import Overdue
from aurora.storage.repositories.reports import Reports
from aurora.storage.repositories.retention import Retention
from aurora.storage.repositories.runs import Runs
from aurora.storage.repositories.schedules import Schedules
from aurora.storage.repositories.standings import Standings
from aurora.storage.repositories.tasks import Tasks
from aurora.storage.repositories.verdicts import Verdicts
from aurora.storage.repositories.workers import Workers

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@dataclass(frozen=True)
class Transaction:
    """One open transaction of one tenant. Commits when its `async with` ends without an error."""

    connection: AsyncConnection
    tenant: str

    @cached_property
    def alerts(self) -> Alerts:
        return Alerts(self.connection, self.tenant)

    @cached_property
    def announcements(self) -> Announcements:
        return Announcements(self.connection, self.tenant)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.connection, self.tenant)

    @cached_property
    def cases(self) -> Cases:
        return Cases(self.connection, self.tenant)

    @cached_property
    def circuits(self) -> CircuitDecisions:
        return CircuitDecisions(self.connection, self.tenant)

    @cached_property
    def claims(self) -> Claims:
        """The worker's side of the ledger; the one repository that is bound to no tenant."""
        return Claims(self.connection, self.tenant)

    @cached_property
    def correlation(self) -> Correlation:
        return Correlation(self.connection, self.tenant)

    @cached_property
    def duplicates(self) -> Duplicates:
        return Duplicates(self.connection, self.tenant)

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.connection, self.tenant)

    @cached_property
    def journal(self) -> Journals:
        return Journals(self.connection, self.tenant)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.connection, self.tenant)

    @cached_property
    def overdue(self) -> Overdue:
        return Overdue(self.connection, self.tenant)

    @cached_property
    def reports(self) -> Reports:
        return Reports(self.connection, self.tenant)

    @cached_property
    def retention(self) -> Retention:
        return Retention(self.connection, self.tenant)

    @cached_property
    def lookup(self) -> Lookups:
        return Lookups(self.connection, self.tenant)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.connection, self.tenant)

    @cached_property
    def schedules(self) -> Schedules:
        return Schedules(self.connection, self.tenant)

    @cached_property
    def standings(self) -> Standings:
        return Standings(self.connection, self.tenant)

    @cached_property
    def tasks(self) -> Tasks:
        return Tasks(self.connection, self.tenant)

    @cached_property
    def verdicts(self) -> Verdicts:
        return Verdicts(self.connection, self.tenant)

    @cached_property
    def workers(self) -> Workers:
        return Workers(self.connection, self.tenant)


class Storage:
    """Hands out transactions. Owns no connection while none is open."""

    def __init__(self, engine: AsyncEngine, *, tenant: str = DEFAULT_TENANT) -> None:
        self.engine = engine
        self.tenant = tenant
        self._writer = engine.execution_options(**{WRITES: True})
        self._others: dict[str, Storage] = {}

    def of(self, tenant: str) -> Storage:
        """Return the same storage, for another tenant."""
        if tenant == self.tenant:
            return self
        if tenant not in self._others:
            self._others[tenant] = Storage(self.engine, tenant=tenant)
        return self._others[tenant]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A transaction that only reads; a consistent snapshot on SQLite.

        Raises:
            StorageUnavailable: the database cannot be reached.
        """
        async with self._transaction(self.engine) as transaction:
            yield transaction

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """A transaction that may write. On SQLite it takes the one write lock at its start.

        Raises:
            StorageUnavailable: the database is locked or cannot be reached; nothing was written.
        """
        async with self._transaction(self._writer) as transaction:
            yield transaction

    @asynccontextmanager
    async def accepting(self) -> AsyncIterator[Transaction]:
        """A transaction that accepts input: one at a time in a tenant, whoever else accepts waits.

        Two at once would not see each other's alerts, and each would take the other's for new.

        Raises:
            StorageUnavailable: as `writing`.
        """
        async with self.writing() as transaction:
            await transaction.batches.take_turn()
            yield transaction

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[Transaction]:
        with told_plainly():
            async with engine.begin() as connection:
                yield Transaction(connection, self.tenant)
