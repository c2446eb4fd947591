"""The working tier: the latest messages of one thread."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory.ledger import Dropped, DropReason, Ledger
from memory.messages import Message, answers, calls, role


@dataclass(slots=True)
class _Unit:
    """Messages that come and go together: one message, or a message that calls tools and their results."""

    entries: list[tuple[int, Message]]
    waiting: set[str]
    """Ids of calls that have no result yet."""
    is_system: bool = False
    answered: set[str] = field(default_factory=set)
    pins: set[int] = field(default_factory=set)

    @property
    def is_protected(self) -> bool:
        return self.is_system or bool(self.pins)


class SlidingWindow:
    """The latest `max_messages` messages, in the order in which they were added.

    When it is full, the oldest go, but never

    - a system message, or a message that is pinned;
    - a tool call without its results, or a result without its call: they go together;
    - what was added last, with the call it answers.

    Only what is so protected may exceed `max_messages`: a window holds more than that when system
    messages, pins and the latest addition alone come to more. A tool result whose call is not in the
    window is not taken in. What is gone stands in `ledger`.

    One window belongs to one thread of one run; it does no I/O and is not shared between threads.

    Args:
        max_messages: Messages it holds, system messages and pins included.

    Raises:
        ValueError: there is no room for a single message.
    """

    def __init__(self, *, max_messages: int = 20) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages={max_messages!r} must be >= 1")
        self._max = max_messages
        self._units: list[_Unit] = []
        self._latest: _Unit | None = None
        self._size = 0
        self._next = 0
        self._ledger = Ledger()

    @property
    def max_messages(self) -> int:
        """Messages it holds when nothing is protected."""
        return self._max

    @property
    def ledger(self) -> Ledger:
        """What was dropped since the beginning or the last `reset`."""
        return self._ledger

    def __len__(self) -> int:
        return self._size

    def add(self, message: Message, *, pinned: bool = False) -> int:
        """Take in a message and let go of the oldest where there is no room.

        Args:
            message: A LangChain message or a dict of that shape; see `memory.messages`.
            pinned: Keep it, and the calls and results it belongs to, until it is unpinned.

        Returns:
            Its position among all messages ever added, for `pin` and `unpin`.
        """
        position, self._next = self._next, self._next + 1
        call = answers(message)
        if call is None:
            unit = _Unit([], set(calls(message)), is_system=role(message) == "system")
            self._units.append(unit)
        else:
            # The newest first: small models number their calls anew in every turn.
            waiting = next((each for each in reversed(self._units) if call in each.waiting), None)
            if waiting is None:
                is_repeated = any(call in each.answered for each in self._units)
                reason = DropReason.REPEATED_RESULT if is_repeated else DropReason.ORPHAN_RESULT
                self._ledger.record(Dropped(position=position, role=role(message), reason=reason))
                return position
            unit = waiting
            unit.waiting.remove(call)
            unit.answered.add(call)
        unit.entries.append((position, message))
        if pinned:
            unit.pins.add(position)
        self._size += 1
        self._latest = unit
        self._make_room()
        return position

    def pin(self, position: int) -> None:
        """Keep the message at `position`, and the calls and results it belongs to.

        Raises:
            LookupError: the window does not hold it (any more).
        """
        self._unit_at(position).pins.add(position)

    def unpin(self, position: int) -> None:
        """Let the message at `position` go when its time comes, which may be now.

        Raises:
            LookupError: the window does not hold it (any more).
        """
        self._unit_at(position).pins.discard(position)
        self._make_room()

    def get_all(self) -> list[Message]:
        """Return the messages, oldest first, in a list of the caller's own."""
        return self._messages(self._units)

    def system(self) -> list[Message]:
        """Return the system messages, oldest first."""
        return self._messages([unit for unit in self._units if unit.is_system])

    def turns(self) -> list[Message]:
        """Return all but the system messages, oldest first."""
        return self._messages([unit for unit in self._units if not unit.is_system])

    def clear(self) -> None:
        """Let go of everything but system messages and pins."""
        for unit in [each for each in self._units if not each.is_protected]:
            self._drop(unit, DropReason.CLEARED)
        self._latest = None

    def reset(self) -> None:
        """Be as new: no messages, no pins, an empty ledger, positions from 0."""
        self._units = []
        self._latest = None
        self._size = 0
        self._next = 0
        self._ledger = Ledger()

    def _make_room(self) -> None:
        while self._size > self._max:
            oldest = next((each for each in self._units if not each.is_protected and each is not self._latest), None)
            if oldest is None:
                return
            self._drop(oldest, DropReason.WINDOW_FULL)

    def _drop(self, unit: _Unit, reason: DropReason) -> None:
        # By identity: two equal messages are two units.
        self._units = [each for each in self._units if each is not unit]
        self._size -= len(unit.entries)
        for position, message in unit.entries:
            self._ledger.record(Dropped(position=position, role=role(message), reason=reason))

    def _unit_at(self, position: int) -> _Unit:
        for unit in self._units:
            if any(each == position for each, _ in unit.entries):
                return unit
        raise LookupError(f"the window does not hold a message at position {position}")

    @staticmethod
    def _messages(units: list[_Unit]) -> list[Message]:
        entries = [entry for unit in units for entry in unit.entries]
        return [message for _, message in sorted(entries, key=lambda entry: entry[0])]
