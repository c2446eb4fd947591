"""`aurora alerts export`: what is stored leaves for other programs, and comes back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from ocsf.v1_5_0.events import DetectionFinding

from tests.command import alert, aurora, write_lines


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> str:
    """A database with four alerts, one of them closed by an analyst; tests only read it."""
    folder = tmp_path_factory.mktemp("export")
    db = f"sqlite:///{folder}/aurora.db"
    file = write_lines(
        folder / "a.jsonl",
        [
            alert(1, title='=HYPERLINK("http://evil.example";"x")'),
            alert(2, title="\t@SUM(1)"),
            alert(3, severity="low", source="mail", command_line="notepad.exe"),
            alert(4),
            alert(4),
        ],
    )
    assert aurora("triage", file, "--db", db).status == 0
    last = aurora("alerts", "list", "--json", "--db", db).documents[0]["alert_id"]
    decided = aurora("alerts", "decide", last, "--verdict", "benign", "--reason", "-our drill", "--close", "--db", db)
    assert decided.status == 0
    return db


def test_findings_are_valid_and_the_newest_first(shared):
    result = aurora("alerts", "export", "--format", "ocsf", "--db", shared)

    assert (result.status, result.err) == (0, "")
    listed = [each["alert_id"] for each in aurora("alerts", "list", "--json", "--db", shared).documents]
    assert [each["metadata"]["uid"] for each in result.documents] == listed
    for each in result.documents:
        DetectionFinding.model_validate(each)
    closed = result.documents[0]
    assert (closed["activity_name"], closed["status"], closed["verdict"]) == ("Close", "Suppressed", "Benign")
    assert (closed["comment"], closed["count"]) == ("-our drill", 2)


def test_what_was_exported_can_be_triaged_again(shared, tmp_path):
    path, db = tmp_path / "out.jsonl", f"sqlite:///{tmp_path}/other.db"
    assert aurora("alerts", "export", "--format", "ocsf", "--output", path, "--db", shared).status == 0

    again = aurora("triage", path, "--json", "--db", db)

    assert again.status == 0
    assert {each["format"] for each in again.documents} == {"ocsf"}
    assert {("host", f"ws-{number}.corp.example") for number in (1, 2, 3, 4)} == {
        (each["type"], each["value"]) for one in again.documents for each in one["entities"] if each["type"] == "host"
    }
    assert not any(each["kind"] == "analyst" for one in again.documents for each in one["evidence"])


def test_a_table_opens_in_a_spreadsheet_without_running_anything(shared):
    text = aurora("alerts", "export", "--format", "csv", "--db", shared).out

    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert [row["title"] for row in rows[-2:]] == ["'@SUM(1)", '\'=HYPERLINK("http://evil.example";"x")']
    assert rows[0]["reason"] == "'-our drill"
    assert [float(row["score"]) for row in rows]
    assert rows[0]["count"] == "2"


def test_filters_and_limit_are_those_of_the_list(shared):
    def titles(*options: str) -> list[str]:
        found = aurora("alerts", "export", "--format", "ocsf", *options, "--db", shared)
        return [each["finding_info"]["title"] for each in found.documents]

    assert titles("--source", "mail", "--severity", "low") == ["Encoded command 3"]
    assert titles("--status", "false_positive", "--verdict", "benign") == ["Encoded command 4"]
    assert titles("--limit", "1") == ["Encoded command 4"]
    assert titles("--source", "nobody") == []


def test_a_file_is_not_overwritten_unless_asked(shared, tmp_path: Path):
    path = tmp_path / "alerts.csv"
    first = aurora("alerts", "export", "--format", "csv", "--output", path, "--db", shared)
    path.write_text("mine")

    refused = aurora("alerts", "export", "--format", "csv", "--output", path, "--db", shared)
    kept = path.read_text()
    forced = aurora("alerts", "export", "--format", "csv", "--output", path, "--force", "--db", shared)

    assert (first.status, first.out) == (0, "")
    assert "4 alerts" in first.err
    assert (refused.status, kept) == (2, "mine")
    assert "--force" in refused.err
    assert forced.status == 0
    assert path.read_text().count("\n") == 5
    assert list(tmp_path.iterdir()) == [path]


def test_a_format_must_be_named_and_known(shared):
    assert aurora("alerts", "export", "--db", shared).status == 2
    assert aurora("alerts", "export", "--format", "xml", "--db", shared).status == 2
