"""Killed at any moment and run again: no alert is lost, none is triaged twice, and nothing else changes."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess

import pytest

from tests.command import alert, aurora, finish, start, until, write_lines

pytestmark = pytest.mark.slow

ALERTS, RECORDS = 150, 180

MOMENTS = [
    "SELECT count(*) FROM batches",
    "SELECT count(*) FROM tasks",
    "SELECT count(*) FROM checkpoints",
    "SELECT count(*) FROM verdicts",
    "SELECT count(*) > 40 FROM verdicts",
    "SELECT count(*) > 100 FROM verdicts",
    "SELECT count(*) > 148 FROM verdicts",
]


@pytest.fixture
def file(tmp_path):
    """150 different alerts and 30 repetitions; some share a user, so that they are related."""
    numbers = [*range(ALERTS), *range(0, 5 * (RECORDS - ALERTS), 5)]
    rows = [
        alert(n, user=f"user-{n % 30}@corp.example", severity=("low", "medium", "high", "critical")[n % 4])
        for n in numbers
    ]
    return write_lines(tmp_path / "alerts.jsonl", rows)


def test_a_command_that_is_killed_again_and_again_ends_as_if_nothing_had_been(tmp_path, file):
    reference = aurora("triage", file, "--json", "--db", f"sqlite:///{tmp_path}/reference.db").documents
    database = tmp_path / "killed.db"
    kills = 0

    for moment in MOMENTS:
        process = start("triage", file, "--db", f"sqlite:///{database}")
        if until(process, database, moment):
            process.kill()
            kills += 1
        finish(process)
    result = finish(start("triage", file, "--json", "--db", f"sqlite:///{database}"))

    assert kills >= 5
    assert result.status == 0, result.err
    assert [_essence(each) for each in _by_line(result.documents)] == [_essence(each) for each in _by_line(reference)]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        counted = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("alerts", "alert_records", "tasks", "runs", "verdicts")
        }
        twice = connection.execute(
            "SELECT count(*) FROM (SELECT alert_id FROM verdicts GROUP BY alert_id HAVING count(*) > 1)"
        ).fetchone()
        states = connection.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        seen = connection.execute("SELECT sum(count) FROM alerts").fetchone()
    assert counted == {"alerts": ALERTS, "alert_records": RECORDS, "tasks": ALERTS, "runs": ALERTS, "verdicts": ALERTS}
    assert twice == (0,)
    assert states == [("succeeded", ALERTS)]
    assert seen == (RECORDS,)


def _by_line(documents):
    """Return the documents with ids replaced by what does not depend on when they were drawn."""
    lines = {each["alert_id"]: each["line"] for each in documents}
    cases: dict[str, int] = {}
    for each in documents:
        cases.setdefault(each["case_id"], each["line"])
    return [
        {
            **each,
            "alert_id": each["line"],
            "duplicate_of": lines.get(each["duplicate_of"]),
            "case_id": cases[each["case_id"]],
        }
        for each in documents
    ]


def _essence(document):
    return {key: value for key, value in document.items() if key != "run_id"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_says_how_to_go_on_and_goes_on(tmp_path, file, number, status):
    database = tmp_path / "stopped.db"
    process = start("triage", file, "--db", f"sqlite:///{database}")
    assert until(process, database, "SELECT count(*) > 3 FROM verdicts")

    process.send_signal(number)
    stopped = finish(process)
    again = aurora("triage", file, "--json", "--db", f"sqlite:///{database}")

    assert stopped.status == status
    assert stopped.err.strip() == "aurora: stopped; what is done is kept; run the same command again to go on"
    assert stopped.out == ""
    assert again.status == 0
    assert len(again.documents) == RECORDS


def test_a_command_that_waits_for_input_stops_at_once(tmp_path):
    database = tmp_path / "waiting.db"
    process = start("triage", "-", "--db", f"sqlite:///{database}", stdin=subprocess.PIPE)
    assert until(process, database, "SELECT count(*) FROM batches")

    process.send_signal(signal.SIGTERM)
    status = process.wait(timeout=30)

    process.communicate()
    assert status == 143


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path, file):
    process = start("triage", file, "--json", "--db", f"sqlite:///{tmp_path}/pipe.db")
    assert process.stdout is not None

    first = process.stdout.readline()
    process.stdout.close()
    status = process.wait(timeout=180)
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()

    assert first.startswith(b'{"alert_id":')
    assert said == b""
    assert status == 141
