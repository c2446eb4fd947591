"""`aurora alerts`: find an alert, see all of it, correct it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.command import alert, aurora, write_lines


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> str:
    """A database with five alerts, one of them twice, and a rejected record; tests only read it."""
    folder = tmp_path_factory.mktemp("alerts")
    db = f"sqlite:///{folder}/aurora.db"
    file = write_lines(
        folder / "a.jsonl",
        [
            alert(1),
            alert(2),
            alert(2),
            alert(3, severity="low", source="mail", command_line="notepad.exe"),
            alert(4),
            alert(5, source="mail"),
            {"title": "no severity"},
        ],
    )
    assert aurora("triage", file, "--db", db).status == 1
    return db


@pytest.fixture
def own(tmp_path: Path) -> tuple[str, Path]:
    """A database of the test's own, with one alert in it."""
    db = f"sqlite:///{tmp_path}/aurora.db"
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])
    assert aurora("triage", file, "--db", db).status == 0
    return db, file


def test_the_list_is_filtered_and_cut_into_pages(shared):
    everything = aurora("alerts", "list", "--json", "--db", shared).documents
    mail = aurora("alerts", "list", "--source", "mail", "--severity", "high", "--json", "--db", shared).documents
    second = aurora("alerts", "list", "--limit", 2, "--skip", 2, "--json", "--db", shared).documents
    new = aurora("alerts", "list", "--status", "new", "--json", "--db", shared).documents
    verdicts = {
        each["verdict"]: aurora("alerts", "list", "--verdict", each["verdict"], "--json", "--db", shared).documents
        for each in everything
    }

    assert [each["title"] for each in everything] == [f"Encoded command {n}" for n in (5, 4, 3, 2, 1)]
    assert [each["title"] for each in mail] == ["Encoded command 5"]
    assert [each["title"] for each in second] == ["Encoded command 3", "Encoded command 2"]
    assert new == []
    assert sum(len(found) for found in verdicts.values()) == 5
    assert all(each["verdict"] == verdict for verdict, found in verdicts.items() for each in found)


@pytest.mark.parametrize("width", [80, 200])
def test_the_list_fits_the_window(shared, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))

    result = aurora("alerts", "list", "--db", shared)

    lines = result.out.splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) <= width
    assert "Encoded command 5" in lines[1]
    assert ("2026-06-16 08:00:05" in lines[1]) is (width == 200)


def test_an_alert_is_shown_by_the_end_of_its_id_with_all_that_is_known(shared):
    listed = aurora("alerts", "list", "--json", "--db", shared).documents[3]
    tail = listed["alert_id"][-8:]

    (document,) = aurora("alerts", "show", tail, "--json", "--db", shared).documents
    human = aurora("alerts", "show", tail, "--db", shared).out

    assert document["alert_id"] == listed["alert_id"]
    assert document["count"] == len(document["occurrences"]) == 2
    assert {each["provenance"] for each in document["fields"]} >= {"sensor", "attacker_writable"}
    assert round(sum(each["weight"] for each in document["contributions"]), 1) == document["score"]
    assert '"Encoded command 2"' in document["raw"]
    for part in ("Weight of evidence", "attacker writable", "process.command_line", "Seen 2 times", "Raw record", "█"):
        assert part in human


def test_the_id_of_a_duplicate_shows_the_alert_that_it_repeats(shared):
    (first,) = [each for each in aurora("alerts", "list", "--json", "--db", shared).documents if each["count"] == 2]
    shown = aurora("alerts", "show", first["alert_id"], "--json", "--db", shared).documents[0]
    duplicate = next(each["alert_id"] for each in shown["occurrences"] if each["alert_id"] != first["alert_id"])

    (document,) = aurora("alerts", "show", duplicate, "--json", "--db", shared).documents

    assert document["alert_id"] == first["alert_id"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xyz", "is not an alert id"),
        ("ffffffffff", "no alert has the id"),
        ("00000000-0000-7000-8000-000000000000", "no alert has the id"),
    ],
)
def test_an_id_that_names_nothing_exits_1(shared, name, message):
    result = aurora("alerts", "show", name, "--db", shared)

    assert result.status == 1
    assert message in result.err


def test_rejected_records_are_listed_with_place_reason_and_beginning(shared):
    (document,) = aurora("alerts", "rejected", "--json", "--db", shared).documents
    human = aurora("alerts", "rejected", "--db", shared).out

    assert document["line"] == 7
    assert document["offset_bytes"] > 0
    assert document["begins"] == '{"title": "no severity"}'
    assert document["reason"] in human
    assert document["file"] in human


def test_a_correction_stands_first_and_keeps_what_was_found(own):
    db, file = own
    before = aurora("triage", file, "--json", "--db", db).documents[0]

    decided = aurora(
        "alerts", "decide", before["alert_id"][-6:], "--verdict", "benign", "--reason", " our own job ", "--db", db
    )

    assert decided.status == 0
    assert f"{before['verdict']} → benign" in decided.out
    after = aurora("triage", file, "--json", "--db", db).documents[0]
    assert (after["verdict"], after["decided_by"], after["confidence"]) == ("benign", "analyst", 1.0)
    assert after["evidence"][0] == {"id": "a1", "kind": "analyst", "provenance": "human", "text": "our own job"}
    assert after["evidence"][1:] == before["evidence"]
    assert after["claims"][0] == {"text": "an analyst decided benign: our own job", "evidence": ["a1"]}
    assert after["claims"][1:] == before["claims"]
    assert after["run_id"] == before["run_id"]
    assert after["techniques"] == []
    history = aurora("alerts", "show", before["alert_id"], "--json", "--db", db).documents[0]["history"]
    assert [each["decided_by"] for each in history] == ["rules", "analyst"]
    assert history[1]["decided_name"]


def test_a_second_correction_rests_on_what_triage_found_not_on_the_first(own):
    db, file = own
    before = aurora("triage", file, "--json", "--db", db).documents[0]
    for label in ("benign", "malicious"):
        assert (
            aurora("alerts", "decide", before["alert_id"], "--verdict", label, "--reason", label, "--db", db).status
            == 0
        )

    after = aurora("triage", file, "--json", "--db", db).documents[0]

    assert [each["text"] for each in after["evidence"] if each["kind"] == "analyst"] == ["malicious"]
    assert after["techniques"] == before["techniques"]
    assert after["case_id"] is not None


def test_a_malicious_correction_opens_a_case_for_an_alert_that_had_none(tmp_path):
    db = f"sqlite:///{tmp_path}/aurora.db"
    quiet = alert(1, severity="info", command_line="notepad.exe", mitre_techniques=[])
    document = aurora("triage", write_lines(tmp_path / "a.jsonl", [quiet]), "--json", "--db", db).documents[0]
    first = aurora(
        "alerts", "decide", document["alert_id"], "--verdict", "benign", "--reason", "x", "--json", "--db", db
    )

    second = aurora(
        "alerts", "decide", document["alert_id"], "--verdict", "malicious", "--reason", "y", "--json", "--db", db
    )

    assert document["verdict"] == "benign"
    assert first.documents[0]["case_id"] is None
    assert second.documents[0]["case_id"] is not None
    assert second.documents[0]["case"]["title"] == "Encoded command 1"


@pytest.mark.parametrize(("label", "status"), [("benign", "false_positive"), ("malicious", "resolved")])
def test_a_closed_alert_occurs_again_as_a_new_one(tmp_path, own, label, status):
    db, file = own
    first = aurora("triage", file, "--json", "--db", db).documents[0]["alert_id"]
    closed = aurora("alerts", "decide", first, "--verdict", label, "--reason", "x", "--close", "--json", "--db", db)

    later = write_lines(tmp_path / "later.jsonl", [alert(1, time="2026-06-16T09:30:00Z")])
    again = aurora("triage", later, "--json", "--db", db).documents[0]

    assert closed.documents[0]["status"] == status
    assert again["duplicate_of"] is None
    assert again["alert_id"] != first
    assert any(each["kind"] == "past_verdict" and "analyst" in each["text"] for each in again["evidence"])


def test_a_duplicate_of_a_corrected_alert_shows_the_correction(tmp_path, own):
    db, file = own
    first = aurora("triage", file, "--json", "--db", db).documents[0]["alert_id"]
    aurora("alerts", "decide", first, "--verdict", "benign", "--reason", "x", "--db", db)

    later = write_lines(tmp_path / "later.jsonl", [alert(1, time="2026-06-16T09:30:00Z")])
    again = aurora("triage", later, "--json", "--db", db).documents[0]

    assert (again["duplicate_of"], again["verdict"], again["decided_by"]) == (first, "benign", "analyst")
    assert again["time"] == "2026-06-16T09:30:00Z"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_a_decision_without_a_usable_reason_is_refused(own, reason):
    db, _ = own
    alert_id = aurora("alerts", "list", "--json", "--db", db).documents[0]["alert_id"]

    result = aurora("alerts", "decide", alert_id, "--verdict", "benign", "--reason", reason, "--db", db)

    assert result.status == 2
    assert "reason" in result.err
    assert len(aurora("alerts", "show", alert_id, "--json", "--db", db).documents[0]["history"]) == 1


def test_an_alert_that_is_still_being_triaged_cannot_be_decided(own):
    db, _ = own
    alert_id = aurora("alerts", "list", "--json", "--db", db).documents[0]["alert_id"]
    with contextlib.closing(sqlite3.connect(db.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE tasks SET state = 'queued'")

    result = aurora("alerts", "decide", alert_id, "--verdict", "benign", "--reason", "x", "--db", db)

    assert result.status == 1
    assert "still being triaged" in result.err
