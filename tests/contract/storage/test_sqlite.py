"""The storage contracts on SQLite."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.unit_of_work import Storage
from tests.contract.storage.acceptance import AcceptanceContract, CaseContract, RecallContract
from tests.contract.storage.journal import JournalContract


@pytest.fixture
def storage(engine_sqlite: AsyncEngine) -> Storage:
    return Storage(engine_sqlite)


class TestAcceptance(AcceptanceContract):
    pass


class TestCases(CaseContract):
    pass


class TestRecall(RecallContract):
    pass


class TestJournal(JournalContract):
    pass


def test_no_clause_went_missing() -> None:
    for contract in (AcceptanceContract, CaseContract, RecallContract, JournalContract):
        assert sum(name.startswith("test_") for name in dir(contract)) == contract.clauses
