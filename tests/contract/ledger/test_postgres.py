"""The ledger on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.kernel.ids import BatchId
from aurora.kernel.models import TaskState
from aurora.storage.models import BatchModel, TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.unit_of_work import Storage
from tests.contract.ledger.claiming import ClaimingContract
from tests.contract.ledger.house import House, failed, house, succeeded
from tests.contract.ledger.leases import LeasesContract
from tests.contract.ledger.people import PeopleContract
from tests.contract.ledger.settling import SettlingContract

__all__ = ["house"]

pytestmark = pytest.mark.integration


@pytest.fixture
def storage(engine_postgres: AsyncEngine) -> Storage:
    return Storage(engine_postgres)


class TestClaiming(ClaimingContract):
    pass


class TestLeases(LeasesContract):
    pass


class TestSettling(SettlingContract):
    pass


class TestPeople(PeopleContract):
    pass


def test_no_clause_went_missing() -> None:
    for contract in (ClaimingContract, LeasesContract, SettlingContract, PeopleContract):
        assert sum(name.startswith("test_") for name in dir(contract)) == contract.clauses


class TestOrderOfLocks:
    """Who locks many rows in another order than that of ids waits for one who waits for it."""

    async def test_endings_of_all_kinds_are_locked_in_the_order_of_ids(self, house: House) -> None:
        await house.submit(2)
        one, two = await house.claim()

        async with house.storage.writing() as transaction:
            await transaction.tasks.hold([one])
            ending = asyncio.create_task(house.end(failed(one), succeeded(two)))
            await until_somebody_waits(house.storage)
            held = await transaction.tasks.hold([one, two])

        assert held == {one.id, two.id}
        assert (await ending).settled == {one.id, two.id}

    async def test_tasks_whose_batch_is_accepted_are_locked_in_the_order_of_ids(self, house: House) -> None:
        """Another command works on some of them already: their alerts are among its own."""
        submitted = await house.submit(20)
        batch = BatchId(house.ids())
        row = {"id": batch, "inputs": [], "inputs_digest": b"", "state": "accepting", "counts": {}}
        values = {"state": TaskState.RUNNING, "epoch": 1, "batch_id": batch, "run_at": HELD}
        async with house.storage.writing() as transaction:
            await transaction.connection.execute(insert(BatchModel).values(**row, opened_at=house.clock.now()))
            for task in reversed(submitted):  # so that they lie in this order
                await transaction.connection.execute(update(TaskModel).where(TaskModel.id == task.id).values(**values))
            await transaction.connection.execute(text("ANALYZE tasks"))  # now it reads them as they lie
        tasks = [task.model_copy(update={"epoch": 1}) for task in submitted]

        async def accept() -> None:
            async with house.storage.writing() as transaction:
                await transaction.batches.accepted(batch, at=house.clock.now())

        async with house.storage.writing() as transaction:
            await transaction.tasks.hold(tasks[:1])
            accepting = asyncio.create_task(accept())
            await until_somebody_waits(house.storage)
            held = await transaction.tasks.hold(tasks)
        await accepting

        assert len(held) == 20
        assert {(await house.row(task)).run_at for task in tasks} == {house.clock.now()}


async def until_somebody_waits(storage: Storage) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while True:
        async with storage.reading() as transaction:
            if (await transaction.connection.execute(waiting)).scalar_one():
                return
