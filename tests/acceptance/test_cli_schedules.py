"""`aurora schedules`, `aurora scheduler` and `aurora db prune`."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from aurora.cli.schedules import CatchUpName
from aurora.services.schedule import CatchUp
from tests.command import Result, aurora, finish, start, until


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/aurora.db"


@pytest.fixture
def schedules(database: str) -> Iterator[Any]:
    """Run `aurora schedules` on a database of this test."""

    def run(*arguments: object) -> Result:
        return aurora("schedules", *arguments, "--db", database)

    return run


def test_the_policies_that_the_options_offer_are_those_there_are() -> None:
    assert get_args(CatchUpName) == tuple(CatchUp)


def test_one_that_is_added_is_listed_with_its_next_time_in_utc_and_local(schedules) -> None:
    added = schedules("add", "nightly", "triage", "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--json")
    listed = schedules("list", "--json")

    (document,) = listed.documents
    assert (added.status, listed.status, added.documents) == (0, 0, [document])
    following = datetime.fromisoformat(document["next"])
    assert following > datetime.now(UTC)
    assert datetime.fromisoformat(document["next_local"]) == following
    assert "T02:30" in document["next_local"] or "T03:00" in document["next_local"]
    assert "nightly" in schedules("list").out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["x", "triage"], 2, "either a cron line or an interval"),
        (["x", "triage", "--cron", "0 0 * *"], 2, "five fields"),
        (["x", "triage", "--cron", "0 0 * * *", "--zone", "Berlin"], 2, "did you mean Europe/Berlin"),
        (["x", "triage", "--every", "90"], 2, "--every must be a number with its unit"),
        (["x", "triage", "--every", "1s"], 2, "from a minute"),
        (["x", "triage", "colour=red", "--every", "1h"], 2, "no key of its state"),
        (["x", "nothing", "--every", "1h"], 1, "there is no graph"),
        (["\x1b[31mX", "triage", "--every", "1h"], 2, "no name for a schedule"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_sentence(schedules, arguments, status, told) -> None:
    result = schedules("add", *arguments)

    assert (result.status, result.out) == (status, "")
    assert told in " ".join(result.err.split())
    assert "\x1b[31mX" not in result.err
    assert schedules("list").out == "no schedule; aurora schedules add makes one\n"


def test_pausing_resuming_running_and_removing_tell_what_became_of_each(schedules) -> None:
    schedules("add", "hourly", "triage", "--every", "1h", "--catch-up", "none")

    paused = schedules("pause", "hourly", "nothing")
    now = schedules("run-now", "hourly", "--json", "--broker", "local")
    resumed = schedules("resume", "hourly")
    following = schedules("next", "hourly", "-n", "3", "--json")
    removed = schedules("remove", "hourly")

    assert (paused.status, paused.out) == (1, "hourly: paused\n")
    assert "there is no schedule" in paused.err
    assert now.documents[0]["schedule"] == "hourly"
    assert now.err == "no worker serves triage in lane normal now; it waits until one does: aurora worker\n"
    assert resumed.out.startswith("hourly: resumed; next ")
    slots = [datetime.fromisoformat(each["slot"]) for each in following.documents]
    assert [later - slots[0] for later in slots] == [timedelta(hours=n) for n in range(3)]
    assert (removed.out, schedules("show", "hourly").status) == ("hourly: removed\n", 1)


def test_a_schedule_that_nobody_fires_is_told_as_overdue(schedules, tmp_path) -> None:
    schedules("add", "hourly", "triage", "--every", "1h")
    _pretend_that_it_is_due(tmp_path)

    listed = schedules("list")

    assert "overdue: hourly" in listed.out
    assert "aurora scheduler" in listed.out
    assert "overdue" in schedules("show", "hourly").out


def test_a_scheduler_fires_what_is_due_and_says_why_it_ends(schedules, database, tmp_path) -> None:
    schedules("add", "hourly", "triage", "--every", "1h")
    _pretend_that_it_is_due(tmp_path)

    processes = [start("scheduler", "--db", database, "--log-json") for _ in range(2)]
    both = "SELECT (SELECT count(*) FROM workers) = 2 AND (SELECT count(*) FROM schedule_slots) > 0"
    assert all(until(process, tmp_path / "aurora.db", both) for process in processes)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    ends = [process.communicate(timeout=30) for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    for _, err in ends:
        assert b'"scheduler.started"' in err
        assert b'"scheduler.stopped"' in err
        assert b'"SIGTERM"' in err
    assert [_count(tmp_path, table) for table in ("schedule_slots", "tasks", "workers")] == [1, 1, 0]
    (document,) = schedules("list", "--json").documents
    assert (document["overdue_since"], document["last"]["task_state"]) == (None, "queued")


def test_a_scheduler_that_finds_no_database_says_so_once(tmp_path) -> None:
    result = finish(start("scheduler", "--db", f"sqlite:///{tmp_path}"))

    assert (result.status, len(result.err.splitlines())) == (3, 1), result.err
    assert "the database cannot be opened" in result.err


def test_pruning_says_what_would_go_and_what_went(schedules, database, tmp_path) -> None:
    schedules("add", "hourly", "triage", "--every", "1h")
    schedules("run-now", "hourly")
    with closing(sqlite3.connect(tmp_path / "aurora.db")) as connection:
        connection.execute("UPDATE tasks SET state = 'succeeded', finished_at = '2020-01-01 00:00:00.000000'")
        connection.commit()

    (would,) = aurora("db", "prune", "--dry-run", "--json", "--db", database).documents
    kept = _count(tmp_path, "tasks")
    told = aurora("db", "prune", "--db", database)

    assert (would["dry_run"], would["tasks"], would["runs"], kept) == (True, 1, 1, 1)
    assert (told.status, _count(tmp_path, "tasks"), _count(tmp_path, "runs")) == (0, 0, 0)
    assert "1 task settled before" in told.out


def _pretend_that_it_is_due(tmp_path: Path) -> None:
    earlier = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S.000000")
    with closing(sqlite3.connect(tmp_path / "aurora.db")) as connection:
        connection.execute("UPDATE schedules SET passed = ?", [earlier])
        connection.commit()


def _count(tmp_path: Path, table: str) -> int:
    with closing(sqlite3.connect(tmp_path / "aurora.db")) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
