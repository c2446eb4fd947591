"""The public conformance suite of LangGraph's checkpoint savers, all 81 clauses, on both databases."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks

from aurora.storage.checkpoints import AuroraSaver

CLAUSES = {
    "put": 17,
    "put_writes": 10,
    "get_tuple": 10,
    "list": 16,
    "delete_thread": 5,
    "delete_for_runs": 7,
    "copy_thread": 8,
    "prune": 8,
}
"""What langgraph-checkpoint-conformance 0.0.2 holds; an undetected capability would count as passed."""


async def conform(engine) -> None:
    @checkpointer_test(name="AuroraSaver")
    async def saver():
        async with AuroraSaver.open(engine, fenced=False) as opened:
            yield opened

    ran: list[tuple[str, str]] = []
    failures: list[str] = []

    def record(capability: str, name: str, passed: bool, error: str | None) -> None:  # noqa: FBT001
        ran.append((capability, name))
        if not passed:
            failures.append(f"{capability}.{name}: {error}")

    report = await validate(saver, progress=ProgressCallbacks(on_test_result=record))

    assert failures == []
    assert len(set(ran)) == 81
    assert {name: result.tests_passed for name, result in report.results.items()} == CLAUSES
    assert all(result.detected and not result.tests_skipped for result in report.results.values())


async def test_all_81_clauses_hold_on_sqlite(engine_sqlite) -> None:
    await conform(engine_sqlite)


@pytest.mark.integration
async def test_all_81_clauses_hold_on_postgres(engine_postgres) -> None:
    await conform(engine_postgres)
