"""The publisher in memory does what the one on a server does, and has its spec."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from aurora.dispatch.brokers.redis import RedisPublisher
from aurora.dispatch.messages import Stream
from aurora.kernel.errors import BrokerUnavailable
from aurora.testing import MemoryPublisher
from tests.contract.publisher.clauses import METHODS, PublisherContract, Read


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


@pytest.fixture
def read(publisher: MemoryPublisher) -> Read:
    async def read(stream: Stream) -> list[Any]:
        return publisher.published(stream)

    return read


class TestMemoryPublisher(PublisherContract):
    pass


def test_no_clause_went_missing() -> None:
    assert sum(name.startswith("test_") for name in dir(PublisherContract)) == PublisherContract.clauses


def test_the_publisher_on_redis_has_exactly_the_four_methods_and_the_fake_their_signatures() -> None:
    public = {name for name, _ in inspect.getmembers(RedisPublisher, callable) if not name.startswith("_")}

    assert public == set(METHODS.values())
    for name in public:
        real = getattr(RedisPublisher, name)
        assert inspect.iscoroutinefunction(real)
        assert inspect.signature(getattr(MemoryPublisher, name)) == inspect.signature(real)


async def test_a_failure_that_a_test_sets_is_raised_and_nothing_is_kept(publisher: MemoryPublisher) -> None:
    publisher.failure = BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        await publisher.publish_alert({"id": 1})

    publisher.failure = None

    assert await publisher.publish_alert({"id": 1}) is True


class TestTheMockOfTheFoundingContract:
    async def test_it_records_calls_and_knows_a_repeated_content(self, mock_redis: Any) -> None:
        assert [await mock_redis.publish_alert({"id": 1}) for _ in range(2)] == [True, False]
        mock_redis.publish_alert.assert_awaited_with({"id": 1})
        mock_redis.publish_audit.assert_not_called()

    async def test_it_refuses_what_the_real_publisher_does_not_have(self, mock_redis: Any) -> None:
        with pytest.raises(AttributeError):
            await mock_redis.publish_everything({})
        with pytest.raises(TypeError):
            await mock_redis.publish_alert("too", "many")
