"""Whoever reads the output may stop: the command ends as programs end on a closed pipe, and says nothing."""

from __future__ import annotations

import subprocess

import pytest

from tests.command import alert, aurora, start, write_lines


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> str:
    """A database whose alerts are more than a pipe holds."""
    folder = tmp_path_factory.mktemp("pipes")
    db = f"sqlite:///{folder}/aurora.db"
    file = write_lines(folder / "a.jsonl", [alert(each, description="x" * 4000) for each in range(60)])
    assert aurora("triage", file, "--db", db).status == 0
    return db


def hang_up(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Close the pipe before anything is read of it; return the exit status, and what was said on stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    return process.wait(timeout=60), said


@pytest.mark.parametrize(
    "command",
    [
        ("alerts", "list"),
        ("alerts", "list", "--json"),
        ("alerts", "export", "--format", "csv"),
        ("alerts", "export", "--format", "ocsf"),
    ],
    ids=" ".join,
)
def test_a_command_on_a_closed_pipe_ends_as_one_and_says_nothing(shared, command):
    process = start(*command, "--db", shared)

    assert hang_up(process) == (141, b"")


@pytest.mark.parametrize("command", [("content", "list"), ("doctor",), ("graph", "show", "triage")], ids=" ".join)
def test_so_does_a_command_without_a_database_of_its_own(command, tmp_path):
    process = start(*command, AURORA_DATABASE__URL=f"sqlite:///{tmp_path}/aurora.db")

    assert hang_up(process) == (141, b"")
