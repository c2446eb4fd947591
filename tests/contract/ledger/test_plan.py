"""How SQLite finds what is to be claimed: by the index of queued tasks, whatever else there is."""

from __future__ import annotations

import pytest
from sqlalchemy import event, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.dispatch.fairness import Shares
from aurora.kernel.ids import Uuid7Factory
from aurora.storage.models import TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.repositories.claim_statements import statements
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.ledger.house import ALL, House

MANY = 20_000
EVERY = tuple(range(9, -1, -1))


@pytest.fixture
async def house(engine_sqlite: AsyncEngine, clock: ManualClock, ids: Uuid7Factory) -> House:
    """A ledger with many tasks that nobody looks for, and some that are due."""
    house = House(Storage(engine_sqlite), clock, ids)
    for state, run_at in (("succeeded", clock.now()), ("queued", HELD)):
        rows = [
            {
                "id": task_id,
                "run_id": task_id,
                "tenant": "default",
                "graph": "triage",
                "thread_id": str(number),
                "priority": number % 10,
                "idempotency_key": f"{state}:{number}",
                "state": state,
                "run_at": run_at,
                "created_at": clock.now(),
            }
            for number, task_id in enumerate(ids() for _ in range(MANY))
        ]
        async with house.storage.writing() as transaction:
            await transaction.connection.execute(insert(TaskModel.__table__), rows)
    for tenant in ("default", "other"):
        for priority in range(10):
            await house.submit(tenant=tenant, priority=priority)
    return house


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_the_index_of_queued_tasks_is_searched_for_each_priority(house: House, *, is_analyzed: bool) -> None:
    texts = statements("sqlite")
    at = "2026-11-22 12:00:00.000000"
    best = (texts.claim_best(EVERY), ("w", at, "{}", '["triage"]', at, 5, "default"))
    several = (texts.candidates(EVERY), ('[{"tenant":"default","n":3}]', '["triage"]', at, 3))

    async with house.storage.writing() as transaction:
        if is_analyzed:
            await transaction.connection.exec_driver_sql("ANALYZE")
        plans = [
            [row[3] for row in await transaction.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            for text, values in (best, several)
        ]

    for plan in plans:
        searched = [line for line in plan if "USING INDEX ix_tasks_queued" in line]
        assert searched == ["SEARCH tasks USING INDEX ix_tasks_queued (tenant=? AND priority=? AND run_at<?)"] * 10
        assert not [line for line in plan if line.startswith("SCAN task") or "TEMP B-TREE" in line]


@pytest.mark.parametrize("shares", [Shares(), Shares(running={"default": 50})])
async def test_a_claim_costs_what_it_takes_and_not_what_lies_about(house: House, shares: Shares) -> None:
    """Counts the steps of SQLite's machine: the same on every computer."""
    steps = []

    @event.listens_for(house.storage.engine.sync_engine, "checkout")
    def counting(dbapi: object, *_: object) -> None:
        raw = dbapi.driver_connection._conn  # type: ignore[attr-defined]
        raw.set_progress_handler(lambda: steps.append(1) and None, 100)

    worker = house.worker(shares=shares)

    turn = await worker.turn((), limit=64, scope=ALL)

    assert len(turn.claimed) == 20
    assert 0 < 100 * len(steps) < MANY
