"""Acceptance when two commands accept at once, and when a record holds what a column might not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.ingest.accepted import Accepted
from aurora.kernel.ids import Uuid7Factory
from aurora.storage.models import AlertModel, AlertRecordModel, AlertRelationModel, BatchModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert


class RacingContract:
    """Run by one class per database, which provides the `storage` fixture."""

    async def test_the_same_input_twice_at_once_is_accepted_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """Enough for several transactions each; pairs of alerts share a user, so the batch has relations to write."""
        documents = [alert(number, user=f"user-{number % 1100}", at=NOON) for number in range(2200)]

        one, other = await asyncio.gather(*(accept(storage, ids, clock, documents) for _ in range(2)))

        assert list(one.records()) == list(other.records())
        async with storage.reading() as transaction:
            counts = [
                await transaction.connection.scalar(select(func.count()).select_from(model))
                for model in (AlertModel, AlertRecordModel, AlertRelationModel, BatchModel)
            ]
        assert counts == [2200, 2200, 2200, 1]

    async def test_inputs_with_one_fingerprint_at_once_make_one_alert_that_counts_both(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        inputs = [
            [alert(7, at=NOON + timedelta(seconds=2 * number + offset)) for number in range(50)] for offset in range(2)
        ]

        one, other = await asyncio.gather(
            *(accept(storage, ids, clock, documents, name=str(name)) for name, documents in enumerate(inputs))
        )

        alerts = {alert_id for accepted in (one, other) for _, alert_id, _ in accepted.records()}
        assert len(alerts) == 1
        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(alerts.pop())
        assert stored.count == 100

    @pytest.mark.parametrize("field", ["title", "rule", "source", "product"])
    async def test_a_long_value_spoils_no_batch(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory, field: str
    ) -> None:
        """PostgreSQL refuses what a column is too short for, and with it every other record of the command."""
        accepted = await accept(storage, ids, clock, [alert(1, **{field: "x" * 490})])

        assert await _loaded(storage, accepted)

    @pytest.mark.parametrize("field", ["title", "rule", "source", "product"])
    async def test_a_value_of_nul_characters_spoils_no_batch(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory, field: str
    ) -> None:
        """Made visible they must not grow: what is longer than the model allows can never be loaded again."""
        accepted = await accept(storage, ids, clock, [alert(1, **{field: "x" + "\0" * 480})])

        assert await _loaded(storage, accepted)


async def _loaded(storage: Storage, accepted: Accepted) -> bool:
    (record,) = accepted.records()
    async with storage.reading() as transaction:
        return (await transaction.alerts.load(record[1])).alert.id == record[1]


class TestOnSqlite(RacingContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOnPostgres(RacingContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)
