"""Folding on both databases: one alert remains, with everything that was said of both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.ids import AlertId, Uuid7Factory, VerdictId
from aurora.kernel.models import AlertStatus, Decider, Verdict, VerdictLabel
from aurora.services.folding import Folded, fold_duplicates
from aurora.storage.models import AlertEntityModel, AlertRecordModel
from aurora.storage.triage import Conclusion, conclude
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert, claim

APART = [NOON - timedelta(hours=40), NOON]
BETWEEN = NOON - timedelta(hours=20)


async def _accepted(storage: Storage, clock: ManualClock, ids: Uuid7Factory, *, host: int = 1) -> list[AlertId]:
    """Return the ids of two alerts that a late third record has made one, the earlier first."""
    first = await accept(storage, ids, clock, [alert(host, at=at) for at in APART], name=f"first {host}")
    await accept(storage, ids, clock, [alert(host, at=BETWEEN)], name=f"late {host}")
    return [alert_id for _, alert_id, _ in first.records()]


async def _judge(storage: Storage, clock: ManualClock, ids: Uuid7Factory, alert_id: AlertId) -> None:
    async with storage.writing() as transaction:
        stored = await transaction.alerts.load(alert_id)
        verdict = Verdict(
            id=VerdictId(ids()),
            alert_id=alert_id,
            label=VerdictLabel.SUSPICIOUS,
            confidence=0.9,
            decided_by=Decider.ANALYST,
            created_at=clock.now(),
        )
        await conclude(transaction, [Conclusion(stored, verdict, (), AlertStatus.TRIAGED)], now=clock.now())


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
            joinable = await transaction.intake.open_alerts([stored.dedup_hash])
        assert [each.id for each in joinable[stored.dedup_hash]] == [kept]
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

        tasks = await claim(storage, clock, alerts=[kept, folded])
        async with storage.reading() as transaction:
            states = await transaction.tasks.by_state()
            named = select(func.count()).where(AlertEntityModel.alert_id == folded)
            assert await transaction.connection.scalar(named) == 0
        assert [task.alert_id for task in tasks] == [kept]
        assert states == {"running": 1, "cancelled": 1}

    async def test_an_alert_whose_triage_has_begun_stays_an_alert_of_its_own(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        kept, other = await _accepted(storage, clock, ids)
        (task,) = await claim(storage, clock, alerts=[other])

        result = await fold_duplicates(storage, clock=clock)

        assert result == Folded(folded=0, left=1)
        async with storage.writing() as transaction:
            assert await transaction.tasks.hold([task]) == {task.id}
        async with storage.reading() as transaction:
            assert {each.alert["id"] for each in await transaction.alerts.listed()} == {kept, other}

    async def test_the_alert_that_was_judged_remains_even_if_it_is_the_later(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        earlier, judged = await _accepted(storage, clock, ids)
        await _judge(storage, clock, ids, judged)

        result = await fold_duplicates(storage, clock=clock)

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(judged)
            (outcome,) = await transaction.alerts.outcomes([earlier])
        assert result == Folded(folded=1, left=0)
        assert (outcome.duplicate_of, stored.count, stored.first_seen) == (judged, 3, APART[0])

    async def test_two_that_were_judged_stay_two(self, storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> None:
        for each in await _accepted(storage, clock, ids):
            await _judge(storage, clock, ids, each)

        assert await fold_duplicates(storage, clock=clock) == Folded(folded=0, left=1)

    async def test_the_raw_text_of_what_was_folded_is_kept_with_its_record(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        _, folded = await _accepted(storage, clock, ids)
        async with storage.reading() as transaction:
            raw = (await transaction.alerts.load(folded)).raw

        await fold_duplicates(storage, clock=clock)

        async with storage.reading() as transaction:
            query = select(AlertRecordModel.raw).where(AlertRecordModel.id == folded)
            assert (await transaction.connection.scalar(query)).decode() == raw
        assert APART[1].isoformat() in raw

    async def test_a_worker_that_races_for_the_task_wins_it_or_finds_it_cancelled(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        pairs = [await _accepted(storage, clock, ids, host=host) for host in range(5)]
        later = [pair[1] for pair in pairs]

        tasks, result = await asyncio.gather(claim(storage, clock, alerts=later), fold_duplicates(storage, clock=clock))

        assert len(tasks) + result.folded == 5
        async with storage.writing() as transaction:
            assert await transaction.tasks.hold(tasks) == {task.id for task in tasks}
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
