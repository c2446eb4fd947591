"""The producers' and people's side of the ledger on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.repositories.tasks import NEAR
from aurora.storage.unit_of_work import Storage
from tests.contract.ledger.desk import DeskContract
from tests.contract.ledger.house import House, house

__all__ = ["house"]

pytestmark = pytest.mark.integration


@pytest.fixture
def storage(engine_postgres: AsyncEngine) -> Storage:
    return Storage(engine_postgres)


class TestDesk(DeskContract):
    pass


async def test_far_from_the_quota_nobody_waits_for_another_submission(house: House) -> None:
    async with house.storage.writing() as transaction:
        await transaction.tasks.submit(house.task(), max_queued=NEAR + 10)

        async with asyncio.timeout(10), house.storage.writing() as another:
            await another.tasks.submit(house.task(), max_queued=NEAR + 10)

    assert await house.states() == {"queued": 2}


@pytest.mark.parametrize(("most", "expected"), [(None, 2), (NEAR + 10, 3)])
async def test_a_submission_takes_few_statements(house: House, most: int | None, expected: int) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(house.storage.engine.sync_engine, "before_cursor_execute", note)
    async with house.storage.writing() as transaction:
        await transaction.tasks.submit(house.task(), max_queued=most)

    assert len(statements) == expected


def test_no_clause_went_missing() -> None:
    assert sum(name.startswith("test_") for name in dir(DeskContract)) == DeskContract.clauses
