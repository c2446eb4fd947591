"""Fitting a thread into a number of messages and of tokens: what must be there first, then the newest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aurora.kernel.errors import InputError
from memory.items import Trust
from memory.ledger import DropReason
from memory.messages import Message, answers, calls, role
from memory.shortening import shortened_message, smallest
from memory.tokens import TokenCounter


class NoRoom(InputError):
    """Instructions and pins alone are more than the ceiling; nothing was left out instead of them."""

    code = "aurora.memory.no_room"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of a thread and what it costs."""

    position: int
    """Its place among all messages that were ever added, counted from 0."""
    message: Message
    tokens: int = 0
    """0 where nobody counts."""
    trust: Trust = Trust.EXTERNAL_CONTENT


def trusted(message: Message, asked: Trust | None = None) -> Trust:
    """Return how far a message is trusted: at most as its role allows, and as was asked.

    Nobody vouches for what stands in a turn of a user: alerts stand there too. So it has to be asked for.
    """
    of_role = role(message)
    if asked is None:
        return _TRUSTED.get(of_role, Trust.EXTERNAL_CONTENT)
    return min(asked, Trust.OPERATOR if of_role == "human" else _TRUSTED.get(of_role, Trust.EXTERNAL_CONTENT))


_TRUSTED = {"system": Trust.OPERATOR, "ai": Trust.AGENT_DERIVED, "tool": Trust.TOOL_OUTPUT}


@dataclass(slots=True, eq=False)
class Unit:
    """Messages that come and go together: one message, or a message that calls tools and their results."""

    entries: list[Entry]
    waiting: set[str]
    """Ids of calls that have no result yet."""
    is_system: bool = False
    answered: set[str] = field(default_factory=set)
    pins: set[int] = field(default_factory=set)
    forms: dict[tuple[int, int], dict[int, Entry] | None] = field(default_factory=dict)
    """Shorter forms that were made already, by number of messages and by room: a long text takes long to count."""

    @property
    def is_protected(self) -> bool:
        """Whether it stays when it is old."""
        return self.is_system or bool(self.pins)

    @property
    def tokens(self) -> int:
        """Of all its messages."""
        return sum(entry.tokens for entry in self.entries)


def join(units: list[Unit], entry: Entry) -> Unit | DropReason:
    """Put a message where it belongs: in a unit of its own, or with the call that it answers.

    Returns:
        Its unit, or why it has none.
    """
    call = answers(entry.message)
    if call is None:
        unit = Unit([], set(calls(entry.message)), is_system=role(entry.message) == "system")
        units.append(unit)
    else:
        # The newest first: small models number their calls anew in every turn.
        waiting = next((each for each in reversed(units) if call in each.waiting), None)
        if waiting is None:
            is_repeated = any(call in each.answered for each in units)
            return DropReason.REPEATED_RESULT if is_repeated else DropReason.ORPHAN_RESULT
        unit = waiting
        unit.waiting.remove(call)
        unit.answered.add(call)
    unit.entries.append(entry)
    return unit


def joined(entries: Iterable[Entry], *, pins: Collection[int]) -> tuple[list[Unit], Unit | None]:
    """Return the units that messages of a window form, and the one with the newest of them.

    Args:
        entries: Oldest first. A result without its call is left out.
        pins: Positions of those that are pinned.
    """
    units: list[Unit] = []
    latest: Unit | None = None
    for entry in entries:
        found = join(units, entry)
        if isinstance(found, Unit):
            latest = found
            if entry.position in pins:
                found.pins.add(entry.position)
    return units, latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What fits."""

    kept: tuple[Unit, ...]
    fallen: tuple[tuple[Unit, DropReason], ...] = ()
    """What does not, oldest first, and why."""
    short: Mapping[int, Entry] = field(default_factory=dict)
    """By position, what stands for messages that fit only without their middles."""

    @property
    def tokens(self) -> int:
        """Of all that is kept, as it is shown."""
        return sum(entry.tokens for entry in self.entries())

    def entries(self, units: Iterable[Unit] | None = None) -> list[Entry]:
        """Return the messages of `units`, or of all that are kept, as they are shown, in their order."""
        chosen = [entry for unit in (self.kept if units is None else units) for entry in unit.entries]
        return [self.short.get(entry.position, entry) for entry in sorted(chosen, key=lambda entry: entry.position)]


def pack(
    units: Sequence[Unit],
    *,
    latest: Unit | None,
    max_messages: int | None = None,
    room: int | None = None,
    count: TokenCounter,
) -> Packed:
    """Choose what is shown of a thread.

    System messages are there whole, pins and the latest unit are there; of the others the oldest go first. Only
    what is so protected may be more than `max_messages`. Nothing exceeds `room`: a unit that is larger than all of
    it is shortened to the half, and pins and the latest unit are shortened where they do not fit together. The
    latest unit goes too if even its shortest form does not fit.

    Args:
        units: Of the thread, in its order.
        latest: What was added last, with the call it answers.
        max_messages: `None`: any number.
        room: Tokens; `None`: any number.
        count: Counts what was shortened.

    Raises:
        NoRoom: system messages do not fit, or pins in their shortest form do not.
    """
    short: dict[int, Entry] = {}
    fallen: list[tuple[Unit, DropReason]] = []
    left: int | None = None
    if room is not None:
        left, lost = _protect(units, latest, room, short, count)
        fallen += [(unit, DropReason.TOKEN_CEILING) for unit in lost]
    gone = {id(unit) for unit, _ in fallen}
    others = [unit for unit in units if not unit.is_protected and unit is not latest and id(unit) not in gone]
    size = sum(len(unit.entries) for unit in units if id(unit) not in gone)
    cost = sum(_shown(unit, short) for unit in others)
    for unit in others:
        if max_messages is not None and size > max_messages:
            reason = DropReason.WINDOW_FULL
        elif left is not None and cost > left:
            reason = DropReason.TOKEN_CEILING
        else:
            break
        fallen.append((unit, reason))
        size -= len(unit.entries)
        cost -= _shown(unit, short)
    gone = {id(unit) for unit, _ in fallen}
    lost_positions = {entry.position for unit, _ in fallen for entry in unit.entries}
    return Packed(
        kept=tuple(unit for unit in units if id(unit) not in gone),
        fallen=tuple(sorted(fallen, key=lambda each: each[0].entries[0].position)),
        short={position: entry for position, entry in short.items() if position not in lost_positions},
    )


def _protect(
    units: Sequence[Unit], latest: Unit | None, room: int, short: dict[int, Entry], count: TokenCounter
) -> tuple[int, list[Unit]]:
    """Make what has to be there fit, and what is too large alone.

    Returns:
        The tokens that are left for the rest, and the units for which there is no room in any form.
    """
    instructions = sum(unit.tokens for unit in units if unit.is_system)
    if instructions > room:
        raise NoRoom(
            f"system messages have {instructions} tokens, and the ceiling leaves room for {room}; shorten them, or "
            "raise the ceiling",
            tokens=instructions,
            room=room,
        )
    room -= instructions
    pinned = [entry for unit in units if unit.pins and not unit.is_system for entry in unit.entries]
    current = latest.entries if latest is not None and not latest.is_protected else []
    lost: list[Unit] = []
    for unit in units:
        if not unit.is_protected and unit is not latest and unit.tokens > room:
            half = _fit_unit(unit, room // 2, count)
            if half is None:
                lost.append(unit)
            else:
                short.update(half)
    needed, wanted = _tokens(pinned), _tokens(current)
    if needed + wanted <= room:
        return room - needed - wanted, lost
    # A quarter is the turn's even where pins would take all: without it there is nothing to answer.
    share = min(wanted, max(room - needed, room // 4)) if pinned else room // 2
    fitted = _fit_unit(latest, share, count) if latest is not None and current else {}
    short.update(_smallest(current, count) if fitted is None else fitted)
    spent = _tokens(current, short)
    kept = _fit(pinned, room - spent, count)
    if (kept is None or spent > room) and current and latest is not None:
        lost.append(latest)
        spent, kept = 0, _fit(pinned, room, count)
    if kept is None:
        raise NoRoom(
            f"pinned messages do not fit into {room} tokens, even without their middles; unpin some, or raise the "
            "ceiling",
            tokens=needed,
            room=room,
        )
    short.update(kept)
    return room - spent - _tokens(pinned, short), lost


def _fit_unit(unit: Unit, room: int, count: TokenCounter) -> dict[int, Entry] | None:
    key = len(unit.entries), room
    if key not in unit.forms:
        unit.forms[key] = _fit(unit.entries, room, count)
    return unit.forms[key]


def _fit(entries: Sequence[Entry], room: int, count: TokenCounter) -> dict[int, Entry] | None:
    """Return shorter forms of the longest messages, so that all fit; `None` if there are none so short."""
    total = _tokens(entries)
    if total <= room:
        return {}
    short: dict[int, Entry] = {}
    # The longest come first: what the others leave is theirs in equal parts.
    ascending = sorted(entries, key=lambda entry: entry.tokens)
    for number, entry in enumerate(ascending):
        share = room // (len(ascending) - number)
        if entry.tokens > share:
            message = shortened_message(entry.message, tokens=max(share, 0), count=count)
            if message is None:
                message = smallest(entry.message, count=count)
            short[entry.position] = replace(entry, message=message, tokens=count.count_message(message))
        room -= short.get(entry.position, entry).tokens
    return short if room >= 0 else None


def _smallest(entries: Sequence[Entry], count: TokenCounter) -> dict[int, Entry]:
    found = ((entry, smallest(entry.message, count=count)) for entry in entries)
    return {
        entry.position: replace(entry, message=message, tokens=count.count_message(message)) for entry, message in found
    }


def _tokens(entries: Iterable[Entry], short: Mapping[int, Entry] | None = None) -> int:
    return sum((short or {}).get(entry.position, entry).tokens for entry in entries)


def _shown(unit: Unit, short: Mapping[int, Entry]) -> int:
    return _tokens(unit.entries, short)
