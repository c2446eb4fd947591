"""Which alerts of a batch share rare entities: what corroborates them, and the groups that become cases."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from aurora.kernel.ids import BatchId
from aurora.kernel.models import Severity
from aurora.kernel.windows import HUB, WINDOW
from aurora.storage.repositories.correlation import Correlation, Shared, Sharer

ROWS = 1000
"""Relations written at once."""

VALUES = 400
"""Rare values whose sharers are read at once: at most `HUB` each, so a few MB."""


class Groups:
    """Union-find over the positions of a batch; earlier batches' groups may be joined, never changed.

    Memory: 4 bytes an alert, plus the groups of earlier batches that are touched.
    """

    def __init__(self, size: int) -> None:
        self._parent = array("L", range(size))
        self._older: dict[int, UUID] = {}

    def root(self, position: int) -> int:
        """Return the lowest position of the group."""
        while self._parent[position] != position:
            self._parent[position] = self._parent[self._parent[position]]
            position = self._parent[position]
        return position

    def unite(self, one: int, other: int) -> None:
        """Put two alerts of the batch into one group."""
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return
        self._parent[high] = low
        older = self._older.pop(high, None)
        if older is not None:
            self.adopt(low, older)

    def adopt(self, position: int, group: UUID) -> None:
        """Put an alert of the batch into the group of an earlier batch; the earliest group wins."""
        root = self.root(position)
        self._older[root] = min(group, self._older.get(root, group))

    def moved(self) -> Iterator[tuple[int, int | UUID]]:
        """Yield (position, position of the group's first alert, or id of the earlier group) unless that is itself."""
        for position in range(len(self._parent)):
            root = self.root(position)
            older = self._older.get(root)
            if older is not None:
                yield position, older
            elif root != position:
                yield position, root


async def correlate_batch(correlation: Correlation, batch: BatchId) -> int:
    """Find and write what the alerts of a batch share, and the groups they form; return how many joined another.

    Runs once, when the batch is accepted and before any triage, so that neither depends on the order
    in which alerts are triaged.
    """
    span = await correlation.span(batch)
    if span is None:
        return 0
    size, earliest, latest = span
    groups, relations = Groups(size), list[dict[str, Any]]()
    async for sharers in _shared(correlation, batch, since=earliest - WINDOW, until=latest + WINDOW):
        windows = _windows(sharers)
        _link(groups, sharers, windows, batch)
        relations.extend(_relations(sharers, windows, batch))
        if len(relations) >= ROWS:
            await correlation.relate(relations)
            relations.clear()
    await correlation.relate(relations)
    moved = dict(groups.moved())
    if moved:
        firsts = {position for position in moved.values() if isinstance(position, int)}
        ids = {seq: alert async for seq, alert in correlation.ids(batch) if seq in firsts}
        await correlation.regroup(batch, [(seq, ids[to] if isinstance(to, int) else to) for seq, to in moved.items()])
    return len(moved)


async def _shared(
    correlation: Correlation, batch: BatchId, *, since: datetime, until: datetime
) -> AsyncIterator[list[Sharer]]:
    """Yield the sharers of one value at a time, in time order, but not those of values that are hubs throughout."""
    rare = list[Shared]()
    async for value in correlation.shared(batch, since=since, until=until, crowded=HUB):
        if value.is_crowded and await _is_hub(correlation, value, batch):
            continue
        rare.append(value)
        if value.is_crowded or len(rare) == VALUES:
            async for sharers in correlation.sharers(rare, batch, since=since, until=until):
                yield sharers
            rare.clear()
    async for sharers in correlation.sharers(rare, batch, since=since, until=until):
        yield sharers


async def _is_hub(correlation: Correlation, value: Shared, batch: BatchId) -> bool:
    """Tell whether more than `HUB` alerts name a value within the window of each alert of the batch that does.

    A few index look-ups for each day on which the batch names it. What is a hub in this sense neither
    links nor corroborates an alert of the batch, so that nobody needs to read the alerts that share it.
    """
    start: datetime | None = value.first
    while start is not None:
        end = min(start + WINDOW, value.last)
        # This span lies within the window of every alert from `start` to `end`.
        if not await correlation.is_named_by_more(HUB, value, batch, since=end - WINDOW, until=start + WINDOW):
            return False
        start = await correlation.next_moment(value, batch, after=end) if end < value.last else None
    return True


def _windows(sharers: Sequence[Sharer]) -> list[range]:
    """Return for each sharer the positions of those within the window around it, itself included."""
    windows, start, end = list[range](), 0, 0
    for sharer in sharers:
        while sharer.event_time - sharers[start].event_time > WINDOW:
            start += 1
        while end < len(sharers) and sharers[end].event_time - sharer.event_time <= WINDOW:
            end += 1
        windows.append(range(start, end))
    return windows


def _link(groups: Groups, sharers: Sequence[Sharer], windows: Sequence[range], batch: BatchId) -> None:
    """Link neighbours in time that name one value within the window, unless it is a hub there."""
    for position in range(1, len(sharers)):
        previous, sharer = sharers[position - 1], sharers[position]
        if (
            sharer.event_time - previous.event_time > WINDOW
            or max(map(len, windows[position - 1 : position + 1])) > HUB
        ):
            continue
        if sharer.batch_id == batch and previous.batch_id == batch:
            groups.unite(sharer.seq, previous.seq)
        elif sharer.batch_id == batch:
            groups.adopt(sharer.seq, previous.group_id)
        elif previous.batch_id == batch:
            groups.adopt(previous.seq, sharer.group_id)


def _relations(sharers: Sequence[Sharer], windows: Sequence[range], batch: BatchId) -> Iterator[dict[str, Any]]:
    """Yield, for each alert of the batch, what the others say that name the same rare value."""
    for position, (sharer, window) in enumerate(zip(sharers, windows, strict=True)):
        if sharer.batch_id != batch or not 1 < len(window) <= HUB:
            continue
        others = [sharers[each] for each in window if each != position]
        yield {
            "alert_id": sharer.alert_id,
            "type": sharer.type,
            "value": sharer.value,
            "alerts": len(others),
            "severe": sum(Severity(each.severity).is_severe for each in others),
            "rules": len({(each.source, each.rule) for each in others}),
            "sources": sorted({each.source for each in others}),
            "techniques": sorted({technique for each in others for technique in each.techniques}),
            "example": others[0].alert_id,
        }
