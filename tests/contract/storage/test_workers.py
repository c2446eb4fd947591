"""The presence of workers, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.unit_of_work import Storage
from tests.contract.storage.workers import WorkersContract


class TestOnSqlite(WorkersContract):
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


@pytest.mark.integration
class TestOnPostgres(WorkersContract):
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)


def test_no_clause_went_missing() -> None:
    for contract in (TestOnSqlite, TestOnPostgres):
        assert sum(name.startswith("test_") for name in dir(contract)) == contract.clauses
