"""A stream within one process: entries in order, and groups that read them. Pure: no clock, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.messages import Message
from aurora.kernel.models.task import Lane

_TIDY_AT = 1000
"""Entries from which on a stream looks for those that nobody needs, each time that it has doubled."""


@dataclass(slots=True)
class Group:
    """Who reads together. Entries below `reached` are pending or done with."""

    name: str
    reached: int
    heard: float
    """When it last read or confirmed."""
    pending: OrderedDict[int, float] = field(default_factory=OrderedDict)
    """Entries that were read and not confirmed, with the moment from which on they are read again, in its order."""

    @property
    def needs(self) -> int:
        """The first entry that it has not confirmed."""
        return min(self.pending, default=self.reached)


class LocalStream:
    """What is added goes to every group that is there. Moments are seconds of one monotonic clock.

    Args:
        limits: What is kept and repeated.
        is_of_wake_ups: Entries need not be kept: the oldest go, whoever needs them, and a group begins with the first
            that is there. Else nothing is kept that no group waits for.
    """

    def __init__(self, limits: Limits, *, is_of_wake_ups: bool = False) -> None:
        self._limits = limits
        self._is_of_wake_ups = is_of_wake_ups
        self._entries: dict[int, tuple[bytes, Lane | None, float]] = {}
        self._end = 0
        self._groups: dict[str, Group] = {}
        self._known: OrderedDict[str, float] = OrderedDict()
        self._tidy_at = _TIDY_AT
        self._dropped: list[Group] = []

    def __len__(self) -> int:
        return len(self._entries)

    def pending(self) -> dict[str, int]:
        """Return how many entries each group has not confirmed."""
        return {name: self._unconfirmed(group) for name, group in self._groups.items()}

    def add_once(self, message: Message, *, now: float) -> bool:
        """Add a message unless its content is known; return whether it was added."""
        if self._known.get(message.id, now) > now:
            return False
        self._known.pop(message.id, None)
        self._known[message.id] = now + self._limits.remembered.total_seconds()
        if len(self._known) > self._limits.max_entries:
            self._known.popitem(last=False)
        self.add(message, lane=None, now=now)
        return True

    def add(self, message: Message, *, lane: Lane | None, now: float) -> None:
        """Add a message."""
        if not (self._groups or self._is_of_wake_ups):
            return
        self._entries[self._end] = (message.data, lane, now)
        self._end += 1
        if len(self._entries) >= min(self._tidy_at, self._limits.max_entries + 1):
            self._tidy(now)
            self._tidy_at = max(_TIDY_AT, 2 * len(self._entries))

    def read(
        self, group: str, *, limit: int, lanes: Collection[Lane], now: float
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """Return numbers and data of entries, and whether they were read before. Makes the group."""
        reader = self._groups.get(group)
        if reader is None:
            first = self._end - len(self._entries) if self._is_of_wake_ups else self._end
            reader = self._groups[group] = Group(group, first, now)
        reader.heard = now
        if repeated := self._due(reader, limit, now):
            return [(number, self._entries[number][0]) for number in repeated], True
        found: list[tuple[int, bytes]] = []
        while reader.reached < self._end and len(found) < limit:
            number, reader.reached = reader.reached, reader.reached + 1
            data, lane, _ = self._entries[number]
            if lane is None or lane in lanes:
                found.append((number, data))
        self._hold(reader, [number for number, _ in found], now)
        return found, False

    def next_due(self, group: str) -> float | None:
        """Return when something becomes due again, if nothing is confirmed until then."""
        reader = self._groups.get(group)
        return next(iter(reader.pending.values()), None) if reader else None

    def confirm(self, group: str, number: int, *, now: float) -> None:
        """Let an entry not come again."""
        if reader := self._groups.get(group):
            reader.heard = now
            reader.pending.pop(number, None)

    def trim(self, now: float) -> list[tuple[str, int]]:
        """Remove what nobody needs; return names and unconfirmed entries of the groups given up since the last call."""
        for group in list(self._groups.values()):
            _, _, since = self._entries.get(group.needs, (b"", None, now))
            if now - max(since, group.heard) > self._limits.retention.total_seconds():
                self._drop(group)
        self._tidy(now)
        dropped, self._dropped = self._dropped, []
        return [(group.name, len(group.pending)) for group in dropped]

    def _due(self, reader: Group, limit: int, now: float) -> list[int]:
        numbers: list[int] = []
        for number, due in reader.pending.items():
            if due > now or len(numbers) == limit:
                break
            numbers.append(number)
        self._hold(reader, numbers, now)
        return numbers

    def _hold(self, reader: Group, numbers: list[int], now: float) -> None:
        due = now + self._limits.redeliver_after.total_seconds()
        for number in numbers:
            reader.pending[number] = due
            reader.pending.move_to_end(number)

    def _tidy(self, now: float) -> None:
        most = self._limits.max_entries
        if self._is_of_wake_ups:
            oldest = now - self._limits.wake_ups_for.total_seconds()
            stale = next((n for n, (_, _, at) in self._entries.items() if at > oldest), self._end)
            self._remove_before(max(stale, self._end - most))
            if not self._groups:
                return
        while self._groups:
            furthest = min(self._groups.values(), key=lambda group: group.needs)
            self._remove_before(furthest.needs)
            if len(self._entries) <= most:
                return
            self._drop(furthest)
        self._remove_before(self._end)

    def _drop(self, group: Group) -> None:
        del self._groups[group.name]
        self._dropped.append(group)

    def _remove_before(self, number: int) -> None:
        for each in range(self._end - len(self._entries), number):
            del self._entries[each]
        for group in self._groups.values():
            group.reached = max(group.reached, number)
            for each in [each for each in group.pending if each < number]:
                del group.pending[each]

    def _unconfirmed(self, group: Group) -> int:
        return len(group.pending) + self._end - group.reached
