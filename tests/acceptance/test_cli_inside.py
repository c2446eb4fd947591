"""`aurora demo`, `runs`, `graph`, `content` and `db`."""

from __future__ import annotations

import sqlite3
import sys
import tomllib
from xml.etree import ElementTree as ET

import pytest

from tests.command import ROOT, alert, aurora, write_lines


@pytest.fixture(scope="module")
def demo_db(tmp_path_factory) -> str:
    db = f"sqlite:///{tmp_path_factory.mktemp('demo')}/demo.db"
    assert aurora("demo", "--db", db).status == 0
    return db


def test_the_demo_finds_one_attack_over_three_products_and_tells_it_in_time_order():
    result = aurora("demo")

    assert result.status == 0
    assert result.err == ""
    assert " = 19 triaged + 4 duplicate + 5 context + 0 rejected" in result.out
    story = result.out[result.out.index("The story of case") :]
    assert "suricata" in story
    assert "microsoft" in story
    times = [
        line[:5]
        for line in story.partition("The story of case")[2].splitlines()[1:]
        if line[2:3] == ":" and line[:2].isdigit()
    ]
    main = times[:13]
    assert len(main) == 13
    assert main == sorted(main)
    for moment in (
        "Mail attachment with macros delivered",
        "Sensitive credential memory read",
        "Unknown program renamed two hundred files",
    ):
        assert moment in " ".join(story.split())


def test_the_demo_judges_the_attack_malicious_and_its_noise_not(demo_db):
    verdicts = {
        each["title"]: each["verdict"] for each in aurora("alerts", "list", "--json", "--db", demo_db).documents
    }

    assert verdicts["Backup copies were deleted on a file server"] == "malicious"
    assert verdicts["Sensitive credential memory read"] == "malicious"
    assert verdicts["Update agent started an installer"] == "benign"
    assert verdicts["DEMO INFO DNS query to a public resolver"] == "benign"


def test_the_demo_as_json_is_json_and_nothing_else():
    result = aurora("demo", "--json")

    assert len(result.documents) == 23
    assert {each["format"] for each in result.documents} == {"aurora", "microsoft", "suricata"}


def test_a_run_shows_every_durable_step_of_its_graph(demo_db):
    run = aurora("alerts", "list", "--limit", 1, "--json", "--db", demo_db).documents[0]["run_id"]

    (document,) = aurora("runs", "show", run[-8:], "--json", "--db", demo_db).documents
    human = aurora("runs", "show", run, "--db", demo_db)

    nodes = [each["node"] for each in document["steps"]]
    assert nodes == [
        "input",
        "start",
        "load",
        "observables",
        "recall",
        "enrich",
        "correlate",
        "assess",
        "verify",
        "decide",
        "record",
    ]
    assert [each["time"] for each in document["steps"]] == sorted(each["time"] for each in document["steps"])
    assert (document["graph"], document["state"], document["attempts"]) == ("triage", "succeeded", 1)
    assert document["verdict"]["verdict"] == document["outcome"]
    assert "correlate" in human.out


def test_a_run_that_does_not_exist_exits_1(demo_db):
    result = aurora("runs", "show", "deadbeefdeadbeef", "--db", demo_db)

    assert result.status == 1
    assert "no run has the id" in result.err


def test_a_graph_is_drawn_in_the_terminal_and_as_svg(tmp_path):
    listed = aurora("graph", "list", "--json").documents
    drawn = aurora("graph", "show", "triage")
    svg = tmp_path / "triage.svg"
    written = aurora("graph", "show", "triage", "--svg", svg)

    assert "triage" in [each["id"] for each in listed]
    order = [drawn.out.index(f"● {node}") for node in listed[0]["nodes"]]
    assert order == sorted(order)
    assert written.status == 0
    root = ET.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(listed[0]["nodes"]) | {"start", "end"} <= texts
    assert "prefers-color-scheme: dark" in svg.read_text(encoding="utf-8")


def test_a_drawing_that_cannot_be_written_is_wrong_usage(tmp_path):
    result = aurora("graph", "show", "triage", "--svg", tmp_path / "missing" / "triage.svg")

    assert result.status == 2
    assert "triage.svg»: no such file or directory" in result.err


def test_a_graph_that_does_not_exist_exits_1():
    result = aurora("graph", "show", "nosuch")

    assert result.status == 1
    assert "aurora graph list" in result.err


def test_content_is_listed_with_its_formats_and_has_no_fault():
    everything = aurora("content", "list", "--json").documents
    formats = aurora("content", "list", "--kind", "format", "--json").documents
    check = aurora("content", "check")

    assert {each["kind"] for each in everything} >= {"graph", "rule", "enricher", "format"}
    assert {each["id"] for each in formats} >= {"aurora", "microsoft", "suricata"}
    assert all(each["file"].endswith(".py") and each["origin"] == "aurora" for each in everything)
    assert check.status == 0
    assert f"{len(everything)} items, no fault" in check.out


def test_content_that_is_missing_is_a_fault(monkeypatch):
    monkeypatch.setenv("AURORA_CONTENT__TRUSTED_PLUGINS", "nosuch")

    check = aurora("content", "check")
    as_json = aurora("content", "check", "--json")

    assert check.status == as_json.status == 1
    assert "plugin 'nosuch': trusted, but not installed" in check.err
    assert as_json.documents == [{"items": 0, "faults": ["plugin 'nosuch': trusted, but not installed"]}]


def test_a_database_is_made_checked_and_found_outdated_or_damaged(tmp_path):
    file = tmp_path / "new.db"
    db = f"sqlite:///{file}"

    missing = aurora("db", "check", "--db", db)
    assert missing.status == 1
    assert "aurora db upgrade" in missing.err
    assert not file.exists(), "a check makes nothing"
    made = aurora("db", "upgrade", "--db", db)
    assert made.status == 0
    assert aurora("db", "check", "--db", db).status == 0
    assert "is at revision" in aurora("db", "upgrade", "--db", db).out

    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE alerts ADD COLUMN foreign_matter TEXT")
    connection.close()
    changed = aurora("db", "check", "--db", db)
    assert changed.status == 1
    assert "foreign_matter" in changed.err

    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert aurora("db", "check", "--db", db).status == 1
    newer = aurora("db", "upgrade", "--db", db)
    assert newer.status == 2
    assert "newer Aurora" in newer.err


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path):
    file = tmp_path / "not.db"
    file.write_bytes(b"this is text, and long enough to be looked at" * 100)

    result = aurora("alerts", "list", "--db", f"sqlite:///{file}")

    assert result.status in {2, 3}
    assert "file is not a database" in result.err
    assert "Traceback" not in result.err


def test_a_database_of_somebody_else_is_refused(tmp_path):
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()

    for command in (["triage", write_lines(tmp_path / "a.jsonl", [alert(1)])], ["db", "upgrade"]):
        result = aurora(*command, "--db", f"sqlite:///{file}")

        assert result.status == 2
        assert "not Aurora's" in result.err


def test_each_provider_that_is_missing_is_installed_by_an_extra_that_exists(monkeypatch):
    for module in ("langchain_openai", "langchain_mistralai"):
        monkeypatch.setitem(sys.modules, module, None)

    listed = aurora("model", "list")

    extras = listed.out.partition("where EXTRA is one of ")[2].partition("\n")[0].split(", ")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    assert {"openai", "mistral"} <= set(extras)
    assert "http://localhost:11434/v1" in listed.out
    assert "openai serves ollama, vllm and llamacpp, too" in listed.out
