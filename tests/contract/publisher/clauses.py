"""What every publisher must do: each content once, whoever publishes it, and nothing that cannot be read back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest

from aurora.dispatch.messages import MAX_BYTES, Stream
from aurora.kernel.errors import MessageInvalid
from aurora.kernel.ports.publisher import Publisher

Read = Callable[[Stream], Awaitable[list[Any]]]
METHODS = {
    Stream.AUDIT: "publish_audit",
    Stream.ALERTS: "publish_alert",
    Stream.AGENT_TASKS: "publish_agent_task",
    Stream.AGENT_RESULTS: "publish_agent_result",
}


class PublisherContract:
    """Subclass it for each publisher and provide the fixtures `publisher` and `read` (contents of a stream)."""

    clauses: ClassVar[int] = 9

    @pytest.mark.parametrize("stream", METHODS)
    async def test_each_method_writes_to_the_stream_of_its_own(
        self, publisher: Publisher, read: Read, stream: Stream
    ) -> None:
        new = await getattr(publisher, METHODS[stream])({"id": "a1"})

        assert new is True
        assert {each: await read(each) for each in Stream} == {
            each: [{"id": "a1"}] if each is stream else [] for each in Stream
        }

    async def test_messages_keep_their_order(self, publisher: Publisher, read: Read) -> None:
        for number in range(20):
            await publisher.publish_audit({"number": number})

        assert [each["number"] for each in await read(Stream.AUDIT)] == list(range(20))

    async def test_the_same_content_adds_no_second_message(self, publisher: Publisher, read: Read) -> None:
        told = [await publisher.publish_alert(content) for content in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1})]

        assert told == [True, False, True]
        assert await read(Stream.ALERTS) == [{"a": 1, "b": 2}, {"a": 1}]

    async def test_of_twenty_that_publish_one_content_at_once_one_adds_it(
        self, publisher: Publisher, read: Read
    ) -> None:
        told = await asyncio.gather(*(publisher.publish_agent_task({"task": n % 4}) for n in range(80)))

        assert sum(told) == 4
        assert sorted(each["task"] for each in await read(Stream.AGENT_TASKS)) == [0, 1, 2, 3]

    async def test_the_same_content_on_another_stream_is_another_message(
        self, publisher: Publisher, read: Read
    ) -> None:
        told = [await publisher.publish_alert({"id": 1}), await publisher.publish_audit({"id": 1})]

        assert told == [True, True]
        assert await read(Stream.AUDIT) == await read(Stream.ALERTS) == [{"id": 1}]

    async def test_ids_and_moments_are_written_as_text_and_any_text_comes_back(
        self, publisher: Publisher, read: Read
    ) -> None:
        content = {
            "id": UUID(int=7),
            "at": datetime(2026, 11, 22, 12, tzinfo=UTC),
            "text": "naïve \0 \r\n $6\r\n🦉 {braces} \\u202e",
            "nothing": None,
        }

        await publisher.publish_audit(content)

        assert await read(Stream.AUDIT) == [
            {**content, "id": "00000000-0000-0000-0000-000000000007", "at": "2026-11-22T12:00:00+00:00"}
        ]

    async def test_the_largest_message_passes_and_a_larger_one_is_refused(
        self, publisher: Publisher, read: Read
    ) -> None:
        room = MAX_BYTES - len('{"x":""}')
        await publisher.publish_alert({"x": "y" * room})

        with pytest.raises(MessageInvalid, match="65537 bytes, at most 65536") as refused:
            await publisher.publish_alert({"x": "y" * (room + 1)})

        assert refused.value.context == {"size_bytes": MAX_BYTES + 1}
        assert len(await read(Stream.ALERTS)) == 1

    @pytest.mark.parametrize(
        "value", [object(), {1, 2}, b"bytes", "\ud800", 1 << 65, {"key": {3: "not text"}}], ids=repr
    )
    async def test_what_json_cannot_say_is_refused(self, publisher: Publisher, read: Read, value: object) -> None:
        with pytest.raises(MessageInvalid, match="cannot be written as JSON"):
            await publisher.publish_agent_result({"value": value})

        assert await read(Stream.AGENT_RESULTS) == []

    async def test_content_nested_without_end_is_refused(self, publisher: Publisher, read: Read) -> None:
        content: dict[str, Any] = {}
        content["self"] = content

        with pytest.raises(MessageInvalid, match="cannot be written as JSON"):
            await publisher.publish_audit(content)

        assert await read(Stream.AUDIT) == []
