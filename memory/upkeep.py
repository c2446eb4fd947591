"""What a memory needs now and then: idle threads made episodes, repeated facts knowledge; the old put away; vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import Table, select, union

from memory.consolidation import Consolidation
from memory.forgetting import KIND, Forgetting, RetentionPolicy
from memory.jobs import TIDY, Job, Jobs
from memory.models import HeadModel, JobModel, ThreadModel
from memory.reembedding import reembed
from memory.worker import drain

if TYPE_CHECKING:
    from aurora.kernel.ids import IdFactory
    from memory.memory import Memory
    from memory.ports import Transactions

_OF_TENANTS = [cast("Table", model.__table__) for model in (HeadModel, ThreadModel, JobModel)]
_BATCHES = 20
"""Of 256 vectors that one round makes for a tenant."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What one round did."""

    tenants: int
    jobs: int
    vectors: int


class Upkeep:
    """Tends the memories of all tenants, round after round. Any number may: jobs are leased, the rest is idempotent.

    Args:
        transactions: The database that they share.
        memory: Returns the memory of a tenant.
        ids: For jobs.
        owner: Names this process, for people.
        policy: What is let go of, and when.
    """

    def __init__(
        self,
        transactions: Transactions,
        memory: Callable[[str], Memory],
        *,
        ids: IdFactory,
        owner: str,
        policy: RetentionPolicy | None = None,
    ) -> None:
        self._transactions = transactions
        self._memory = memory
        self._ids = ids
        self._owner = owner
        self._policy = policy or RetentionPolicy()
        self._asked: dict[str, datetime] = {}

    async def round(self) -> Tended:
        """Ask for what is due once an hour, do what was asked for, and make vectors that are missing.

        Raises:
            AuroraError: the database or the embedder refused; the next round goes on.
        """
        # Whoever has only threads has no chain of events yet.
        known = union(*(select(table.c.tenant) for table in _OF_TENANTS)).order_by("tenant")
        async with self._transactions.reading() as connection:
            tenants = list((await connection.execute(known)).scalars())
        jobs = vectors = 0
        for tenant in tenants:
            memory = self._memory(tenant)
            jobs += await self._jobs(memory)
            vectors += (await reembed(memory, batches=_BATCHES)).done
        return Tended(len(tenants), jobs, vectors)

    async def _jobs(self, memory: Memory) -> int:
        queue = Jobs(memory.transactions, memory.tenant, memory.clock, self._ids)
        consolidation, forgetting = Consolidation(memory, queue), Forgetting(memory, self._policy)
        hour = memory.clock.now().replace(minute=0, second=0, microsecond=0)
        if self._asked.get(memory.tenant) != hour:
            await consolidation.enqueue_idle()
            async with memory.transactions.writing() as connection:
                await consolidation.enqueue_facts(connection)
                await queue.enqueue_tidy(connection)
            await forgetting.enqueue(queue)
            self._asked[memory.tenant] = hour

        async def tidy(job: Job) -> None:
            await queue.purge(spare=consolidation.bookmarks, fence=queue.fence(job))

        handlers = {**consolidation.handlers(), KIND: forgetting.handler(queue), TIDY: tidy}
        return await drain(queue, handlers, owner=self._owner)
