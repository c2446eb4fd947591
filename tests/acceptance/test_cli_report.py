"""`--report` and `aurora alerts report`: one file that holds what was found."""

from __future__ import annotations

import json

import pytest

from tests.command import alert, aurora, write_lines
from tests.unit.reports.pages import Page


@pytest.fixture
def db(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/aurora.db"


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_demo_writes_a_report_of_everything_it_read(tmp_path):
    target = tmp_path / "demo.html"

    result = aurora("demo", "--report", target)

    page = read(target)
    assert result.status == 0
    assert result.err == ""
    assert f"report: {target} (19 alerts, " in result.out
    assert "28 records read = 19 triaged + 4 duplicate + 5 context + 0 rejected" in page.text
    for file, counts in (("aurora.jsonl aurora", "7 6 1 0 0"), ("suricata-eve.jsonl suricata", "13 6 3 4 0")):
        assert f"{file} {counts}" in page.text
    assert "Unknown program renamed two hundred files in a minute" in page.text
    assert "Data Encrypted for Impact" in page.text
    assert {each[0] for each in page.all("href")} == {"#"}


def test_a_report_accounts_for_what_was_rejected_and_names_what_was_not_recognised(tmp_path, db):
    good = write_lines(tmp_path / "good.jsonl", [alert(1), alert(1), alert(2)])
    odd = write_lines(tmp_path / "odd.jsonl", [{"hello": "world"}])
    target = tmp_path / "out.html"

    result = aurora("triage", good, odd, "--db", db, "--report", target)

    text = read(target).text
    assert result.status == 1
    assert "4 records read = 2 triaged + 1 duplicate + 0 context + 1 rejected" in text
    assert f"{odd} not recognised 1 0 0 0 1" in text
    assert f"{odd}, line 1" in text
    assert "no known format matches this record" in text


def test_the_same_input_again_gives_the_same_account(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1), {"no": "alert"}, alert(2)])
    first, second = tmp_path / "1.html", tmp_path / "2.html"

    aurora("triage", file, "--db", db, "--report", first)
    aurora("triage", file, "--db", db, "--report", second)

    account = "3 records read = 2 triaged + 0 duplicate + 0 context + 1 rejected"
    assert account in read(first).text
    assert account in read(second).text


def test_with_json_stdout_stays_json(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])

    result = aurora("triage", file, "--json", "--db", db, "--report", tmp_path / "out.html")

    assert len(result.documents) == 1
    assert "report: " in result.err
    assert (tmp_path / "out.html").exists()


def test_a_report_that_cannot_be_written_stops_the_command_before_it_reads(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])

    result = aurora("triage", file, "--db", db, "--report", tmp_path / "no" / "out.html")

    assert result.status == 2
    assert "there is no directory" in result.err
    assert not (tmp_path / "aurora.db").exists()


def test_stored_alerts_are_reported_by_filter(tmp_path, db):
    file = write_lines(
        tmp_path / "a.jsonl",
        [alert(1), alert(2, severity="low", source="proxy", command_line="notepad", title="Quiet")],
    )
    aurora("triage", file, "--db", db)
    everything, low = tmp_path / "all.html", tmp_path / "low.html"

    one = aurora("alerts", "report", "--db", db, "--output", everything)
    two = aurora("alerts", "report", "--db", db, "--severity", "low", "--source", "proxy", "--output", low)

    assert (one.status, two.status) == (0, 0)
    assert "2 alerts By verdict" in read(everything).text
    assert "1 alert By verdict" in read(low).text
    assert "stored alerts with severity low, source proxy" in read(low).text
    assert "Encoded command" not in read(low).text


def test_a_correction_stands_in_the_history_of_its_alert(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])
    (document,) = aurora("triage", file, "--json", "--db", db).documents
    aurora("alerts", "decide", document["alert_id"], "--verdict", "benign", "--reason", "Our own job 4711", "--db", db)

    aurora("alerts", "report", "--db", db, "--output", tmp_path / "out.html")

    text = read(tmp_path / "out.html").text
    assert "decides" in text
    assert "History" in text
    assert "Our own job 4711" in text


def test_hostile_records_become_text_from_file_to_page(tmp_path, db):
    hostile = '"><script>alert(1)</script>{{ 7*7 }}\u202e\x1b[2J'
    harmless = write_lines(tmp_path / "h.jsonl", [alert(1, title="x", host="y", command_line="cmd /c z")])
    evil = tmp_path / f"{'<b>'}.jsonl"
    evil.write_text(
        json.dumps(alert(1, title=hostile, host=hostile, command_line="cmd /c " + hostile)) + "\n", encoding="utf-8"
    )

    for name, file in (("h", harmless), ("e", evil)):
        aurora("triage", file, "--db", f"sqlite:///{tmp_path}/{name}.db", "--report", tmp_path / f"{name}.html")

    page = read(tmp_path / "e.html")
    known = {tag for tag, _ in read(tmp_path / "h.html").tags}
    assert {tag for tag, _ in page.tags} <= known | {"details", "/details", "summary", "/summary"}
    assert "<script>alert(1)</script>{{ 7*7 }}\\u202e\\u001b[2J" in page.text
