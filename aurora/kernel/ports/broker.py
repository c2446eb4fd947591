"""What carries wake-ups to workers and events to whoever listens. The database says what they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from aurora.kernel.models.task import Lane


class Stream(StrEnum):
    """The streams, by the names that other programs know."""

    AUDIT = "aurora:audit"
    ALERTS = "aurora:alerts"
    AGENT_TASKS = "aurora:agent:tasks"
    AGENT_RESULTS = "aurora:agent:results"
    DEAD_LETTER = "aurora:agent:dead_letter"


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a stream, on its way in."""

    id: str
    """SHA-256 of the data, 64 hex digits: equal content has equal ids."""
    data: bytes
    """JSON with sorted keys."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry of a stream, as a group received it."""

    stream: Stream
    data: bytes
    """As it was published. It comes from outside the process: check it before it is believed."""
    token: object
    """What the broker needs to confirm it; of no meaning to anybody else."""
    is_repeated: bool = False
    """It was delivered before and not confirmed."""


@dataclass(frozen=True, slots=True)
class DroppedGroup:
    """A group that is not waited for any more: it was silent for the retention while entries waited, or too far behind.

    If it comes back it begins with what is still there.
    """

    stream: Stream
    group: str
    pending: int
    """Entries that were delivered to it and that it had not confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHealth:
    """What a broker says of itself."""

    server: str
    """Name and version, such as `valkey 9.1.2`."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """Entries that are kept, by stream."""
    pending: Mapping[str, int] = field(default_factory=dict)
    """Entries not confirmed yet, delivered or not, by `stream/group`."""


class Broker(Protocol):
    """Carries messages; owns nothing. What it loses, the relay tells again from the database.

    Delivery is at least once and in no promised order. Every method ends within the time that the broker was
    opened with (`fetch` and `receive`: within `wait` and that time).

    Raises:
        BrokerUnavailable: it cannot be reached or is overloaded; the same call may work later.
        BrokerError: it refused, and will until a person mends its set-up.
    """

    @property
    def name(self) -> str:
        """`local`, `redis` or `nats`. Its breaker is `broker:<name>`."""

    async def publish(self, stream: Stream, message: Message) -> bool:
        """Add a message once; return whether it is new to the stream.

        Raises:
            MessageInvalid: it takes more than 64 KiB.
        """

    async def wake(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Tell workers of a lane that there is work: envelopes on the stream of tasks. Twice does no harm.

        Wake-ups need not be kept: those that are older than an hour go, and of very many the oldest.

        Raises:
            MessageInvalid: one of them takes more than 64 KiB; none was sent.
        """

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        """Return up to `limit` wake-ups for these lanes, each handed to one worker; nothing if none came in `wait`.

        May come back early with nothing: that means "look", not "there is nothing". To be called by one caller
        at a time, with the same lanes.
        """

    async def receive(
        self, stream: Stream, *, group: str, consumer: str, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        """Return up to `limit` events of a stream for a group; every group gets all of them, each consumer some.

        A group begins with what is published after its first call; one that the server has lost, with all that is
        there. It may come back early with nothing. What a consumer received and did not confirm
        comes again, to any consumer of the group, after the time that the broker was opened with.
        """

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need not come again."""

    async def trim(self) -> Sequence[DroppedGroup]:
        """Remove what every live group has confirmed; give up groups that are silent or too far behind.

        A stream without groups keeps the last 100,000 entries of the last 7 days. To be called every few minutes,
        by anybody, at the same time or not.
        """

    async def health(self) -> BrokerHealth:
        """Ask how it is."""
