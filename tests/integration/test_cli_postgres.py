"""The command line on a real PostgreSQL says what it says on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.command import alert, aurora, write_lines
from tests.services import fresh_postgres_database, running_postgres

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
async def postgres(server: str) -> AsyncIterator[str]:
    async with fresh_postgres_database(server) as url:
        yield url


def test_verdicts_and_corrections_are_the_same_on_both_databases(tmp_path, postgres):
    rows = [alert(n % 12, user=f"user-{n % 3}@corp.example") for n in range(20)]
    file = write_lines(tmp_path / "a.jsonl", [*rows, {"title": "rejected"}])
    told = []

    for db in (f"sqlite:///{tmp_path}/aurora.db", postgres):
        first = aurora("triage", file, "--json", "--db", db)
        alert_id = first.documents[3]["alert_id"]
        decided = aurora("alerts", "decide", alert_id, "--verdict", "benign", "--reason", "ours", "--close", "--db", db)
        after = aurora("triage", file, "--json", "--db", db)
        shown = aurora("alerts", "show", alert_id, "--json", "--db", db).documents[0]
        run = aurora("runs", "show", shown["run_id"], "--json", "--db", db).documents[0]
        assert (first.status, decided.status, after.status) == (1, 0, 1)
        assert aurora("db", "check", "--db", db).status == 0
        told.append(
            (
                [_essence(each) for each in (*first.documents, *after.documents)],
                [(each["verdict"], each["decided_by"]) for each in shown["history"]],
                [each["node"] for each in run["steps"]],
                [each["reason"] for each in aurora("alerts", "rejected", "--json", "--db", db).documents],
            )
        )

    assert told[0] == told[1]


def _essence(document):
    drawn = {"alert_id", "duplicate_of", "case_id", "run_id"}
    return {key: value for key, value in document.items() if key not in drawn} | {
        "is_duplicate": document["duplicate_of"] is not None,
        "has_case": document["case_id"] is not None,
    }
