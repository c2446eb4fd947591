"""The publisher that the parts of Aurora see: four methods over whatever broker there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurora.dispatch.messages import Stream, encoded
from aurora.kernel.ports.broker import Broker


class StreamPublisher:
    """Implements `Publisher`.

    Args:
        broker: Owned by the caller.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def publish_audit(self, message: Mapping[str, Any]) -> bool:
        return await self._broker.publish(Stream.AUDIT, encoded(message))

    async def publish_alert(self, message: Mapping[str, Any]) -> bool:
        return await self._broker.publish(Stream.ALERTS, encoded(message))

    async def publish_agent_task(self, message: Mapping[str, Any]) -> bool:
        return await self._broker.publish(Stream.AGENT_TASKS, encoded(message))

    async def publish_agent_result(self, message: Mapping[str, Any]) -> bool:
        return await self._broker.publish(Stream.AGENT_RESULTS, encoded(message))
