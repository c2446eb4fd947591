"""The producers' and people's side of the ledger on SQLite."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.unit_of_work import Storage
from tests.contract.ledger.desk import DeskContract
from tests.contract.ledger.house import house

__all__ = ["house"]


@pytest.fixture
def storage(engine_sqlite: AsyncEngine) -> Storage:
    return Storage(engine_sqlite)


class TestDesk(DeskContract):
    pass


def test_no_clause_went_missing() -> None:
    assert sum(name.startswith("test_") for name in dir(DeskContract)) == DeskContract.clauses
