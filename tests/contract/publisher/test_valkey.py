"""The publisher on a real Valkey, and what only a server can do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.brokers.redis import RedisPublisher, open_redis, open_redis_publisher
from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import BrokerError, BrokerUnavailable
from tests.contract.publisher.clauses import PublisherContract, Read

pytestmark = pytest.mark.integration

MARKS = "{aurora:alerts}:seen"


@pytest.fixture
async def publisher(valkey: Any, valkey_url: str) -> AsyncIterator[RedisPublisher]:
    async with open_redis_publisher(valkey_url, within=timedelta(seconds=10)) as publisher:
        yield publisher


@pytest.fixture
def read(valkey: Any) -> Read:
    async def read(stream: Stream) -> list[Any]:
        return [orjson.loads(fields[b"data"]) for _, fields in await valkey.xrange(stream.value)]

    return read


class TestRedisPublisher(PublisherContract):
    pass


async def test_an_entry_carries_the_id_of_its_content(publisher: RedisPublisher, valkey: Any) -> None:
    await publisher.publish_alert({"id": "a1"})

    ((_, fields),) = await valkey.xrange("aurora:alerts")

    assert fields == {b"id": encoded({"id": "a1"}).id.encode(), b"data": b'{"id":"a1"}'}


async def test_a_content_is_known_for_eight_days_and_new_again_after_that(
    publisher: RedisPublisher, valkey: Any
) -> None:
    await publisher.publish_alert({"id": "a1"})
    ((content, known_at),) = await valkey.zrange(MARKS, 0, -1, withscores=True)
    left = await valkey.ttl(MARKS)

    almost = timedelta(days=7, hours=23).total_seconds() * 1000
    await valkey.zadd(MARKS, {content: known_at - almost})
    told = [await publisher.publish_alert({"id": "a1"})]
    await valkey.zadd(MARKS, {content: known_at - timedelta(days=8).total_seconds() * 1000})
    told.append(await publisher.publish_alert({"id": "a1"}))

    assert told == [False, True]
    assert timedelta(days=7, hours=23) < timedelta(seconds=left) <= timedelta(days=8)


async def test_contents_that_are_known_take_no_more_memory_than_the_limit(valkey: Any, valkey_url: str) -> None:
    async with open_redis(valkey_url, clock=SystemClock(), limits=Limits(max_entries=100)) as broker:
        for number in range(300):
            await RedisPublisher(broker).publish_audit({"number": number})
        told = [await RedisPublisher(broker).publish_audit({"number": number}) for number in (299, 0)]

    assert told == [False, True]
    assert await valkey.zcard("{aurora:audit}:seen") == 100


async def test_a_burst_waits_for_a_connection(publisher: RedisPublisher, read: Read) -> None:
    await asyncio.gather(*(publisher.publish_audit({"number": number}) for number in range(500)))

    assert len(await read(Stream.AUDIT)) == 500


async def test_a_connection_that_the_server_closed_is_opened_again(publisher: RedisPublisher, valkey: Any) -> None:
    await publisher.publish_alert({"id": 1})

    await valkey.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert await publisher.publish_alert({"id": 2}) is True


async def test_a_server_that_forgot_the_script_is_told_it_again(publisher: RedisPublisher, valkey: Any) -> None:
    await publisher.publish_alert({"id": 1})

    await valkey.script_flush()

    assert await publisher.publish_alert({"id": 2}) is True


async def test_a_server_without_memory_may_be_tried_again(publisher: RedisPublisher, valkey: Any, read: Read) -> None:
    await valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerUnavailable, match="overloaded") as refused:
            await publisher.publish_alert({"id": 1})
    finally:
        await valkey.config_set("maxmemory", 0)

    assert refused.value.retryable
    assert refused.value.context == {"stream": "aurora:alerts"}
    assert await publisher.publish_alert({"id": 1}) is True
    assert len(await read(Stream.ALERTS)) == 1


async def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(valkey: Any, valkey_url: str) -> None:
    loop = asyncio.get_running_loop()
    await valkey.execute_command("CLIENT", "PAUSE", 3000, "ALL")
    started = loop.time()

    async with open_redis_publisher(valkey_url, within=timedelta(milliseconds=200)) as publisher:
        with pytest.raises(BrokerUnavailable):
            await publisher.publish_alert({"id": 1})

    assert loop.time() - started < 2
    await valkey.execute_command("CLIENT", "UNPAUSE")


async def test_a_server_that_is_not_there_may_be_tried_again(tmp_path: Path) -> None:
    async with open_redis_publisher(f"unix://{tmp_path}/nobody") as publisher:
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await publisher.publish_alert({"id": 1})


async def test_a_key_of_another_kind_is_a_fault_that_no_retry_mends(publisher: RedisPublisher, valkey: Any) -> None:
    await valkey.set("aurora:alerts", "text")

    with pytest.raises(BrokerError, match="WRONGTYPE") as refused:
        await publisher.publish_alert({"id": 1})

    assert not refused.value.retryable
    assert await valkey.exists(MARKS) == 0, "what was not published must not be marked as known"


async def test_a_wrong_password_is_a_fault_that_no_retry_mends_and_is_not_shown(valkey_url: str, valkey: Any) -> None:
    url = valkey_url.replace("unix://", "unix://nobody:geheim@")

    async with open_redis_publisher(url) as publisher:
        with pytest.raises(BrokerError) as refused:
            await publisher.publish_alert({"id": 1})

    assert not refused.value.retryable
    assert "geheim" not in str(refused.value)
