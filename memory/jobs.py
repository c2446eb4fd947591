"""Work on a memory in the background: asked for in the transaction that makes it necessary, done once.

The queue is a table of the memory itself, so a write and the work that follows from it cannot come apart.
Workers race for jobs under leases. Whoever lost its lease can neither write (`Jobs.fence`) nor report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from aurora.kernel.errors import AuroraError, LeaseLost, NotFound
from memory.models import JobModel
from memory.ports import Fence, Transactions

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aurora.kernel.clock import Clock
    from aurora.kernel.ids import IdFactory

MAX_ERROR = 500
"""Characters of an error that are kept; the width of the column."""

NEVER_ENDED = "the worker vanished while it did this, as often as a job may be tried"

KEPT = timedelta(days=30)
"""How long a job that is done, or was given up, is kept: whoever is away for four weeks still finds what failed. Until
then what was asked for is not done again."""

TIDY = "tidy"
"""Kind of the job that deletes such jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job in the hands of a worker."""

    id: UUID
    kind: str
    key: str
    payload: Mapping[str, Any]
    owner: str
    epoch: int
    """Counts the owners that it had; an older owner's is refused."""
    attempts: int
    """This one included."""
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJob:
    """A job that was given up."""

    id: UUID
    kind: str
    key: str
    attempts: int
    error: str
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a job may take, and how often it is tried. Pure: the jitter is drawn from the job's id."""

    lease: timedelta = timedelta(seconds=60)
    """A worker that is silent for so long has lost its job. It is renewed every third of it."""
    deadline: timedelta = timedelta(minutes=10)
    """One attempt takes no longer."""
    max_attempts: int = 5
    base: timedelta = timedelta(seconds=2)
    """Ceiling of the first delay; it doubles with each further attempt."""
    cap: timedelta = timedelta(minutes=5)

    def delay(self, job: UUID, attempt: int) -> timedelta:
        """Return how long to wait after `attempt`, counted from 1, failed: half to all of its ceiling."""
        draw = hashlib.sha256(job.bytes + attempt.to_bytes(4)).digest()[0] / 256
        return min(self.cap, self.base * (1 << min(attempt - 1, 30))) * (0.5 + draw / 2)


@dataclass(frozen=True)
class Jobs:
    """The queue of one tenant.

    Args:
        transactions: The memory's database; owned by the caller.
        tenant: Whose jobs. A worker for all tenants asks `tenants_with_work` first.
        clock: What leases and delays are measured by.
        ids: Where ids of jobs come from.
        patience: Leases, attempts and delays.
    """

    transactions: Transactions
    tenant: str
    clock: Clock
    ids: IdFactory
    patience: Patience = field(default_factory=Patience)

    async def enqueue(
        self,
        connection: AsyncConnection,
        kind: str,
        key: str,
        *,
        payload: Mapping[str, Any] | None = None,
        due_at: datetime | None = None,
    ) -> bool:
        """Ask for a job in the caller's own transaction; it exists when that commits.

        Args:
            connection: Of a transaction that writes.
            kind: What is to be done.
            key: Names this piece of work among those of its kind, until `KEPT` after its end: a second with the same
                is none.
            payload: What its handler has to know, as JSON.
            due_at: Not before then; `None`: at once.

        Returns:
            Whether it is new.
        """
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        result = await connection.execute(
            insert(JobModel)
            .values(
                id=self.ids(),
                tenant=self.tenant,
                kind=kind,
                key=key,
                payload=dict(payload or {}),
                due_at=due_at or self.clock.now(),
                epoch=0,
                attempts=0,
            )
            .on_conflict_do_nothing(index_elements=["tenant", "kind", "key"])
        )
        return result.rowcount == 1

    async def claim(self, owner: str, *, kinds: Sequence[str] = ()) -> Job | None:
        """Lease the job that has been due longest, or return `None`.

        Args:
            owner: Names the worker, for people.
            kinds: Only these; none: any.
        """
        now = self.clock.now()
        free = [self._open, JobModel.due_at <= now, _is_free(now)]
        if kinds:
            free.append(JobModel.kind.in_(kinds))
        next_one = (
            select(JobModel.id)
            .where(*free, JobModel.attempts < self.patience.max_attempts)
            .order_by(JobModel.due_at, JobModel.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        take = (
            update(JobModel)
            .where(JobModel.tenant == self.tenant, JobModel.id == next_one.scalar_subquery())
            .values(
                owner=owner[:200],
                lease_until=now + self.patience.lease,
                epoch=JobModel.epoch + 1,
                attempts=JobModel.attempts + 1,
            )
            .returning(JobModel.id, JobModel.kind, JobModel.key, JobModel.payload, JobModel.epoch, JobModel.attempts)
        )
        bury = (
            update(JobModel)
            .where(*free, JobModel.attempts >= self.patience.max_attempts)
            .values(finished_at=now, owner=None, lease_until=None, error=func.coalesce(JobModel.error, NEVER_ENDED))
        )
        async with self.transactions.writing() as connection:
            await connection.execute(bury)
            row = (await connection.execute(take)).one_or_none()
        if row is None:
            return None
        return Job(
            id=row.id,
            kind=row.kind,
            key=row.key,
            payload=row.payload,
            owner=owner[:200],
            epoch=row.epoch,
            attempts=row.attempts,
            lease_until=now + self.patience.lease,
        )

    def fence(self, job: Job) -> Fence:
        """Return what makes a write of `Memory` fail with `LeaseLost` once the job is another worker's."""

        async def is_still_ours(connection: AsyncConnection) -> None:
            mine = select(JobModel.id).where(self._mine(job)).with_for_update()
            if (await connection.execute(mine)).one_or_none() is None:
                raise lost(job)

        return is_still_ours

    def settling(self, job: Job) -> Fence:
        """Return a fence that also reports the job done, in the transaction of the write that it guards.

        So the last write of a job and the end of the job are one: a crash can neither lose nor repeat it.
        """

        async def settle(connection: AsyncConnection) -> None:
            await self._settle(connection, job)

        return settle

    async def finish(self, job: Job) -> None:
        """Report a job done; twice is as good as once.

        Raises:
            LeaseLost: it is another worker's by now.
        """
        async with self.transactions.writing() as connection:
            await self._settle(connection, job)

    async def fail(self, job: Job, error: Exception) -> datetime | None:
        """Report a failure, and return when the job is tried again; `None`: it is given up, the error is kept.

        An error that says it is not retryable is not retried.

        Raises:
            LeaseLost: it is another worker's by now.
        """
        now = self.clock.now()
        is_over = job.attempts >= self.patience.max_attempts or (
            isinstance(error, AuroraError) and not error.retryable and not isinstance(error, LeaseLost)
        )
        again = None if is_over else now + self.patience.delay(job.id, job.attempts)
        await self._report(job, error=_told(error), finished_at=now if again is None else None, due_at=again or now)
        return again

    async def extend(self, job: Job) -> bool:
        """Renew the lease from now on; `False`: the job is another worker's. One that is done stays done."""
        async with self.transactions.writing() as connection:
            longer = update(JobModel).where(*self._this(job))
            result = await connection.execute(longer.values(lease_until=self.clock.now() + self.patience.lease))
        return result.rowcount == 1

    async def give_back(self, job: Job) -> None:
        """Put down a job unfinished, as a worker does that is told to stop; the attempt does not count.

        Raises:
            LeaseLost: it is another worker's by now.
        """
        await self._report(job, error=None, finished_at=None, due_at=self.clock.now(), attempts=job.attempts - 1)

    async def dead(self, *, limit: int = 50) -> list[DeadJob]:
        """Return jobs that were given up, the latest first."""
        given_up = (
            select(JobModel.id, JobModel.kind, JobModel.key, JobModel.attempts, JobModel.error, JobModel.finished_at)
            .where(JobModel.tenant == self.tenant, JobModel.finished_at.is_not(None), JobModel.error.is_not(None))
            .order_by(JobModel.finished_at.desc(), JobModel.id)
            .limit(limit)
        )
        async with self.transactions.reading() as connection:
            rows = (await connection.execute(given_up)).all()
        return [DeadJob(**row._mapping) for row in rows]

    async def retry(self, id: UUID) -> None:
        """Try a job again that was given up, as if it were new.

        Raises:
            NotFound: no job of this tenant with that id was given up.
        """
        afresh = (
            update(JobModel)
            .where(JobModel.tenant == self.tenant, JobModel.id == id)
            .where(JobModel.finished_at.is_not(None), JobModel.error.is_not(None))
            .values(finished_at=None, error=None, attempts=0, due_at=self.clock.now())
        )
        async with self.transactions.writing() as connection:
            if (await connection.execute(afresh)).rowcount == 0:
                raise NotFound(f"no job {id} was given up; `dead` lists those that were", job_id=str(id))

    async def enqueue_tidy(self, connection: AsyncConnection) -> bool:
        """Ask for today's `purge`; whoever asks again today asks for nothing."""
        return await self.enqueue(connection, TIDY, self.clock.now().date().isoformat())

    async def purge(self, *, spare: ColumnElement[bool] | None = None, fence: Fence | None = None) -> int:
        """Delete the jobs that ended longer ago than `KEPT`; return how many.

        Args:
            spare: Which of them stay: those by which somebody knows what was asked for already.
            fence: Called first in the transaction.
        """
        old = delete(JobModel).where(JobModel.tenant == self.tenant, JobModel.finished_at < self.clock.now() - KEPT)
        if spare is not None:
            old = old.where(~spare)
        async with self.transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            return (await connection.execute(old)).rowcount

    async def waiting(self) -> int:
        """Return how many jobs are not done, those under way included."""
        async with self.transactions.reading() as connection:
            return int((await connection.execute(select(func.count()).where(self._open))).scalar_one())

    async def _settle(self, connection: AsyncConnection, job: Job) -> None:
        done = update(JobModel).where(self._mine(job))
        result = await connection.execute(done.values(finished_at=self.clock.now(), error=None, lease_until=None))
        if result.rowcount == 1:
            return
        again = select(JobModel.id).where(*self._this(job), JobModel.finished_at.is_not(None))
        if (await connection.execute(again)).one_or_none() is None:
            raise lost(job)

    async def _report(self, job: Job, **values: object) -> None:
        async with self.transactions.writing() as connection:
            told = update(JobModel).where(self._mine(job)).values(owner=None, lease_until=None, **values)
            if (await connection.execute(told)).rowcount == 0:
                raise lost(job)

    @property
    def _open(self) -> ColumnElement[bool]:
        return (JobModel.tenant == self.tenant) & JobModel.finished_at.is_(None)

    def _this(self, job: Job) -> tuple[ColumnElement[bool], ...]:
        return (JobModel.tenant == self.tenant, JobModel.id == job.id, JobModel.epoch == job.epoch)

    def _mine(self, job: Job) -> ColumnElement[bool]:
        """A lease that ran out is still its owner's until somebody else takes it: the epoch tells."""
        return self._open & (JobModel.id == job.id) & (JobModel.epoch == job.epoch) & JobModel.owner.is_not(None)


async def tenants_with_work(transactions: Transactions, *, now: datetime) -> list[str]:
    """Return the tenants that have a job due. The one query of a memory that is bound to no tenant: for a worker.

    The tenant whose job has been due longest is first.
    """
    oldest = func.min(case((_is_free(now), JobModel.due_at)))
    due = (
        select(JobModel.tenant)
        .where(JobModel.finished_at.is_(None), JobModel.due_at <= now)
        .group_by(JobModel.tenant)
        .having(oldest.is_not(None))
        .order_by(oldest, JobModel.tenant)
    )
    async with transactions.reading() as connection:
        return list((await connection.execute(due)).scalars())


def _is_free(now: datetime) -> ColumnElement[bool]:
    return JobModel.lease_until.is_(None) | (JobModel.lease_until <= now)


def lost(job: Job) -> LeaseLost:
    """Return the error that says so."""
    return LeaseLost(f"job {job.id} ({job.kind}) is another worker's now; drop what it made", job_id=str(job.id))


def _told(error: Exception) -> str:
    """Return an error as it may be kept: ours say nothing secret; of others, whose text is anybody's, the type."""
    told = f"{error.code}: {error.message}" if isinstance(error, AuroraError) else type(error).__name__
    return told[:MAX_ERROR]
