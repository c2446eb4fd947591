"""Runs the command `aurora`, within the test's process or in one of its own, and makes alerts for it to read."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.cli.main import app

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def aurora(*args: object, stdin: bytes = b"") -> Result:
    """Run a command; its output is captured as a pipe would be."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _stdin(stdin):
        try:
            app([str(each) for each in args], prog_name="aurora")
        except SystemExit as end:
            status = end.code or 0
    assert isinstance(status, int)
    return Result(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _stdin(content: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(content))
    try:
        yield
    finally:
        sys.stdin = before


def alert(number: int = 0, **more: Any) -> dict[str, Any]:
    """Return an alert in Aurora's plain form; each number has a host of its own."""
    return {
        "title": f"Encoded command {number}",
        "severity": "high",
        "source": "edr",
        "time": f"2026-06-16T{8 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        "host": f"ws-{number}.corp.example",
        "command_line": "powershell -w hidden -enc SQBFAFgAIAAoAGkAdwByACkA",
        "mitre_techniques": ["T1059.001"],
        **more,
    }


def write_lines(path: Path, documents: Iterable[dict[str, Any]]) -> Path:
    """Write documents as JSON lines."""
    path.write_text("".join(json.dumps(each) + "\n" for each in documents), encoding="utf-8")
    return path


def start(*args: object, stdin: int | None = subprocess.DEVNULL, **environ: str) -> subprocess.Popen[bytes]:
    """Start a command as a process of its own, from another directory than the source tree."""
    return subprocess.Popen(
        [sys.executable, "-c", "from aurora.cli.main import main; main()", *(str(each) for each in args)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )


def until(process: subprocess.Popen[bytes], file: Path, query: str) -> bool:
    """Return True as soon as a query on the database file gives a number above 0, False if the process ends first."""
    while process.poll() is None:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection,
        ):
            if connection.execute(query).fetchone()[0]:
                return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.005)  # the look-ups leave the process some time
    return False


def finish(process: subprocess.Popen[bytes]) -> Result:
    """Wait for the end of a process and return what it said."""
    out, err = process.communicate(timeout=180)
    return Result(process.returncode, out.decode(), err.decode())
