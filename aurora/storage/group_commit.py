"""Lets writers that come at the same time share one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aurora.kernel.errors import StorageUnavailable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(slots=True, eq=False)
class _Entry(Generic[ItemT, ResultT]):
    item: ItemT
    result: ResultT | Exception | None = None


class GroupCommit(Generic[ItemT, ResultT]):
    """Whoever comes first writes for all that wait by then; the others find their result when it is done.

    Args:
        commit: Writes items in one transaction and returns, for each, its result or the error that is
            its own. What it raises concerns the whole transaction: nothing was written. It must be safe
            to repeat, for a caller may be cancelled just after the commit.
    """

    def __init__(self, commit: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]]) -> None:
        self._commit = commit
        self._turn = asyncio.Lock()
        self._waiting: list[_Entry[ItemT, ResultT]] = []

    async def submit(self, item: ItemT) -> ResultT:
        """Write an item and return its result once it is durable."""
        entry: _Entry[ItemT, ResultT] = _Entry(item)
        self._waiting.append(entry)
        try:
            async with self._turn:
                if entry.result is None:
                    await self._write_all()
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise
        if isinstance(entry.result, Exception):
            raise entry.result
        assert entry.result is not None
        return entry.result

    async def _write_all(self) -> None:
        entries, self._waiting = self._waiting, []
        try:
            await self._write(entries)
        finally:
            # Cancelled in between: what has no result waits for the next caller's turn.
            self._waiting[:0] = [each for each in entries if each.result is None]

    async def _write(self, entries: list[_Entry[ItemT, ResultT]]) -> None:
        try:
            results = await self._commit([each.item for each in entries])
        except StorageUnavailable as error:  # nobody's item is at fault, and each try may wait long for the lock
            for each in entries:
                each.result = error
            return
        except Exception as error:  # noqa: BLE001 - it is handed to the caller whose item it concerns
            if len(entries) == 1:
                entries[0].result = error
                return
            for each in entries:  # one item may have spoilt it for all
                await self._write([each])
            return
        for each, result in zip(entries, results, strict=True):
            each.result = result
