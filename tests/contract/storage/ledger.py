"""What every database must do for the ledger. The clauses race."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar

import pytest

from aurora.kernel.errors import LeaseLost
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import Task, TaskState
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts

LEASE = timedelta(seconds=10)


class LedgerContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 8
    """How many there are, so that a file that collects fewer is noticed."""

    async def test_a_task_is_claimed_by_one_worker_only(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """Twenty workers race for ten tasks, one each: every task is handed out exactly once."""
        alerts = await accepted_alerts(storage, ids, clock, count=10)

        claims = await asyncio.gather(*(_claim(storage, clock, alerts, owner=f"w{n}", limit=1) for n in range(20)))

        claimed = [task.alert_id for tasks in claims for task in tasks]
        assert len(claimed) == len(set(claimed))
        rest = await _claim(storage, clock, alerts, owner="rest", limit=20)
        assert sorted([*claimed, *(task.alert_id for task in rest)]) == sorted(alerts), "a task was lost"

    async def test_every_claim_raises_the_epoch(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        alerts = await accepted_alerts(storage, ids, clock, count=1)

        epochs = []
        for _ in range(3):
            (task,) = await _claim(storage, clock, alerts)
            epochs.append(task.epoch)
            clock.advance(LEASE * 2)

        assert epochs == [1, 2, 3]

    async def test_a_held_task_is_not_claimed_before_its_lease_ends(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        alerts = await accepted_alerts(storage, ids, clock, count=1)
        (first,) = await _claim(storage, clock, alerts, owner="first")

        clock.advance(LEASE - timedelta(seconds=1))
        early = await _claim(storage, clock, alerts, owner="second")
        clock.advance(timedelta(seconds=2))
        late = await _claim(storage, clock, alerts, owner="second")

        assert early == []
        assert [task.id for task in late] == [first.id]

    async def test_a_renewed_lease_holds(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        alerts = await accepted_alerts(storage, ids, clock, count=1)
        held = await _claim(storage, clock, alerts, owner="first")

        clock.advance(LEASE - timedelta(seconds=1))
        async with storage.writing() as transaction:
            kept = await transaction.tasks.extend(held, lease_until=clock.now() + LEASE)
        clock.advance(LEASE - timedelta(seconds=1))

        assert kept == {held[0].id}
        assert await _claim(storage, clock, alerts, owner="second") == []

    async def test_a_lost_lease_neither_holds_nor_settles(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        alerts = await accepted_alerts(storage, ids, clock, count=1)
        (old,) = await _claim(storage, clock, alerts, owner="old")
        clock.advance(LEASE * 2)
        (new,) = await _claim(storage, clock, alerts, owner="new")

        async with storage.writing() as transaction:
            await transaction.tasks.succeeded([old], now=clock.now())
            assert await transaction.tasks.extend([old], lease_until=clock.now() + LEASE) == set()
        with pytest.raises(LeaseLost):
            async with storage.writing() as transaction:
                await transaction.tasks.settle(old, TaskState.FAILED, now=clock.now())

        async with storage.writing() as transaction:
            assert await transaction.tasks.hold([old, new]) == {new.id}
            assert await transaction.tasks.by_state() == {"running": 1}

    async def test_a_holder_keeps_others_from_claiming_until_it_commits(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """The lease runs out while its holder writes: the fence locks the row, so the claim comes after the commit."""
        alerts = await accepted_alerts(storage, ids, clock, count=1)
        (task,) = await _claim(storage, clock, alerts, owner="old")
        clock.advance(LEASE * 2)
        order = []

        async def write() -> None:
            async with storage.writing() as transaction:
                assert await transaction.tasks.hold([task]) == {task.id}
                holding.set()
                for _ in range(50):
                    await asyncio.sleep(0)
                order.append("written")

        async def claim() -> None:
            await holding.wait()
            while not await _claim(storage, clock, alerts, owner="new"):  # noqa: ASYNC110 - no event tells of a commit
                await asyncio.sleep(0)
            order.append("claimed")

        holding = asyncio.Event()
        await asyncio.gather(write(), claim())

        assert order == ["written", "claimed"]

    async def test_what_a_dead_owner_held_is_handed_back(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        alerts = await accepted_alerts(storage, ids, clock, count=3)
        await _claim(storage, clock, alerts[:2], owner="dead")
        await _claim(storage, clock, alerts[2:], owner="alive")

        async with storage.writing() as transaction:
            released = await transaction.tasks.release("dead")

        assert released == 2
        assert len(await _claim(storage, clock, alerts, owner="next")) == 2

    async def test_the_most_urgent_task_comes_first(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        low = await accepted_alerts(storage, ids, clock, count=2, severity="low")
        critical = await accepted_alerts(storage, ids, clock, count=1, severity="critical")

        claimed = await _claim(storage, clock, [*low, *critical], limit=2)

        assert [task.alert_id for task in claimed] == [critical[0], low[0]]


async def _claim(
    storage: Storage, clock: ManualClock, alerts: list[AlertId], *, owner: str = "worker", limit: int = 64
) -> list[Task]:
    async with storage.writing() as transaction:
        return await transaction.tasks.claim(
            owner=owner, now=clock.now(), lease_until=clock.now() + LEASE, alerts=alerts, limit=limit
        )
