"""The chain of events: whatever is changed, removed, moved or cut off is found."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.chain import Chain, ChainReport, events, verify
from memory.models import EventModel, HeadModel
from memory.ports import Transactions

TENANT = "t1"


async def add(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory, count: int, tenant: str = TENANT
) -> None:
    async with transactions.writing() as connection:
        chain = await Chain.lock(connection, tenant=tenant)
        for number in range(count):
            chain.add("stored", ids(), actor="analyst", at=clock.now(), details={"n": number, "who": "ä"})
        await chain.flush()


async def report(transactions: Transactions, tenant: str = TENANT) -> ChainReport:
    async with transactions.reading() as connection:
        return await verify(connection, tenant)


async def test_an_untouched_chain_verifies(transactions: Transactions, clock: ManualClock, ids: Uuid7Factory) -> None:
    await add(transactions, clock, ids, 3)
    await add(transactions, clock, ids, 2)

    assert await report(transactions) == ChainReport(ok=True, events=5)
    async with transactions.reading() as connection:
        assert [each.number for each in await events(connection, TENANT, after=3)] == [4, 5]


async def test_an_empty_chain_verifies(transactions: Transactions) -> None:
    assert await report(transactions) == ChainReport(ok=True, events=0)


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        (update(EventModel).where(EventModel.number == 2).values(actor="mallory"), 2),
        (update(EventModel).where(EventModel.number == 3).values(details={"n": 9}), 3),
        (delete(EventModel).where(EventModel.number == 2), 2),
        (delete(EventModel).where(EventModel.number == 4), 4),
        (update(EventModel).where(EventModel.number == 4).values(number=9), 4),
        (update(HeadModel).values(number=3), 5),
        (delete(HeadModel), 5),
        (delete(EventModel), 1),
    ],
)
async def test_a_change_is_found_and_the_first_bad_event_named(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory, change: object, bad: int
) -> None:
    await add(transactions, clock, ids, 4)

    async with transactions.writing() as connection:
        await connection.execute(change)  # type: ignore[call-overload]
    found = await report(transactions)

    assert not found.ok
    assert found.first_bad == bad
    assert found.why


async def test_tenants_have_chains_of_their_own(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add(transactions, clock, ids, 2)
    await add(transactions, clock, ids, 3, tenant="t2")

    assert (await report(transactions)).events == 2
    assert (await report(transactions, "t2")).events == 3


async def test_writers_that_come_at_once_take_turns(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """Often, for most of what can go wrong goes wrong before a tenant has a chain."""
    tenants = [f"tenant-{number}" for number in range(12)]
    for tenant in tenants:
        await asyncio.gather(*(add(transactions, clock, ids, 5, tenant) for _ in range(8)))

    assert [await report(transactions, tenant) for tenant in tenants] == [ChainReport(ok=True, events=40)] * 12


async def test_events_do_not_go_back_in_time_when_the_clock_is_set_back(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add(transactions, clock, ids, 1)
    late = clock.now()
    early = ManualClock(late - timedelta(hours=1))

    await add(transactions, early, ids, 2)

    async with transactions.writing() as connection:
        assert (await Chain.lock(connection, tenant=TENANT)).at == late
        assert [each.at for each in await events(connection, TENANT)] == [late, late, late]
    assert (await report(transactions)).ok
