"""Writers that share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from aurora.storage.group_commit import GroupCommit


class Ledger:
    """Writes numbers; a transaction lasts until the test opens the gate."""

    def __init__(self) -> None:
        self.transactions: list[list[int]] = []
        self.gate = asyncio.Event()

    async def commit(self, numbers: Sequence[int]) -> list[str | Exception]:
        await self.gate.wait()
        if 13 in numbers:
            raise ValueError("spoils the transaction")
        self.transactions.append(list(numbers))
        return [KeyError(number) if number < 0 else f"wrote {number}" for number in numbers]


async def _started(group: GroupCommit[int, str], *numbers: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.ensure_future(group.submit(number)) for number in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_those_who_wait_share_the_next_transaction() -> None:
    ledger = Ledger()
    group: GroupCommit[int, str] = GroupCommit(ledger.commit)

    tasks = await _started(group, 1, 2, 3, 4)
    ledger.gate.set()

    assert await asyncio.gather(*tasks) == ["wrote 1", "wrote 2", "wrote 3", "wrote 4"]
    assert ledger.transactions in ([[1], [2, 3, 4]], [[1, 2, 3, 4]])


async def test_an_error_of_one_item_is_its_own() -> None:
    ledger = Ledger()
    ledger.gate.set()
    group: GroupCommit[int, str] = GroupCommit(ledger.commit)

    results = await asyncio.gather(*(group.submit(number) for number in (1, -2, 3)), return_exceptions=True)

    assert [str(each) for each in results] == ["wrote 1", "-2", "wrote 3"]
    assert isinstance(results[1], KeyError)


async def test_an_item_that_spoils_the_transaction_hurts_no_other() -> None:
    ledger = Ledger()
    group: GroupCommit[int, str] = GroupCommit(ledger.commit)

    first, *rest = await _started(group, 1, 2, 13, 3)
    ledger.gate.set()
    results = await asyncio.gather(first, *rest, return_exceptions=True)

    assert [results[0], results[1], results[3]] == ["wrote 1", "wrote 2", "wrote 3"]
    assert isinstance(results[2], ValueError)


async def test_whoever_leads_may_be_cancelled_and_the_others_are_still_written() -> None:
    ledger = Ledger()
    group: GroupCommit[int, str] = GroupCommit(ledger.commit)
    leader, *others = await _started(group, 1, 2, 3)

    leader.cancel()
    await asyncio.sleep(0)
    ledger.gate.set()

    assert await asyncio.gather(*others) == ["wrote 2", "wrote 3"]
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert [number for numbers in ledger.transactions for number in numbers if number != 1] == [2, 3]
