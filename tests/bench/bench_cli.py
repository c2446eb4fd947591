"""The command as people meet it: time to the help, time to the first verdict, alerts a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.measurement import Measurement
from tests.command import ROOT, alert, write_lines

ROUNDS = 5
ALERTS = 500

_COMMAND = "from aurora.cli.main import main; main()"
_BARE = "import langgraph.graph, sqlalchemy.ext.asyncio"
_RICH = "import typer, typer.rich_utils"


def run() -> list[Measurement]:
    """Measure, each process in turn with those it is compared with, and return each one's least disturbed round."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        one = write_lines(place / "one.jsonl", [alert(1)])
        many = write_lines(place / "many.jsonl", [_one_of_many(number) for number in range(ALERTS)])
        samples: dict[str, list[float]] = {name: [] for name in ("help", "typer", "one", "bare", "many")}
        for number in range(ROUNDS + 1):
            taken = {
                "help": _seconds(place, _COMMAND, "--help"),
                "typer": _seconds(place, _RICH),
                "one": _seconds(place, _COMMAND, "triage", str(one), "--db", f"sqlite:///{place}/one-{number}.db"),
                "bare": _seconds(place, _BARE),
            }
            if number < 3:  # ten seconds each
                taken["many"] = _seconds(
                    place, _COMMAND, "triage", str(many), "--db", f"sqlite:///{place}/many-{number}.db"
                )
            if number:  # the first round compiles, as installing would have done
                for name, seconds in taken.items():
                    samples[name].append(seconds)
    best = {name: min(each) for name, each in samples.items()}
    return [
        Measurement(name="cli.help", value=round(best["help"], 3), unit="s", better="lower",
                    peer="importing typer with rich", peer_value=round(best["typer"], 3)),
        Measurement(name="cli.first_verdict", value=round(best["one"], 2), unit="s", better="lower",
                    peer="importing langgraph and sqlalchemy", peer_value=round(best["bare"], 2)),
        Measurement(name="cli.first_verdict_above_imports", value=round(best["one"] - best["bare"], 2), unit="s",
                    better="lower"),
        Measurement(name="cli.triage", value=round(ALERTS / best["many"], 1), unit="alerts/s", better="higher"),
        Measurement(name="cli.triage_without_start",
                    value=round((ALERTS - 1) / (best["many"] - best["one"]), 1), unit="alerts/s", better="higher"),
    ]  # fmt: skip


def _one_of_many(number: int) -> dict[str, Any]:
    """Return an alert of a stream in which people and addresses come again, as they do."""
    return alert(
        number,
        user=f"user-{number % 60}@corp.example",
        src_ip=f"10.20.{number % 7}.{number % 90}",
        iocs=[f"203.0.113.{number % 200}", f"http://host-{number % 120}.example/a/{number}"],
        severity=("info", "low", "medium", "high", "critical")[number % 5],
    )


def _seconds(place: Path, code: str, *arguments: str) -> float:
    """Run Python on `code` and return how long that took; bytecode is cached, as after an installation."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, cwd=place, env=environ, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    for result in run():
        print(result)
