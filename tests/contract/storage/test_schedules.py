"""Schedules, retention and abandoned batches, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.unit_of_work import Storage
from tests.contract.storage.schedules import SchedulesContract
from tests.contract.storage.upkeep import AbandonedContract, RetentionContract


class _OnSqlite:
    @pytest.fixture
    def storage(self, engine_sqlite: AsyncEngine) -> Storage:
        return Storage(engine_sqlite)


class _OnPostgres:
    @pytest.fixture
    def storage(self, engine_postgres: AsyncEngine) -> Storage:
        return Storage(engine_postgres)


class TestSchedulesOnSqlite(_OnSqlite, SchedulesContract):
    pass


class TestRetentionOnSqlite(_OnSqlite, RetentionContract):
    pass


class TestAbandonedOnSqlite(_OnSqlite, AbandonedContract):
    pass


@pytest.mark.integration
class TestSchedulesOnPostgres(_OnPostgres, SchedulesContract):
    pass


@pytest.mark.integration
class TestRetentionOnPostgres(_OnPostgres, RetentionContract):
    pass


@pytest.mark.integration
class TestAbandonedOnPostgres(_OnPostgres, AbandonedContract):
    pass


def test_no_clause_went_missing() -> None:
    for contract in (
        TestSchedulesOnSqlite,
        TestSchedulesOnPostgres,
        TestRetentionOnSqlite,
        TestRetentionOnPostgres,
        TestAbandonedOnSqlite,
        TestAbandonedOnPostgres,
    ):
        assert sum(name.startswith("test_") for name in dir(contract)) == contract.clauses
