"""The checkpoint saver on SQLite."""

from __future__ import annotations

import pytest

from aurora.kernel.errors import ConfigError
from aurora.storage.checkpoints import AuroraSaver
from aurora.storage.engine import open_engine
from tests.contract.checkpoints.clauses import SaverContract
from tests.contract.checkpoints.graphs import GraphContract


@pytest.fixture
def engine(engine_sqlite):
    return engine_sqlite


@pytest.fixture
def url(sqlite_database_url):
    return sqlite_database_url


class TestSqliteSaver(SaverContract):
    async def test_the_writers_connection_syncs_at_every_commit(self, engine) -> None:
        async with AuroraSaver.open(engine) as saver:
            read = saver._writer._connection.execute

            assert read("PRAGMA journal_mode").fetchone() == ("wal",)
            assert read("PRAGMA synchronous").fetchone() == (2,)
            assert read("PRAGMA foreign_keys").fetchone() == (1,)

    @pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
    async def test_a_database_in_memory_is_refused(self, memory) -> None:
        async with open_engine(memory) as engine:
            with pytest.raises(ConfigError, match="needs a database file"):
                async with AuroraSaver.open(engine):
                    pass


class TestSqliteGraphs(GraphContract):
    pass
