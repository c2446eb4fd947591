"""`aurora tasks` and `aurora status`: what people see of dispatch, and what they can change."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from aurora.cli.tasks import StateName
from aurora.kernel.models import TaskState
from tests.command import alert, aurora, finish, start, write_lines


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A database with four triaged alerts; tests set the rows of their tasks as they need them."""
    found = Ledger(tmp_path / "aurora.db")
    file = write_lines(tmp_path / "a.jsonl", [alert(n) for n in range(4)])
    assert aurora("triage", file, "--db", found.url).status == 0
    return found


class Ledger:
    """A database file whose rows are changed behind Aurora's back."""

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self._file = file

    def tasks(self) -> list[str]:
        """Return the ids of the tasks, the oldest first."""
        return [row[0] for row in self._execute("SELECT id FROM tasks ORDER BY id")]

    def change(self, task: str, **values: Any) -> None:
        """Set columns of a task."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self._execute(f"UPDATE tasks SET {columns} WHERE id = ?", *values.values(), task)

    def dead(self, task: str, reason: str = "disk full") -> None:
        """Have a task used up its attempts."""
        self.change(task, state="dead", attempt=5, error="aurora.storage", reason=reason)

    def running(self, task: str, owner: str, *, seconds: float = 9) -> None:
        """Have a task held by somebody."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        self.change(task, state="running", owner=owner, lease_until=until.strftime("%Y-%m-%d %H:%M:%S.%f"))

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self._file)) as connection, connection:
            return connection.execute(statement, values).fetchall()


def test_the_names_of_states_are_those_of_the_domain():
    assert get_args(StateName) == tuple(TaskState)


def test_tasks_are_listed_by_state_and_shown_by_the_end_of_their_id(ledger):
    one, *_ = ledger.tasks()
    ledger.dead(one)

    (dead,) = aurora("tasks", "list", "--state", "dead", "--json", "--db", ledger.url).documents
    everything = aurora("tasks", "list", "--json", "--db", ledger.url).documents
    (shown,) = aurora("tasks", "show", one[-8:], "--json", "--db", ledger.url).documents
    human = aurora("tasks", "show", one[-8:], "--db", ledger.url).out

    assert dead["task_id"].replace("-", "") == one
    assert len(everything) == 4
    assert everything[0]["created"] >= everything[-1]["created"]
    assert shown["verdict"]["label"]
    for part in ("disk full", "5 of 5", f"aurora tasks replay {one[-8:]}", "aurora alerts show", "aurora runs show"):
        assert part in human


def test_when_a_result_was_told_is_not_shown_as_when_the_task_was_announced(ledger):
    one, two, *_ = ledger.tasks()
    ledger.change(one, notified_at="2026-06-16 08:00:00.000000")
    ledger.change(two, notified_at="2026-06-16 08:00:00.000000", state="queued", finished_at=None)

    assert "announced" not in aurora("tasks", "show", one[-8:], "--db", ledger.url).out
    assert "announced" in aurora("tasks", "show", two[-8:], "--db", ledger.url).out


def test_dead_letters_are_told_with_their_reason_and_what_to_do(ledger):
    one, two, *_ = ledger.tasks()
    ledger.dead(one, reason="disk \x1b[2J full")
    before = aurora("tasks", "dead", "--graph", "hunt", "--db", ledger.url).out
    ledger.dead(two)

    said = aurora("tasks", "dead", "--db", ledger.url).out
    documents = aurora("tasks", "dead", "--json", "--db", ledger.url).documents

    assert before == "no dead letter\n"
    assert one[-8:] in said
    assert two[-8:] in said
    assert "disk full" in said
    assert "\x1b" not in said
    assert "aurora tasks replay ID" in said
    assert {each["state"] for each in documents} == {"dead"}


def test_some_are_cancelled_and_what_cannot_be_is_said_and_stops_no_other(ledger):
    done, queued, held, _ = ledger.tasks()
    ledger.change(queued, state="queued")
    ledger.running(held, "web-1:42:7:ab")

    result = aurora("tasks", "cancel", done[-8:], queued[-8:], held[-8:], "ffffffff", "--db", ledger.url)

    assert result.status == 1
    assert f"task {queued[-8:]}: cancelled\n" in result.out
    assert f"task {held[-8:]}: runs on web-1:42; it is cancelled with the next heartbeat" in result.out
    assert len(result.err.splitlines()) == 2, result.err


def test_a_dead_task_is_retried_and_then_carried_out(ledger):
    one, *_ = ledger.tasks()
    ledger.dead(one)

    (changed,) = aurora("tasks", "retry", one[-8:], "--json", "--db", ledger.url).documents

    assert (changed["state"], changed["attempt"]) == ("queued", 0)
    again = aurora("tasks", "retry", one[-8:], "--broker", "local", "--db", ledger.url)
    assert again.status == 0, "it is queued: that is now"
    assert "no worker serves triage" in again.err


def test_a_replay_is_another_task(ledger):
    one, *_ = ledger.tasks()
    ledger.dead(one)

    result = aurora("tasks", "replay", one[-8:], "--db", ledger.url)

    assert result.status == 0
    assert f"task {one[-8:]}: done again as task " in result.out
    assert len(ledger.tasks()) == 5
    assert [each["state"] for each in aurora("tasks", "dead", "--json", "--db", ledger.url).documents] == ["dead"]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_lists_fit_the_window_and_keep_what_is_needed_to_go_on(ledger, monkeypatch, width):
    one, two, *_ = ledger.tasks()
    ledger.dead(one, reason="x" * 300)
    ledger.running(two, "a-host-with-a-long-name.corp.example:4242:7:ab")
    monkeypatch.setenv("COLUMNS", str(width))

    listed = aurora("tasks", "list", "--db", ledger.url).out
    status = aurora("status", "--db", ledger.url).out

    for text in (listed, status):
        assert max(map(len, text.splitlines())) <= width
    assert all(task[-8:] in listed for task in ledger.tasks())
    assert ":4242" in status
    assert "unknown" in status
    assert "aurora tasks dead" in status


def test_the_status_of_nothing_says_what_to_do(tmp_path):
    result = aurora("status", "--db", f"sqlite:///{tmp_path}/new.db")

    assert result.status == 0
    assert "no worker: aurora worker starts one" in result.out


def test_who_watches_into_a_pipe_gets_a_line_every_second_until_stopped(ledger):
    watching = start("status", "--watch", "--db", ledger.url)
    assert watching.stdout is not None
    try:
        looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    finally:
        watching.terminate()
        watching.communicate(timeout=60)

    assert looks[0]["time"] < looks[1]["time"]
    assert watching.returncode == 143
    assert looks[0]["tasks"]["succeeded"] == 4


def test_a_database_that_cannot_be_opened_exits_3(tmp_path):
    result = finish(start("status", "--db", f"sqlite:///{tmp_path}"))

    assert (result.status, result.out) == (3, "")
    assert len(result.err.splitlines()) == 1
