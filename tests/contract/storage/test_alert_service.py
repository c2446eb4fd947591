"""Creating single alerts on both databases: entered as acceptance would, announced once, never lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.dispatch.messages import Stream
from aurora.kernel.errors import BrokerUnavailable, Conflict, RecordRejected
from aurora.kernel.ids import Uuid7Factory
from aurora.services.alert_service import AlertService
from aurora.storage.models import AlertModel, AlertRecordModel, BatchModel, TaskModel
from aurora.storage.triage import StoredTriage
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock, MemoryPublisher
from tests.conftest import NOON
from tests.contract.storage.rows import accept, alert


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


@pytest.fixture
def service(storage: Storage, publisher: MemoryPublisher, clock: ManualClock, ids: Uuid7Factory) -> AlertService:
    return AlertService(publisher=publisher, storage=storage, clock=clock, ids=ids)


async def _rows(storage: Storage) -> list[int]:
    async with storage.reading() as transaction:
        return [
            await transaction.connection.scalar(select(func.count()).select_from(model))
            for model in (AlertModel, AlertRecordModel, TaskModel, BatchModel)
        ]


class CreationContract:
    """Run by one class per database, which provides the `storage` fixture."""

    async def test_an_alert_is_stored_with_its_task_and_announced_once(
        self, service: AlertService, storage: Storage, publisher: MemoryPublisher, sample_alert_data: dict[str, Any]
    ) -> None:
        created = await service.create_alert(sample_alert_data)

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(created.id)
            states = await transaction.tasks.by_state()
        assert str(created.id) == sample_alert_data["id"]
        assert stored.alert == created
        assert (stored.alert.title, stored.alert.mitre_techniques) == (sample_alert_data["title"], ("T1071.004",))
        assert states == {"queued": 1}
        assert publisher.published(Stream.ALERTS) == [
            {"alert_id": sample_alert_data["id"], "tenant": "default", "severity": "critical"}
        ]

    async def test_the_same_id_again_changes_nothing(
        self, service: AlertService, storage: Storage, mock_redis: Any, sample_alert_data: dict[str, Any]
    ) -> None:
        service = AlertService(publisher=mock_redis, storage=storage)
        first = await service.create_alert(sample_alert_data)

        second = await service.create_alert({**sample_alert_data, "description": "told in other words"})

        assert second == first
        assert await _rows(storage) == [1, 1, 1, 1]
        mock_redis.publish_alert.assert_awaited_once()

    async def test_the_same_id_twenty_times_at_once_is_one_alert_and_one_message(
        self, service: AlertService, storage: Storage, publisher: MemoryPublisher, sample_alert_data: dict[str, Any]
    ) -> None:
        created = await asyncio.gather(*(service.create_alert(sample_alert_data) for _ in range(20)))

        assert len({each.id for each in created}) == 1
        assert await _rows(storage) == [1, 1, 1, 1]
        assert len(publisher.published(Stream.ALERTS)) == 1

    async def test_a_publisher_that_fails_loses_no_alert_and_the_next_call_announces_it(
        self, service: AlertService, storage: Storage, publisher: MemoryPublisher, sample_alert_data: dict[str, Any]
    ) -> None:
        publisher.failure = BrokerUnavailable("away")
        created = await service.create_alert(sample_alert_data)
        kept = await _rows(storage)

        publisher.failure = None
        again = await service.create_alert(sample_alert_data)

        assert (kept, again) == ([1, 1, 1, 1], created)
        assert len(publisher.published(Stream.ALERTS)) == 1

    async def test_it_is_stored_before_it_is_announced(
        self, storage: Storage, clock: ManualClock, sample_alert_data: dict[str, Any]
    ) -> None:
        seen: list[str] = []

        class Reader(MemoryPublisher):
            async def publish_alert(self, message: Any) -> bool:
                async with storage.reading() as transaction:
                    seen.append(str((await transaction.alerts.load(UUID(message["alert_id"]))).alert.id))
                return True

        await AlertService(publisher=Reader(), storage=storage, clock=clock).create_alert(sample_alert_data)

        assert seen == [sample_alert_data["id"]]

    async def test_another_alert_of_the_same_kind_joins_the_open_one_unannounced(
        self,
        service: AlertService,
        storage: Storage,
        publisher: MemoryPublisher,
        clock: ManualClock,
        sample_alert_data: dict[str, Any],
    ) -> None:
        first = await service.create_alert(sample_alert_data)
        clock.advance(timedelta(hours=1))

        again = await service.create_alert({**sample_alert_data, "id": "0198c0de-0000-7000-8000-0000000000ff"})

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(first.id)
        assert again.id == first.id
        assert (stored.count, stored.last_seen) == (2, NOON + timedelta(hours=1))
        assert len(publisher.published(Stream.ALERTS)) == 1

    async def test_it_joins_what_was_read_from_a_file_and_is_related_to_it(
        self, service: AlertService, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        read = await accept(storage, ids, clock, [alert(1, at=NOON)])
        (_, from_file, _), *_ = read.records()

        joined = await service.create_alert(alert(1, at=NOON + timedelta(minutes=1)))
        other = await service.create_alert(alert(1, at=NOON, rule="r-2"))

        related = await StoredTriage(storage, clock=clock).related(other.id)
        assert joined.id == from_file
        assert [each.attributes["alerts"] for each in related] == ["1"]

    async def test_the_id_of_an_alert_from_a_file_names_that_alert(
        self, service: AlertService, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        read = await accept(storage, ids, clock, [alert(1, at=NOON)])
        (_, from_file, _), *_ = read.records()

        found = await service.create_alert(alert(2, at=NOON, id=str(from_file)))

        assert found.id == from_file
        assert [each.value for each in found.entities] == ["ws-1"]

    async def test_an_id_of_another_tenant_is_refused_and_tells_nothing_of_it(
        self, service: AlertService, storage: Storage, publisher: MemoryPublisher, sample_alert_data: dict[str, Any]
    ) -> None:
        await service.create_alert(sample_alert_data)
        south = AlertService(publisher=publisher, storage=Storage(storage.engine, tenant="south"))

        with pytest.raises(Conflict, match="taken"):
            await south.create_alert({**sample_alert_data, "title": "theirs"})

        assert await _rows(storage) == [1, 1, 1, 1]

    async def test_what_is_no_alert_is_refused_and_leaves_no_trace(
        self, service: AlertService, storage: Storage, publisher: MemoryPublisher, sample_alert_data: dict[str, Any]
    ) -> None:
        with pytest.raises(RecordRejected, match="severity must be one of"):
            await service.create_alert({**sample_alert_data, "severity": "purple"})

        assert await _rows(storage) == [0, 0, 0, 0]
        assert publisher.published(Stream.ALERTS) == []


class TestOnSqlite(CreationContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOnPostgres(CreationContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)
