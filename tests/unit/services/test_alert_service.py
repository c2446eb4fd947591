"""The alert service without a database: the form of the founding contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from aurora.dispatch.messages import Stream
from aurora.ingest.book import MemoryBook, incoming
from aurora.kernel.errors import RecordRejected
from aurora.kernel.ids import Uuid7Factory
from aurora.services.alert_service import AlertService
from aurora.testing import ManualClock, MemoryPublisher


async def test_create_alert_publishes_it_once(mock_redis: Any, sample_alert_data: dict[str, Any]) -> None:
    service = AlertService(publisher=mock_redis)

    created = [await service.create_alert(sample_alert_data) for _ in range(2)]

    mock_redis.publish_alert.assert_awaited_once()
    assert [str(each.id) for each in created] == [sample_alert_data["id"]] * 2
    assert [each.value for each in created[0].observables] == sample_alert_data["iocs"]


async def test_no_text_of_the_alert_is_published(mock_redis: Any, sample_alert_data: dict[str, Any]) -> None:
    await AlertService(publisher=mock_redis).create_alert(sample_alert_data)

    (message,) = mock_redis.publish_alert.await_args.args
    assert set(message) == {"alert_id", "tenant", "severity"}


async def test_without_an_id_equal_content_is_one_alert_with_an_id_of_ours(
    sample_alert_data: dict[str, Any], clock: ManualClock, ids: Uuid7Factory
) -> None:
    publisher = MemoryPublisher()
    service = AlertService(publisher=publisher, clock=clock, ids=ids)
    del sample_alert_data["id"]

    first, second = [await service.create_alert(sample_alert_data) for _ in range(2)]

    assert first.id == second.id
    assert UUID(str(first.id)).version == 7
    assert len(publisher.published(Stream.ALERTS)) == 1


@pytest.mark.parametrize("wrong", ["7", 7, ["0198c0de-0000-7000-8000-000000000001"], "not a uuid", {"a": 1}])
async def test_an_id_that_is_no_uuid_is_refused(sample_alert_data: dict[str, Any], wrong: object) -> None:
    publisher = MemoryPublisher()

    with pytest.raises(RecordRejected, match="id must be a UUID") as refused:
        await AlertService(publisher=publisher).create_alert({**sample_alert_data, "id": wrong})

    assert refused.value.field == "id"
    assert publisher.published(Stream.ALERTS) == []


@pytest.mark.parametrize("wrong", [object(), 1 << 70, "\udfff"])
async def test_what_json_cannot_say_is_refused(sample_alert_data: dict[str, Any], wrong: object) -> None:
    with pytest.raises(RecordRejected, match="cannot be written as JSON"):
        await AlertService(publisher=MemoryPublisher()).create_alert({**sample_alert_data, "description": wrong})


async def test_memory_is_bounded_and_forgets_the_oldest_first(
    sample_alert_data: dict[str, Any], clock: ManualClock, ids: Uuid7Factory
) -> None:
    book = MemoryBook(clock=clock, window=timedelta(hours=24), most=3)
    data = [{**sample_alert_data, "id": str(UUID(int=n)), "title": f"alert {n}"} for n in range(1, 9)]
    for each in data:
        await book.announced((await book.enter(incoming(each, ids=ids))).alert.id)

    newest = await book.enter(incoming(data[-1], ids=ids))
    oldest = await book.enter(incoming(data[0], ids=ids))

    assert (newest.is_announced, oldest.is_announced) == (True, False)
    assert len(book._entered) == len(book._by_key) == len(book._open) == 3
