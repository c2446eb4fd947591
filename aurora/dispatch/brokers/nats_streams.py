"""What we keep on a NATS server: one JetStream stream, and a durable consumer for each lane and each group.

Everything is made when it is first needed and again when it is gone, so that a wiped server mends itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from aurora.dispatch.brokers.limits import LIMITS, Limits
from aurora.dispatch.brokers.nats_connection import Connection
from aurora.dispatch.brokers.nats_errors import Gone, Refused
from aurora.dispatch.messages import MAX_BYTES
from aurora.kernel.clock import Clock
from aurora.kernel.errors import BrokerError
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Stream

NAME = "AURORA"
"""The stream. One is enough: limits retention lets any number of consumers share a subject."""

KNOWN_AGAIN = timedelta(minutes=2)
"""How long a content is known again, and no longer: JetStream keeps the ids in memory."""

GROUP = "aurora_group"
_SEEN = "aurora_seen"

_MICROSECOND = timedelta(microseconds=1)  # JetStream counts nanoseconds
_HEADERS = 4096
_TOKENS = {
    Stream.ALERTS: "alerts",
    Stream.AUDIT: "audit",
    Stream.AGENT_RESULTS: "agent_results",
    Stream.AGENT_TASKS: "agent_tasks",
    Stream.DEAD_LETTER: "dead_letter",
}
_SUBJECTS = [*(f"{NAME}.{each}" for each in (*_TOKENS.values(), "ioc_sharing") if each != "agent_tasks")]
CONFIG: dict[str, Any] = {
    "name": NAME,
    "subjects": [*_SUBJECTS, f"{NAME}.agent_tasks.*"],
    "retention": "limits",
    "storage": "file",
    "discard": "old",
    "max_msgs": -1,  # it would remove what a live group has not confirmed; see `trim`
    "max_msgs_per_subject": -1,
    "max_msg_size": MAX_BYTES + _HEADERS,
    "duplicate_window": KNOWN_AGAIN // _MICROSECOND * 1000,
}
_NEEDED = ("retention", "max_msgs", "max_msgs_per_subject")
_CONSUMER = {
    "ack_policy": "explicit",
    # No `max_deliver`: what reaches it stays in the stream, unseen by anybody. The ledger counts attempts.
    "max_ack_pending": 10_000,  # the 1,000 by default stop a lane whose workers were killed
    "max_waiting": 4_096,  # workers that wait at the same time
}
NOT_FOUND = 404
_EXISTS, _MISSING = 10148, 10149  # what was to be created is there, what was to be updated is not


@dataclass(frozen=True, slots=True)
class Durable:
    """A consumer that the server remembers."""

    name: str
    group: str
    filter: str
    is_new: bool
    """Whether it begins with what comes after it was made."""


def subject(stream: Stream, lane: Lane = Lane.NORMAL) -> str:
    """Return where messages of a stream are published; those of `AGENT_TASKS` have a lane."""
    token = f"{NAME}.{_TOKENS[stream]}"
    return f"{token}.{lane}" if stream is Stream.AGENT_TASKS else token


def stream_of(name: str) -> Stream | None:
    """Return the stream that a subject belongs to."""
    token = name.split(".")[1] if "." in name else ""
    return next((stream for stream, each in _TOKENS.items() if each == token), None)


def of_lane(lane: Lane) -> Durable:
    """Return the consumer that all workers of a lane share."""
    name = f"aurora-agents-{lane}"
    return Durable(name, name, subject(Stream.AGENT_TASKS, lane), is_new=False)


def of_group(stream: Stream, group: str) -> Durable:
    """Return the consumer that all members of a group share."""
    escaped = quote(group, safe="").replace(".", "%2E")  # names of consumers hold few characters
    everything = f"{NAME}.agent_tasks.*" if stream is Stream.AGENT_TASKS else subject(stream)
    return Durable(f"{escaped}-{_TOKENS[stream]}", group, everything, is_new=True)


def seen_at(config: Mapping[str, Any]) -> datetime | None:
    """Return when the group of a consumer last left word; `None` for one that is not ours."""
    try:
        seen = datetime.fromisoformat((config.get("metadata") or {})[_SEEN])
    except (KeyError, ValueError):
        return None
    return seen if seen.tzinfo else None


class Streams:
    """Sees to it that the stream and the consumers exist.

    Args:
        clock: Says when a group was last seen.
    """

    def __init__(self, *, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._leave_word = min(timedelta(hours=1), limits.retention / 10)
        self._born: dict[str, str] = {}
        """When the stream was made that a consumer was last seen on, by name of the consumer."""

    async def have_stream(self, connection: Connection) -> None:
        """Make the stream unless it is there.

        Raises:
            BrokerError: there is one, with settings that could lose what a group has not seen.
        """
        if "stream" in connection.known:
            return
        try:
            info = await connection.api(f"STREAM.INFO.{NAME}")
        except Refused as refused:
            if refused.code != NOT_FOUND:
                raise
            # Never less than the retention that is usual: a group that was silent for less must find everything.
            max_age = max(self._limits.retention, LIMITS.retention) // _MICROSECOND * 1000
            info = await connection.api(f"STREAM.CREATE.{NAME}", {**CONFIG, "max_age": max_age})
        found = info["config"]
        wrong = [f"{each}={found.get(each)}" for each in _NEEDED if found.get(each) != CONFIG[each]]
        wrong += [f"no subject {each}" for each in CONFIG["subjects"] if each not in found.get("subjects", ())]
        if wrong:
            raise BrokerError(
                f"the JetStream stream {NAME} has other settings than we need ({', '.join(wrong)}): "
                "edit it, or remove it and let it be made anew"
            )
        connection.known["stream"] = info["created"]

    async def have_consumer(self, connection: Connection, durable: Durable) -> None:
        """Make the consumer unless it is there, and leave word every now and then that its group lives."""
        now = self._clock.now()
        known: datetime | None = connection.known.get(durable)
        if known is not None and now - known < self._leave_word:
            return
        await self.have_stream(connection)
        born: str = connection.known["stream"]
        ack_wait = self._limits.redeliver_after // _MICROSECOND * 1000
        try:
            config = (await connection.api(f"CONSUMER.INFO.{NAME}.{durable.name}"))["config"]
        except Refused as refused:
            if refused.code != NOT_FOUND:
                raise
            # Whoever has lost the whole stream wants all that is in its successor.
            is_new = durable.is_new and self._born.get(durable.name, born) == born
            action, config = "create", {**_CONSUMER, "deliver_policy": "new" if is_new else "all"}
            config |= {"name": durable.name, "durable_name": durable.name, "filter_subject": durable.filter}
        else:
            action = "update"
        seen = seen_at(config)
        if seen is None or now - seen >= self._leave_word or config.get("ack_wait") != ack_wait:
            config["metadata"] = {**(config.get("metadata") or {}), GROUP: durable.group, _SEEN: now.isoformat()}
            config["ack_wait"] = ack_wait
            await self._write(connection, durable, action, config)
            seen = now
        self._born[durable.name] = born
        connection.known[durable] = seen

    @staticmethod
    async def _write(connection: Connection, durable: Durable, action: str, config: dict[str, Any]) -> None:
        verb = f"CONSUMER.CREATE.{NAME}.{durable.name}.{durable.filter}"
        try:
            await connection.api(verb, {"stream_name": NAME, "action": action, "config": config})
        except Refused as refused:
            if refused.code == NOT_FOUND or refused.err_code == _MISSING:
                raise Gone from refused
            if refused.err_code != _EXISTS:  # somebody else was faster
                raise
