"""A publisher that keeps its messages, for tests and for one process alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aurora.dispatch.messages import Message, Stream, encoded
from aurora.kernel.errors import AuroraError


class MemoryPublisher:
    """Implements `Publisher`, held to the same contract as the one on Redis; remembers every content for ever.

    Set `failure` to have every further message refused with it.
    """

    def __init__(self) -> None:
        self.failure: AuroraError | None = None
        self._streams: dict[Stream, dict[str, Message]] = {stream: {} for stream in Stream}

    async def publish_audit(self, message: Mapping[str, Any]) -> bool:
        return self._publish(Stream.AUDIT, message)

    async def publish_alert(self, message: Mapping[str, Any]) -> bool:
        return self._publish(Stream.ALERTS, message)

    async def publish_agent_task(self, message: Mapping[str, Any]) -> bool:
        return self._publish(Stream.AGENT_TASKS, message)

    async def publish_agent_result(self, message: Mapping[str, Any]) -> bool:
        return self._publish(Stream.AGENT_RESULTS, message)

    def published(self, stream: Stream) -> list[Any]:
        """Return the content of a stream's messages as a reader would see it, in order."""
        return [orjson.loads(message.data) for message in self._streams[stream].values()]

    def _publish(self, stream: Stream, content: Mapping[str, Any]) -> bool:
        message = encoded(content)
        if self.failure is not None:
            raise self.failure
        entries = self._streams[stream]
        if message.id in entries:
            return False
        entries[message.id] = message
        return True
