"""The ledger as a worker sees it: settle what ended, claim the best work there is, keep leases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from aurora.dispatch.fairness import Rounds, Shares
from aurora.dispatch.owner import is_dead
from aurora.kernel.clock import Clock
from aurora.kernel.models.task import Lane, Task
from aurora.kernel.models.work import Beat, Ending, Scope, Turn
from aurora.storage.models.task import HELD
from aurora.storage.repositories.claims import Claim, Claims, Head
from aurora.storage.unit_of_work import Storage

LEASE = timedelta(seconds=10)
"""How long a claim lasts without a heartbeat."""

REMEMBERED = timedelta(seconds=1)
"""How long it is remembered which tenants have work: with a thousand of them the look at all takes 15 ms."""


FEW = 20
"""Workers whose tasks are read, all of them, at every look for dead ones; with more it is done every `SELDOM`."""

SELDOM = timedelta(seconds=15)
"""Between two looks for dead processes of this machine where there are many workers: their leases end before."""


class Ledger:
    """Claims and settles tasks of all tenants, for one worker.

    Args:
        storage: Where the tasks are. Any tenant's: the ledger serves all of them.
        owner: Name of the worker, as `this_owner` makes it.
        clock: Time.
        shares: Weights and caps of tenants.
        lease: How long a claim lasts without a heartbeat.
        publishes: Whether somebody is told how tasks ended: their results are marked for the relay.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        owner: str,
        clock: Clock,
        shares: Shares = Shares(),  # noqa: B008 - frozen
        lease: timedelta = LEASE,
        publishes: bool = False,
    ) -> None:
        self._storage = storage
        self._owner = owner
        self._clock = clock
        self._shares = shares
        self._lease = lease
        self._publishes = publishes
        self._rounds = Rounds(shares)
        self._heads: list[Head] = []
        self._heads_until: datetime | None = None
        self._holders_until: datetime | None = None

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        """Settle what ended and claim up to `limit` tasks, in one transaction; 0 only settles.

        Raises:
            StorageUnavailable: nothing was written.
        """
        if not endings and not (limit and scope.graphs):
            return Turn(frozenset(), ())
        if not endings and not scope.is_given and not await self._is_any_due():
            return Turn(frozenset(), ())
        async with self._storage.writing() as transaction:
            now = self._clock.now()
            settled: frozenset[UUID] = frozenset()
            if endings:
                became = await transaction.claims.settle(endings, owner=self._owner, now=now, publishes=self._publishes)
                settled = frozenset(became)
            claim = Claim(owner=self._owner, now=now, lease_until=now + self._lease, graphs=scope.graphs)
            return Turn(settled, await self._claim(transaction.claims, claim, scope, limit))

    async def beat(self, held: Sequence[Task]) -> Beat:
        """Renew the leases of claims that still stand, and learn which somebody wants to stop.

        Raises:
            StorageUnavailable: no lease was renewed.
        """
        if not held:
            return Beat(frozenset(), frozenset())
        async with self._storage.writing() as transaction:
            kept = await transaction.claims.beat(held, lease_until=self._clock.now() + self._lease)
        return Beat(frozenset(kept), frozenset(id_ for id_, is_unwanted in kept.items() if is_unwanted))

    async def reap(self) -> int:
        """Queue again what nobody holds any more; return how many tasks that were.

        That is what has a lease that ran out, and what processes of this machine held that have ended. The latter are
        looked for less often where there are many workers: that reads all that runs.
        """
        now = self._clock.now()
        holders: Sequence[str] = ()
        async with self._storage.reading() as transaction:
            oldest = await transaction.claims.oldest_lease()
            if oldest is not None and (self._holders_until is None or now >= self._holders_until):
                holders = await transaction.claims.holders()
                self._holders_until = now + SELDOM if len(holders) > FEW else None
        dead = [owner for owner in holders if owner != self._owner and is_dead(owner)]
        if not dead and (oldest is None or oldest >= now):
            return 0
        async with self._storage.writing() as transaction:
            return await transaction.claims.lapse(now=now, dead=dead, publishes=self._publishes)

    async def unsettled(self, scope: Scope) -> int:
        """Return how many of the given tasks are still open: queued, running or waiting."""
        async with self._storage.reading() as transaction:
            return await transaction.claims.unsettled(alerts=scope.alerts, tasks=scope.tasks)

    async def next_at(self) -> datetime | None:
        """Return when the next queued task is due, perhaps long ago; `None` where none is queued. Held ones wait."""
        async with self._storage.reading() as transaction:
            heads = await transaction.claims.heads()
        return min((head.run_at for head in heads if head.run_at < HELD), default=None)

    async def _is_any_due(self) -> bool:
        """Look without the write lock: a worker that has nothing to do must not keep others from writing."""
        now = self._clock.now()
        if self._heads_until is None or now >= self._heads_until or not self._due(now):
            async with self._storage.reading() as transaction:
                await self._look(transaction.claims, now)
        return bool(self._due(now))

    async def _look(self, claims: Claims, now: datetime) -> None:
        self._heads = await claims.heads()
        self._heads_until = now + REMEMBERED

    def _due(self, now: datetime) -> list[Head]:
        return [head for head in self._heads if head.run_at <= now]

    async def _claim(self, claims: Claims, claim: Claim, scope: Scope, limit: int) -> Sequence[Task]:
        if not limit or not claim.graphs:
            return ()
        if scope.is_given:
            return await claims.given(claim, alerts=scope.alerts, tasks=scope.tasks, limit=limit)
        order = self._rounds.order(scope.lanes)
        has_looked = self._heads_until is None or claim.now >= self._heads_until
        if has_looked:
            await self._look(claims, claim.now)
        claimed = await self._claim_due(claims, claim, order, limit)
        if len(claimed) < limit and not has_looked:
            # What is remembered did not fill the places: perhaps somebody has brought work since.
            await self._look(claims, claim.now)
            claimed = [*claimed, *await self._claim_due(claims, claim, order, limit - len(claimed))]
        return claimed

    async def _claim_due(self, claims: Claims, claim: Claim, lanes: Sequence[Lane], limit: int) -> Sequence[Task]:
        due = self._due(claim.now)
        tenants = {head.tenant for head in due}
        if not tenants:
            return ()
        if len(tenants) == 1 and not tenants & self._shares.running.keys():
            (tenant,) = tenants
            priorities = [number for lane in lanes for number in _priorities(lane)]
            return await claims.best(claim, tenant, priorities=priorities, limit=limit)
        return await self._deal(claims, claim, lanes, limit, due)

    async def _deal(
        self, claims: Claims, claim: Claim, lanes: Sequence[Lane], limit: int, due: Sequence[Head]
    ) -> Sequence[Task]:
        """Claim for several tenants, in turns."""
        room = await self._room(claims, {head.tenant for head in due})
        chosen: dict[UUID, None] = {}
        for lane in lanes:
            waiting = {head.tenant for head in due if Lane.of(head.priority) is lane}
            asked: Counter[str] = Counter()
            while waiting and len(chosen) < limit:
                dealt = self._rounds.deal(lane, waiting, limit=limit - len(chosen), room=room)
                if not dealt:
                    break
                asked.update(dealt)
                shares = {tenant: asked[tenant] for tenant in dealt}
                found = await claims.candidates(claim, shares, priorities=_priorities(lane))
                for tenant, ids in found.items():
                    new = [id_ for id_ in ids if id_ not in chosen]  # those from before are still queued
                    chosen.update(dict.fromkeys(new))
                    if tenant in room:
                        room[tenant] -= len(new)
                    if len(ids) < shares[tenant]:
                        waiting.discard(tenant)
                        self._rounds.emptied(lane, tenant)
        return await claims.these(claim, list(chosen)) if chosen else ()

    async def _room(self, claims: Claims, tenants: set[str]) -> dict[str, int]:
        capped = sorted(tenants & self._shares.running.keys())
        if not capped:
            return {}
        running = await claims.running(capped)
        return {tenant: max(0, self._shares.running[tenant] - running.get(tenant, 0)) for tenant in capped}


def _priorities(lane: Lane) -> Sequence[int]:
    """Return the priorities of a lane, the most urgent first."""
    return range(lane.highest, lane.lowest - 1, -1)
