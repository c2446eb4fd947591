"""What a verdict is worth after retries and set-back clocks, and which faults pass, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import AlertId, RunId, Uuid7Factory, VerdictId
from aurora.kernel.models import Decider, Verdict, VerdictLabel
from aurora.storage.faults import told_plainly
from aurora.storage.triage import Conclusion, StoredTriage, conclude
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, accepted_alerts, alert


class ConclusionsContract:
    """Run by one class per database, which provides the `storage` fixture."""

    async def test_a_run_given_up_after_its_verdict_opens_no_case_for_a_benign_alert(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """The verdict was written, the step after it failed until the task was given up: what stands, stands."""
        (alert_id,) = await accepted_alerts(storage, ids, clock, count=1)
        run_id = RunId(ids())
        await _conclude(storage, ids, clock, alert_id, VerdictLabel.BENIGN, run_id=run_id)

        await _conclude(storage, ids, clock, alert_id, VerdictLabel.NEEDS_REVIEW, run_id=run_id)

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(alert_id)
            history = await transaction.verdicts.history(alert_id)
        assert [each["label"] for each in history] == ["benign"]
        assert stored.case_id is None

    async def test_a_clock_that_is_set_back_shows_no_verdict_of_the_own_batch(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        accepted = await accept(storage, ids, clock, [alert(at=NOON), alert(at=NOON + timedelta(days=2))])
        one, two = (alert_id for _, alert_id, _ in accepted.records())
        clock.advance(timedelta(hours=-1))
        await _conclude(storage, ids, clock, one, VerdictLabel.MALICIOUS, run_id=RunId(ids()))

        found = await StoredTriage(storage, clock=clock).past_verdicts(two)

        assert list(found) == []


class TestOnSqlite(ConclusionsContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOnPostgres(ConclusionsContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)

    async def test_a_connection_that_the_server_ends_may_be_tried_again(self, storage: Storage) -> None:
        """An administrator ends the session, as a restart does: SQLAlchemy makes a bare `DBAPIError` of it."""

        async def ended() -> None:
            async with storage.writing() as transaction:
                pid = await transaction.connection.scalar(text("SELECT pg_backend_pid()"))
                async with storage.writing() as other:
                    await other.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                await transaction.connection.execute(text("SELECT pg_sleep(5)"))

        with pytest.raises(StorageUnavailable):
            await ended()
        async with storage.reading() as transaction:
            assert await transaction.connection.scalar(text("SELECT 1")) == 1


class _Refused(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.parametrize("sqlstate", ["08006", "08003", "40P01", "40001", "53300", "57P01", "57P03", "55P03"])
def test_a_passing_fault_of_the_server_may_be_tried_again(sqlstate: str) -> None:
    with pytest.raises(StorageUnavailable) as caught, told_plainly():
        raise DBAPIError("UPDATE tasks", None, _Refused(sqlstate))

    assert caught.value.retryable
    assert "UPDATE" not in caught.value.message


@pytest.mark.parametrize("sqlstate", ["22001", "42P01", "23505"])
def test_a_fault_of_ours_is_not_tried_again(sqlstate: str) -> None:
    with pytest.raises(DBAPIError), told_plainly():
        raise IntegrityError("INSERT", None, _Refused(sqlstate))


def test_a_pool_that_has_no_connection_left_may_be_tried_again() -> None:
    with pytest.raises(StorageUnavailable), told_plainly():
        raise PoolTimeout("QueuePool limit reached")


async def _conclude(
    storage: Storage, ids: Uuid7Factory, clock: ManualClock, alert_id: AlertId, label: VerdictLabel, *, run_id: RunId
) -> None:
    async with storage.writing() as transaction:
        stored = await transaction.alerts.load(alert_id)
        verdict = Verdict(
            id=VerdictId(ids()),
            alert_id=alert_id,
            run_id=run_id,
            label=label,
            confidence=0.9,
            decided_by=Decider.RULES,
            created_at=clock.now(),
        )
        await conclude(transaction, [Conclusion(stored, verdict, ())], now=clock.now())
