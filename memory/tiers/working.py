"""The working tier: the latest messages of one thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from memory.items import Trust
from memory.ledger import Dropped, DropReason, Ledger
from memory.messages import Message, answers, role
from memory.packing import Entry, Packed, Unit, join, joined, pack, trusted
from memory.tokens import TokenCounter


class SlidingWindow:
    """The latest `max_messages` messages, in the order in which they were added, in at most `max_tokens` tokens.

    When it is full, the oldest go, but never

    - a system message, or a message that is pinned;
    - a tool call without its results, or a result without its call: they go together;
    - what was added last, with the call it answers.

    Only what is so protected may exceed `max_messages`: a window holds more than that when system
    messages, pins and the latest addition alone come to more. Nothing exceeds `max_tokens`: what does not fit even
    alone is shown without its middle, with a mark in its place (`memory.packing.pack`). A tool result whose call is
    not in the window is not taken in. What is gone or shortened stands in `ledger`.

    One window belongs to one thread of one run; it does no I/O and is not shared between threads.

    Args:
        max_messages: Messages it holds, system messages and pins included.
        max_tokens: What its messages may cost together; `None`: nobody counts.
        count: Counts them; left out, a counter with the default encoding does.
        on_drop: Called with each message that is gone or was not taken in, and why.

    Raises:
        ValueError: there is no room for a single message.
    """

    def __init__(
        self,
        *,
        max_messages: int = 20,
        max_tokens: int | None = None,
        count: TokenCounter | None = None,
        on_drop: Callable[[Entry, DropReason], None] | None = None,
    ) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages={max_messages!r} must be >= 1")
        if max_tokens is not None and max_tokens < 1:
            raise ValueError(f"max_tokens={max_tokens!r} must be >= 1")
        self._max = max_messages
        self._ceiling = max_tokens
        self._count = count if count is not None else TokenCounter()
        self._on_drop = on_drop
        self._start()

    def _start(self) -> None:
        self._packed = Packed(kept=())
        self._latest: Unit | None = None
        self._next = 0
        self._ledger = Ledger()
        self._noted: set[int] = set()

    @property
    def max_messages(self) -> int:
        """Messages it holds when nothing is protected."""
        return self._max

    @property
    def max_tokens(self) -> int | None:
        """Tokens that it never exceeds; `None`: nobody counts."""
        return self._ceiling

    @property
    def tokens(self) -> int:
        """What its messages cost as they are shown; 0 where nobody counts."""
        return self._packed.tokens

    @property
    def units(self) -> tuple[Unit, ...]:
        """What it holds, in full, for `memory.packing.pack`; not to be changed."""
        return self._packed.kept

    @property
    def latest(self) -> Unit | None:
        """What was added last, with the call it answers."""
        return self._latest

    @property
    def ledger(self) -> Ledger:
        """What was dropped or shortened since the beginning or the last `reset`."""
        return self._ledger

    def __len__(self) -> int:
        return sum(len(unit.entries) for unit in self._packed.kept)

    def add(self, message: Message, *, pinned: bool = False, trust: Trust | None = None) -> int:
        """Take in a message and let go of the oldest where there is no room.

        Args:
            message: A LangChain message or a dict of that shape; see `memory.messages`.
            pinned: Keep it, and the calls and results it belongs to, until it is unpinned.
            trust: How far it is trusted, at most; see `memory.packing.trusted`.

        Returns:
            Its position among all messages ever added, for `pin` and `unpin`.

        Raises:
            NoRoom: it is a system message or pinned, and there is no room for all of those; it was not taken in.
        """
        tokens = 0 if self._ceiling is None else self._count.count_message(message)
        return self.take(Entry(self._next, message, tokens, trusted(message, trust)), pinned=pinned)

    def take(self, entry: Entry, *, pinned: bool = False) -> int:
        """Do as `add` with a message that is counted already, and whose position is that after the last.

        Raises:
            NoRoom: as `add` does.
        """
        units = list(self._packed.kept)
        found = join(units, entry)
        if isinstance(found, DropReason):
            self._next = entry.position + 1
            self._note(entry, found)
            return entry.position
        if pinned:
            found.pins.add(entry.position)
        try:
            packed = self._pack(units, found)
        except BaseException:
            _undo(found, entry)
            raise
        self._next = entry.position + 1
        self._latest = found
        self._show(packed)
        return entry.position

    def restore(self, entries: Iterable[Entry], *, pins: Collection[int]) -> None:
        """Be as a window was that held these messages, and make room where this one is smaller.

        Args:
            entries: What that window held, oldest first.
            pins: Positions of those that were pinned.

        Raises:
            NoRoom: its system messages and pins are too large for this one.
        """
        self._start()
        units, latest = joined(entries, pins=pins)
        packed = self._pack(units, latest)
        self._latest = latest
        self._next = max((entry.position for unit in units for entry in unit.entries), default=-1) + 1
        self._show(packed)

    def pin(self, position: int) -> None:
        """Keep the message at `position`, and the calls and results it belongs to.

        Raises:
            LookupError: the window does not hold it (any more).
            NoRoom: pins and system messages would be more than `max_tokens`; it was not pinned.
        """
        unit = self._unit_at(position)
        before = set(unit.pins)
        unit.pins.add(position)
        try:
            packed = self._pack(self._packed.kept, self._latest)
        except BaseException:
            unit.pins = before
            raise
        self._show(packed)

    def unpin(self, position: int) -> None:
        """Let the message at `position` go when its time comes, which may be now.

        Raises:
            LookupError: the window does not hold it (any more).
        """
        self._unit_at(position).pins.discard(position)
        self._show(self._pack(self._packed.kept, self._latest))

    def get_all(self) -> list[Message]:
        """Return the messages, oldest first, in a list of the caller's own."""
        return self._messages(self._packed.kept)

    def system(self) -> list[Message]:
        """Return the system messages, oldest first."""
        return self._messages([unit for unit in self._packed.kept if unit.is_system])

    def turns(self) -> list[Message]:
        """Return all but the system messages, oldest first."""
        return self._messages([unit for unit in self._packed.kept if not unit.is_system])

    def clear(self) -> None:
        """Let go of everything but system messages and pins."""
        gone = [unit for unit in self._packed.kept if not unit.is_protected]
        for unit in gone:
            for entry in unit.entries:
                self._note(entry, DropReason.CLEARED)
        self._latest = None
        self._show(self._pack([unit for unit in self._packed.kept if unit.is_protected], None))

    def reset(self) -> None:
        """Be as new: no messages, no pins, an empty ledger, positions from 0."""
        self._start()

    def _pack(self, units: Sequence[Unit], latest: Unit | None) -> Packed:
        return pack(units, latest=latest, max_messages=self._max, room=self._ceiling, count=self._count)

    def _show(self, packed: Packed) -> None:
        self._packed = packed
        for unit, reason in packed.fallen:
            for entry in unit.entries:
                self._note(entry, reason)
        for entry in packed.short.values():
            if entry.position not in self._noted:
                self._noted.add(entry.position)
                self._note(entry, DropReason.SHORTENED)

    def _note(self, entry: Entry, reason: DropReason) -> None:
        self._ledger.record(Dropped(position=entry.position, role=role(entry.message), reason=reason))
        if self._on_drop is not None and reason is not DropReason.SHORTENED:
            self._on_drop(entry, reason)

    def _unit_at(self, position: int) -> Unit:
        for unit in self._packed.kept:
            if any(entry.position == position for entry in unit.entries):
                return unit
        raise LookupError(f"the window does not hold a message at position {position}")

    def _messages(self, units: Sequence[Unit]) -> list[Message]:
        return [entry.message for entry in self._packed.entries(units)]


def _undo(unit: Unit, entry: Entry) -> None:
    """Take a message out again that could not be taken in."""
    unit.entries.remove(entry)
    unit.pins.discard(entry.position)
    if (call := answers(entry.message)) is not None:
        unit.answered.discard(call)
        unit.waiting.add(call)
