"""Folding on both databases: one alert remains, with everything that was said of both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.kernel.models import TaskState
from aurora.services.folding import Folded, fold_duplicates
from aurora.storage.models import AlertEntityModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert

APART = [NOON - timedelta(hours=40), NOON]
BETWEEN = NOON - timedelta(hours=20)


async def _accepted(storage: Storage, clock: ManualClock, ids: Uuid7Factory, *, host: int = 1) -> list[AlertId]:
    """Return the ids of two alerts that a late third record has made one, the earlier first."""
    first = await accept(storage, ids, clock, [alert(host, at=at) for at in APART], name=f"first {host}")
    await accept(storage, ids, clock, [alert(host, at=BETWEEN)], name=f"late {host}")
    return [alert_id for _, alert_id, _ in first.records()]


async def _claim(storage: Storage, clock: ManualClock, alerts: list[AlertId]) -> list:
    async with storage.writing() as transaction:
        return await transaction.tasks.claim(
            owner="w", now=clock.now(), lease_until=clock.now() + timedelta(seconds=10), alerts=alerts, limit=9
        )


class FoldingContract:
    """Run by one class per database, which provides the `storage` fixture."""

    async def test_the_earlier_alert_has_all_records_counts_and_times(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        kept, folded = await _accepted(storage, clock, ids)

        result = await fold_duplicates(storage, clock=clock)

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(kept)
            listed = await transaction.alerts.listed()
            occurrences = await transaction.alerts.occurrences(kept, limit=9)
            (outcome,) = await transaction.alerts.outcomes([folded])
            resolved = await transaction.alerts.resolve(str(folded))
        assert result == Folded(folded=1, left=0)
        assert (stored.count, stored.first_seen, stored.last_seen) == (3, *APART)
        assert [each.alert["id"] for each in listed] == [kept]
        assert len(occurrences) == 3
        assert (outcome.duplicate_of, resolved) == (kept, kept)

    async def test_a_later_occurrence_joins_the_alert_that_remained(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        kept, _ = await _accepted(storage, clock, ids)
        await fold_duplicates(storage, clock=clock)

        later = await accept(storage, ids, clock, [alert(1, at=NOON + timedelta(hours=1))], name="later")

        assert [alert_id for _, alert_id, _ in later.records()] == [kept]

    async def test_its_task_is_cancelled_and_it_corroborates_nothing(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        kept, folded = await _accepted(storage, clock, ids)

        await fold_duplicates(storage, clock=clock)

        tasks = await _claim(storage, clock, [kept, folded])
        async with storage.reading() as transaction:
            states = await transaction.tasks.by_state()
            named = select(func.count()).where(AlertEntityModel.alert_id == folded)
            assert await transaction.connection.scalar(named) == 0
        assert [task.alert_id for task in tasks] == [kept]
        assert states == {"running": 1, "cancelled": 1}

    async def test_what_is_being_triaged_stays_and_the_other_becomes_its_duplicate_or_neither_does(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        kept, other = await _accepted(storage, clock, ids)
        (task,) = await _claim(storage, clock, [other])

        result = await fold_duplicates(storage, clock=clock)

        assert result == Folded(folded=0, left=1)
        async with storage.writing() as transaction:
            assert await transaction.tasks.succeeded([task], now=clock.now()) == {task.id}
        async with storage.reading() as transaction:
            assert {each.alert["id"] for each in await transaction.alerts.listed()} == {kept, other}

    async def test_a_worker_that_races_for_the_task_wins_it_or_finds_it_cancelled(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        pairs = [await _accepted(storage, clock, ids, host=host) for host in range(5)]
        later = [pair[1] for pair in pairs]

        tasks, result = await asyncio.gather(_claim(storage, clock, later), fold_duplicates(storage, clock=clock))

        assert len(tasks) + result.folded == 5
        async with storage.writing() as transaction:
            for task in tasks:
                await transaction.tasks.settle(task, TaskState.SUCCEEDED, now=clock.now())
        assert {task.alert_id for task in tasks} <= set(later)

    async def test_alerts_whose_windows_do_not_meet_stay_apart(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await accept(storage, ids, clock, [alert(1, at=at) for at in APART])

        assert await fold_duplicates(storage, clock=clock) == Folded(0, 0)

    async def test_two_sweeps_at_once_fold_once(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        kept, _ = await _accepted(storage, clock, ids)

        results = await asyncio.gather(*(fold_duplicates(storage, clock=clock) for _ in range(3)))

        assert sum(each.folded for each in results) == 1
        async with storage.reading() as transaction:
            assert (await transaction.alerts.load(kept)).count == 3

    async def test_another_tenant_is_not_touched(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        await _accepted(storage, clock, ids)

        assert await fold_duplicates(Storage(storage.engine, tenant="south"), clock=clock) == Folded(0, 0)


class TestOnSqlite(FoldingContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOnPostgres(FoldingContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)
