"""Values that many alerts name: they must cost little and hide nothing. On both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.ingest.grouping import correlate_batch
from aurora.kernel.ids import BatchId, Uuid7Factory
from aurora.kernel.windows import HUB
from aurora.storage.repositories.correlation import Correlation, Shared, Sharer
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert


class HubContract:
    """Subclass it in one class per database and provide the `storage` fixture."""

    async def test_one_alert_on_a_hub_reads_none_of_those_that_share_it(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        crowd = [alert(7, at=NOON, rule=f"r-{number}") for number in range(12 * HUB)]
        first = await accept(storage, ids, clock, [*crowd, alert(7, at=NOON, rule="r", user="rare")])
        clock.advance(timedelta(hours=1))
        later = alert(7, at=NOON + timedelta(hours=1), rule="later", user="rare")
        second = await accept(storage, ids, clock, [later], name="later")

        async with storage.writing() as transaction:
            counting = _Counting(transaction.connection, transaction.tenant)
            await correlate_batch(counting, second.batch.id)
            groups = await _groups(storage, first.records()), await _groups(storage, second.records())

        assert counting.read == 2, "the alert and the one other that names its user"
        assert groups[1] == [groups[0][-1]]

    async def test_a_value_that_is_a_hub_on_one_day_still_links_on_another(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        busy = [alert(7, at=NOON, rule=f"busy-{number}") for number in range(HUB + 5)]
        quiet = [alert(7, at=NOON + timedelta(hours=60 + number), rule=f"quiet-{number}") for number in range(2)]

        accepted = await accept(storage, ids, clock, [*busy, *quiet])

        groups = await _groups(storage, accepted.records())
        assert groups[-1] == groups[-2]
        assert len(set(groups)) == len(busy) + 1

    async def test_exactly_as_many_as_a_hub_may_have_are_linked(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        at_limit = [alert(1, at=NOON, rule=f"r-{number}") for number in range(HUB)]
        beyond = [alert(2, at=NOON, rule=f"r-{number}") for number in range(HUB + 1)]

        accepted = await accept(storage, ids, clock, [*at_limit, *beyond])

        assert len(set(await _groups(storage, accepted.records()))) == 1 + len(beyond)


class TestHubsOnSqlite(HubContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestHubsOnPostgres(HubContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)


class _Counting(Correlation):
    """Counts the alerts that are read, and writes no relations: they were written before."""

    read = 0

    async def sharers(
        self, values: Sequence[Shared], batch: BatchId, *, since: datetime, until: datetime
    ) -> AsyncIterator[list[Sharer]]:
        async for sharers in super().sharers(values, batch, since=since, until=until):
            self.read += len(sharers)
            yield sharers

    async def relate(self, rows: object) -> None:
        pass


async def _groups(storage: Storage, records: object) -> list[object]:
    async with storage.reading() as transaction:
        return [(await transaction.alerts.load(alert_id)).group_id for _, alert_id, _ in records]
