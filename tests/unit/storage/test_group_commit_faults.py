"""Writers that share a transaction, when the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aurora.kernel.errors import StorageUnavailable
from aurora.storage.group_commit import GroupCommit


async def test_a_database_that_is_away_is_asked_once_for_all_who_wait() -> None:
    """One by one, sixty-four writers would wait for the lock of a busy file one after the other: half an hour."""
    asked: list[int] = []

    async def commit(items: Sequence[int]) -> list[int | Exception]:
        asked.append(len(items))
        await asyncio.sleep(0)
        raise StorageUnavailable("locked")

    group: GroupCommit[int, int] = GroupCommit(commit)

    results = await asyncio.gather(*(group.submit(number) for number in range(8)), return_exceptions=True)

    assert [type(each) for each in results] == [StorageUnavailable] * 8
    assert len(asked) <= 2
