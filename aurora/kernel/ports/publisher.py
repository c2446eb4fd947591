"""Where the parts of Aurora, and others, hear that something happened. The database says what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Publisher(Protocol):
    """Puts messages on four streams.

    A message is a wake-up: it names rows by their ids and carries nothing that the database does not hold,
    so one that is lost costs time and one that comes twice costs nothing. The same content published again
    within the time that an implementation remembers adds no second message, whoever publishes it: what
    makes two messages differ (an id, a slot) belongs into the content.

    Every method takes what JSON can say (moments and UUIDs become text), 64 KiB of it at most, and returns
    whether the message is new to the stream.

    Raises:
        MessageInvalid: the content is no JSON or too large; nothing was published.
        BrokerUnavailable: whether it was published is unknown; publish it again.
        BrokerError: it was not published, and would not be if tried again.
    """

    async def publish_audit(self, message: Mapping[str, Any]) -> bool:
        """Tell that something happened which auditors want to know."""

    async def publish_alert(self, message: Mapping[str, Any]) -> bool:
        """Tell that there is a new alert."""

    async def publish_agent_task(self, message: Mapping[str, Any]) -> bool:
        """Tell that there is work for an agent."""

    async def publish_agent_result(self, message: Mapping[str, Any]) -> bool:
        """Tell that an agent has finished."""
