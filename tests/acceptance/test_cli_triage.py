"""`aurora triage`: what it prints, and what it exits with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.command import alert, aurora, write_lines

KEYS = [
    "alert_id",
    "title",
    "source",
    "format",
    "severity",
    "time",
    "verdict",
    "confidence",
    "techniques",
    "observables",
    "entities",
    "evidence",
    "claims",
    "decided_by",
    "degraded",
    "duplicate_of",
    "case_id",
    "run_id",
    "file",
    "line",
]


@pytest.fixture
def db(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/aurora.db"


def test_each_alert_record_becomes_one_line_of_json_in_input_order(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(2), alert(1, iocs=["198.51.100[.]7"]), alert(2)])

    result = aurora("triage", file, "--json", "--db", db)

    assert result.status == 0
    assert result.err == ""
    first, second, third = result.documents
    assert [list(each) for each in result.documents] == [KEYS] * 3
    assert [each["line"] for each in result.documents] == [1, 2, 3]
    assert {each["file"] for each in result.documents} == {str(file)}
    assert third["duplicate_of"] == first["alert_id"] != third["alert_id"]
    assert third["verdict"] == first["verdict"] is not None
    assert (first["duplicate_of"], second["duplicate_of"]) == (None, None)
    assert second["time"] == "2026-06-16T08:00:01Z"
    assert {"type": "ip", "value": "198.51.100.7"} in second["observables"]
    assert {"type": "host", "value": "ws-1.corp.example"} in second["entities"]


def test_every_claim_cites_evidence_that_is_there(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])

    (document,) = aurora("triage", file, "--json", "--db", db).documents

    known = {each["id"] for each in document["evidence"]}
    assert document["claims"]
    assert all(each["evidence"] and set(each["evidence"]) <= known for each in document["claims"])
    assert document["decided_by"] == "rules"
    assert document["degraded"] is False
    assert document["confidence"] == round(document["confidence"], 4)


def test_the_same_command_again_changes_nothing_and_says_the_same(tmp_path, db):
    file = write_lines(tmp_path / "a.jsonl", [alert(1), alert(1), alert(2)])
    before = aurora("triage", file, "--json", "--db", db).out

    again = aurora("triage", file, "--json", "--db", db).out

    assert again == before
    shown = aurora("alerts", "show", json.loads(before.splitlines()[0])["alert_id"], "--json", "--db", db)
    assert shown.documents[0]["count"] == 2


def test_verdicts_do_not_depend_on_the_number_of_jobs(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", [alert(n % 9, host=f"ws-{n % 4}.corp.example") for n in range(30)])

    one, eight = (
        [
            _essence(each)
            for each in aurora(
                "triage", file, "--json", "--jobs", jobs, "--db", f"sqlite:///{tmp_path}/{jobs}.db"
            ).documents
        ]
        for jobs in (1, 8)
    )

    assert one == eight
    assert len(one) == 30


def _essence(document):
    # The evidence of a relation names alerts by id, so of evidence the kinds are compared.
    return {
        **{key: document[key] for key in ("title", "verdict", "confidence", "techniques", "claims", "line")},
        "evidence": [(each["id"], each["kind"], each["text"]) for each in document["evidence"]],
    }


def test_the_summary_accounts_for_every_record_and_says_what_to_do_next(tmp_path, db):
    file = tmp_path / "mixed.jsonl"
    flow = {"timestamp": "2026-06-16T08:00:00+0000", "event_type": "flow", "src_ip": "10.0.0.1", "dest_ip": "10.0.0.2"}
    write_lines(file, [alert(1), alert(1), flow, alert(2), {"some": "thing"}])

    result = aurora("triage", file, "--db", db)

    assert result.status == 1
    assert "5 read = 2 triaged + 1 duplicate + 1 context + 1 rejected" in result.out
    assert "context, no alerts: 1 flow" in result.out
    assert f"{file}:5" in result.out
    assert "no known format matches this record" in " ".join(result.out.split())
    assert "aurora alerts rejected --db" in result.out
    assert "Encoded command 2" in result.out
    assert "aurora " in result.out
    assert "suricata" in result.out, "the format of each file is shown"


def test_nothing_on_stdout_but_json_when_records_are_rejected(tmp_path, db):
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(alert(1)) + "\n{broken\n", encoding="utf-8")

    result = aurora("triage", file, "--json", "--db", db)

    assert result.status == 1
    assert len(result.documents) == 1
    assert f"{file}:2: rejected: not JSON" in result.err


def test_standard_input_and_compressed_files_are_read(tmp_path, db):
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(alert(1)).encode()))

    result = aurora("triage", packed, "-", "--json", "--db", db, stdin=json.dumps(alert(2)).encode())

    assert [(each["file"], each["title"]) for each in result.documents] == [
        (str(packed), "Encoded command 1"),
        ("-", "Encoded command 2"),
    ]


def test_records_that_are_no_alerts_are_no_fault(tmp_path, db):
    file = write_lines(
        tmp_path / "eve.json",
        [{"timestamp": "2026-06-16T08:00:00+0000", "event_type": "stats", "stats": {"uptime": 1}}],
    )

    result = aurora("triage", file, "--db", db)

    assert result.status == 0
    assert "no alert" in result.out


DEEP = b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

BAD_FILES = {
    "truncated": (json.dumps(alert(1)).encode()[:-20], "truncated|unexpected end"),
    "truncated.gz": (gzip.compress(json.dumps([alert(n) for n in range(99)]).encode())[:-40], "ends|cut|truncated"),
    "empty": (b"", "the file is empty"),
    "binary": (bytes(range(256)) * 64, "binary|not text|no text"),
    "wrong-encoding": ('{"title": "Prüfung", "severity": "high", "source": "edr"}'.encode("latin-1"), "UTF-8"),
    "deeply-nested": (DEEP, "deep|nested|levels"),
    "duplicate-key": (b'{"title": "one", "title": "two", "severity": "high", "source": "edr"}', "title"),
    "nothing-known": (b'{"hello": "world"}', "no known format"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_bad_file_gets_a_clear_message_and_exit_status_1(tmp_path, db, name, as_json):
    content, message = BAD_FILES[name]
    file = tmp_path / name
    file.write_bytes(content)

    result = aurora("triage", file, "--db", db, *(["--json"] if as_json else []))

    assert result.status == 1
    told = result.err if as_json else " ".join(result.out.split())
    assert str(file) in told.replace(" ", "") or file.name in told
    assert any(part.lower() in told.lower() for part in message.split("|")), told
    assert "Traceback" not in result.err
    if as_json:
        assert bool(result.documents) is (name == "truncated.gz"), "what stands before the cut is triaged"


@pytest.mark.slow
def test_one_line_of_a_hundred_megabytes_is_rejected_and_the_rest_goes_on(tmp_path, db):
    file = tmp_path / "huge.jsonl"
    with file.open("wb") as stream:
        stream.write(b'{"title": "')
        for _ in range(100):
            stream.write(b"x" * 2**20)
        stream.write(b'"}\n' + json.dumps(alert(1)).encode() + b"\n")

    result = aurora("triage", file, "--json", "--db", db)

    assert result.status == 1
    assert [each["line"] for each in result.documents] == [2]
    assert "rejected" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["triage", "/no/such/file.json"], "'/no/such/file.json' cannot be read: no such file or directory"),
        (["triage", "*.nothing"], "no file matches"),
        (["triage", "{file}", "--format", "nosuch"], "no format has that id; there are: aurora, "),
        (["triage", "{file}", "--db", "mysql://root:hunter2@host/x"], "must begin with one of sqlite://"),
        (["triage", "{file}", "--db", "sqlite:///{file}/x.db"], "cannot be made: File exists"),
        (["triage", "{file}", "--jobs", "0"], "--jobs"),
        (["triage"], "PATH"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence_without_a_traceback(tmp_path, db, arguments, message):
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])
    arguments = [each.replace("{file}", str(file)) for each in arguments]

    result = aurora(*arguments, *([] if "--db" in arguments or len(arguments) < 2 else ["--db", db]))

    assert result.status == 2
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert "hunter2" not in result.err
    assert result.out == ""


def test_every_wrong_setting_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AURORA_TRIAGE__JOBS", "many")
    monkeypatch.setenv("AURORA_DATABSE__URL", "sqlite:///x")
    file = write_lines(tmp_path / "a.jsonl", [alert(1)])

    result = aurora("triage", file)

    assert result.status == 2
    assert "AURORA_TRIAGE__JOBS" in result.err
    assert "AURORA_DATABSE__URL" in result.err


def test_hostile_text_neither_moves_the_cursor_nor_is_read_as_markup(tmp_path, db):
    title = "\x1b]0;owned\x07[bold red]gone[/] \u202egpj.exe \x9b2J [link=https://evil.example]x[/link]"
    file = write_lines(tmp_path / "a.jsonl", [alert(1, title=title, host="h\x1b[2J", severity="critical")])

    human = aurora("triage", file, "--db", db)
    as_json = aurora("triage", file, "--json", "--db", db)
    shown = aurora("alerts", "show", as_json.documents[0]["alert_id"], "--db", db)

    for result in (human, as_json, shown):
        assert not set(result.out) & set("\x1b\x07\x9b\u202e")
    assert "[bold red]gone[/]" in shown.out
    assert as_json.documents[0]["title"] == title, "a program gets the title as it was"


@pytest.mark.parametrize("width", [80, 200])
def test_the_summary_fits_the_window(tmp_path, db, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    file = write_lines(tmp_path / "a.jsonl", [alert(n, title="A long title " * 20) for n in range(3)])

    result = aurora("triage", file, "--db", db)

    told = [line for line in result.out.splitlines() if "sqlite:///" not in line]
    assert max(map(len, told)) <= width
    assert ("A long title " * 8 in result.out) is (width == 200)
