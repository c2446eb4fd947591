"""The checkpoint saver on PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from aurora.kernel.errors import StorageUnavailable
from aurora.storage.checkpoints import AuroraSaver
from tests.contract.checkpoints.clauses import SaverContract, new_thread, put
from tests.contract.checkpoints.graphs import GraphContract
from tests.contract.checkpoints.ledger import claim

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(engine_postgres):
    return engine_postgres


@pytest.fixture
def url(postgres_database_url):
    return postgres_database_url


class TestPostgresSaver(SaverContract):
    async def test_a_lost_connection_fails_one_put_and_the_next_has_a_new_one(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            async with engine.connect() as connection:
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

            with pytest.raises(StorageUnavailable):
                await put(saver, stored, step=1)
            await put(saver, stored, step=2)

            assert (await saver.aget_tuple(config)).metadata["step"] == 2


class TestPostgresGraphs(GraphContract):
    pass
