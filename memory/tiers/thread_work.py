"""What one transaction does to a thread: read it, change its window, write what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memory.composing import Carried, carried_on
from memory.items import Json, Trust
from memory.ledger import FELL, DropReason
from memory.messages import role
from memory.packing import Entry
from memory.presets import MemoryPreset
from memory.summary import Author
from memory.tiers.thread_rows import Head, Row, Rows
from memory.tiers.working import SlidingWindow
from memory.tokens import TokenCounter

BY_MODEL = "Summary by a model: "
"""Begins a stored summary that is no extract."""


@dataclass(frozen=True, slots=True)
class New:
    """A message that is ready to be written."""

    content: Json
    tokens: int
    trust: Trust


class Work:
    """A thread while its row is locked. After `begin` the window is changed, and `finish` writes what came of it.

    Args:
        rows: In the transaction.
        preset: How much the window holds.
        count: Counts tokens.
    """

    def __init__(self, rows: Rows, *, preset: MemoryPreset, count: TokenCounter) -> None:
        self.rows = rows
        self.fallen: list[Entry] = []
        """What fell out, and belongs into the summary."""
        self.before = Head()
        self.after = Head()
        self._preset = preset
        self._count = count
        self._drops: dict[int, DropReason] = {}
        self._new: dict[int, Row] = {}
        self._recounted: list[Row] = []
        self.window = SlidingWindow(
            max_messages=preset.max_messages,
            max_tokens=preset.prompt_tokens - preset.summary_tokens,
            count=count,
            on_drop=self._dropped,
        )

    async def begin(self, now: datetime) -> None:
        """Lock the thread and read its window."""
        self.before = self.after = await self.rows.lock(now)
        await asyncio.to_thread(self._restore, await self.rows.window())

    def take(self, new: Sequence[New], known: Mapping[str, int], *, is_pinned: bool) -> list[int]:
        """Put messages into the window and return their positions; those in `known` have theirs already.

        Raises:
            NoRoom: there is none for them.
        """
        places = dict(known)
        positions: list[int] = []
        for each in new:
            id_ = each.content.get("id")
            if id_ in places:
                positions.append(places[id_])
                continue
            position = self.after.next_position
            self.after = replace(self.after, next_position=position + 1)
            self._new[position] = Row(
                position=position,
                role=role(each.content),
                content=each.content,
                tokens=each.tokens,
                encoding=self._count.encoding,
                trust=each.trust,
                is_pinned=is_pinned,
            )
            self.window.take(Entry(position, each.content, each.tokens, each.trust), pinned=is_pinned)
            positions.append(position)
            if id_ is not None:
                places[id_] = position
        return positions

    async def clear(self) -> None:
        """Let go of everything but system messages and pins, and of the summary."""
        self.window.clear()
        self.fallen = []
        self.after = replace(self.after, summary="", summarised_to=self.after.next_position, trust=Trust.OPERATOR)
        await self.rows.clear()

    async def finish(self, now: datetime) -> None:
        """Write what changed."""
        if self.fallen:
            lost = await self.rows.lost()
            carried = carried_by(self.after, lost)
            carried = await asyncio.to_thread(
                carried_on, carried, self.fallen, summary_tokens=self._preset.summary_tokens, count=self._count
            )
            last = max(entry.position for entry in self.fallen)
            self.after = replace(
                self.after,
                summary=carried.text,
                summarised_to=max(self.after.summarised_to, last + 1),
                trust=carried.trust,
            )
        await self.rows.append([replace(row, dropped=self._drops.get(at)) for at, row in self._new.items()], now)
        await self.rows.drop({at: reason for at, reason in self._drops.items() if at not in self._new})
        await self.rows.recount(self._recounted)
        if self.after != self.before:
            await self.rows.set_head(self.after, now)

    def _restore(self, rows: Sequence[Row]) -> None:
        counted = [recounted(row, self._count) for row in rows]
        self._recounted = [new for new, old in zip(counted, rows, strict=True) if new is not old]
        self.window.restore([entry_of(row) for row in counted], pins={row.position for row in counted if row.is_pinned})

    def _dropped(self, entry: Entry, reason: DropReason) -> None:
        self._drops[entry.position] = reason
        if reason in FELL:
            self.fallen.append(entry)


def recounted(row: Row, count: TokenCounter) -> Row:
    """Return the row as `count` counts it; the same one where that is how it was counted."""
    if row.encoding == count.encoding:
        return row
    return replace(row, tokens=count.count_message(row.content), encoding=count.encoding)


def entry_of(row: Row) -> Entry:
    """Return the row as a window holds it."""
    return Entry(row.position, row.content, row.tokens, row.trust)


def carried_by(head: Head, lost: Mapping[DropReason, int]) -> Carried:
    """Return what the thread knows of the messages that fell out."""
    is_model = head.summary.startswith(BY_MODEL)
    return Carried(
        text=head.summary.removeprefix(BY_MODEL),
        messages=sum(number for reason, number in lost.items() if reason in FELL),
        trust=head.trust,
        author=Author.MODEL if is_model else Author.EXTRACT,
    )
