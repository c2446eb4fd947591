"""Removes from a NATS server what every live group has confirmed, and the groups that live no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.brokers.nats_connection import Connection
from aurora.dispatch.brokers.nats_errors import Refused
from aurora.dispatch.brokers.nats_streams import GROUP, NAME, NOT_FOUND, seen_at, stream_of
from aurora.kernel.clock import Clock
from aurora.kernel.ports.broker import DroppedGroup, Stream

_WORKERS = "aurora-agents-"


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer of the stream, ours or anybody's."""

    name: str
    group: str
    filters: tuple[str, ...]
    floor: int
    """Sequence up to which everything is confirmed."""
    pending: int
    """Messages that it has not confirmed."""
    unsent: int
    """Those of them that nobody has received."""
    seen: datetime
    """When its group last left word, or, where it does not, when it last received or confirmed something."""

    @property
    def is_of_workers(self) -> bool:
        return self.name.startswith(_WORKERS)

    def covers(self, subject: str) -> bool:
        """Return whether messages of a subject are for it."""
        return not self.filters or any(_matches(each, subject) for each in self.filters)


async def consumers(connection: Connection) -> list[Consumer]:
    """Return all consumers of the stream; none where there is no stream."""
    found: list[Consumer] = []
    while True:
        try:
            page = await connection.api(f"CONSUMER.LIST.{NAME}", {"offset": len(found)})
        except Refused as refused:
            if refused.code == NOT_FOUND:
                return []
            raise
        found += [_read(each) for each in page["consumers"] or ()]
        if not page["consumers"] or len(found) >= page["total"]:
            return found


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the stream holds."""

    born: str = ""
    """When the stream was made; empty: there is none."""
    last: int = 0
    """Sequence of its last message."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """Messages by subject."""


async def holdings(connection: Connection) -> Holdings:
    """Return what the stream holds; nothing where there is no stream."""
    try:
        info = await connection.api(f"STREAM.INFO.{NAME}", {"subjects_filter": ">"})
    except Refused as refused:
        if refused.code == NOT_FOUND:
            return Holdings()
        raise
    state = info["state"]
    return Holdings(str(info["created"]), int(state["last_seq"]), dict(state.get("subjects") or {}))


class Trimmer:
    """Trims, and remembers from one time to the next how far the stream was.

    Args:
        clock: Says how old a wake-up is and how long a group was silent.
    """

    def __init__(self, *, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._was: deque[tuple[datetime, Holdings]] = deque()

    async def trim(self, connection: Connection) -> tuple[DroppedGroup, ...]:
        """Remove what nobody waits for. Returns the groups that were given up."""
        now, most = self._clock.now(), self._limits.max_entries
        live: list[Consumer] = []
        dropped: list[DroppedGroup] = []
        for each in await consumers(connection):
            is_silent = now - each.seen > self._limits.retention and each.pending > 0
            if each.is_of_workers or not (is_silent or each.pending > most):
                live.append(each)
                continue
            await _unless_gone(connection, f"CONSUMER.DELETE.{NAME}.{each.name}")
            covered = next((stream for stream in map(stream_of, each.filters) if stream), Stream.ALERTS)
            dropped.append(DroppedGroup(covered, each.group, each.pending))
        held = await holdings(connection)
        old = self._reached(held, now)
        for subject, entries in held.entries.items():
            floors = [each.floor for each in live if each.covers(subject)]
            floor = min(floors, default=0)
            is_wake_up = stream_of(subject) is Stream.AGENT_TASKS
            if is_wake_up:
                floor = max(floor, old)
            if floor:
                await _unless_gone(connection, f"STREAM.PURGE.{NAME}", {"filter": subject, "seq": floor + 1})
            if entries > most and (is_wake_up or not floors):
                await _unless_gone(connection, f"STREAM.PURGE.{NAME}", {"filter": subject, "keep": most})
        return tuple(dropped)

    def _reached(self, held: Holdings, now: datetime) -> int:
        """Return the sequence that the stream had reached when wake-ups became too old to matter.

        As far as this trimmer knows: JetStream cannot be asked for it.
        """
        if self._was and self._was[-1][1].born != held.born:
            self._was.clear()
        self._was.append((now, held))
        while len(self._was) > 1 and self._was[1][0] <= now - self._limits.wake_ups_for:
            self._was.popleft()
        moment, was = self._was[0]
        return was.last if moment <= now - self._limits.wake_ups_for else 0


async def _unless_gone(connection: Connection, verb: str, content: Mapping[str, Any] | None = None) -> None:
    try:
        await connection.api(verb, content)
    except Refused as refused:
        if refused.code != NOT_FOUND:
            raise


def _read(info: Mapping[str, Any]) -> Consumer:
    config: Mapping[str, Any] = info["config"]
    metadata: Mapping[str, str] = config.get("metadata") or {}
    moments = [info["created"], info["delivered"].get("last_active"), info["ack_floor"].get("last_active")]
    one = config.get("filter_subject")
    return Consumer(
        name=info["name"],
        group=metadata.get(GROUP, info["name"]),
        filters=(one,) if one else tuple(config.get("filter_subjects") or ()),
        floor=info["ack_floor"]["stream_seq"],
        pending=info["num_pending"] + info["num_ack_pending"],
        unsent=info["num_pending"],
        seen=seen_at(config) or max(_moment(each) for each in moments if each),
    )


def _moment(text: str) -> datetime:
    """Read a moment of Go's: nanoseconds, where Python wants at most microseconds."""
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(rest + '000000')[:6]}+00:00")


def _matches(pattern: str, subject: str) -> bool:
    wanted, had = pattern.split("."), subject.split(".")
    for number, each in enumerate(wanted):
        if each == ">":
            return len(had) > number
        if number >= len(had) or each not in {"*", had[number]}:
            return False
    return len(wanted) == len(had)
