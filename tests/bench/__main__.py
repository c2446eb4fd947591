"""Run benches, print a table and write `results.json`.

`python -m tests.bench` runs all; `python -m tests.bench saver ingest` runs some and keeps the
results of the others. A bench that fails keeps its old results and makes the run fail. A run of
all benches with `BENCH_FULL=1`, which measures also what takes minutes, forgets results that nothing
measures any more if it succeeds.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.measurement import commit, machine
from tests.bench.running import alone

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"


def main(names: Sequence[str]) -> int:
    """Run the benches of those names, or all; return the exit code."""
    known = sorted(file.stem.removeprefix("bench_") for file in FOLDER.glob("bench_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = list(names) or known
    where = {"machine": machine(), "commit": commit(FOLDER)}
    console = Console(width=None if sys.stdout.isatty() else 140)
    fresh: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in chosen:
        console.print(f"[dim]{name} …[/]")
        try:
            fresh += [{**each, **where} for each in alone(name)]
        except Exception:  # noqa: BLE001 - the other benches still have something to say
            traceback.print_exc()
            failed.append(name)
    is_complete = not names and not failed and os.environ.get("BENCH_FULL") == "1"
    results = merged([] if is_complete else stored(), fresh)
    console.print(table(results))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def stored() -> list[dict[str, Any]]:
    """Return the results of earlier runs."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []


def merged(old: Iterable[dict[str, Any]], fresh: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return old results, those that were measured again replaced, by name."""
    by_name = {each["name"]: each for each in (*old, *fresh)}
    return [by_name[name] for name in sorted(by_name)]


def table(results: Iterable[dict[str, Any]]) -> Table:
    """Return the results as a person reads them."""
    view = Table("measured", title="Results")
    for heading in ("value", "peer"):
        view.add_column(heading, justify="right")
    view.add_column("unit")
    view.add_column("better")
    view.add_column("compared with")
    view.add_column("commit")
    for each in results:
        view.add_row(
            each["name"],
            _figure(each["value"]),
            _figure(each["peer_value"]),
            each["unit"],
            each["better"],
            each["peer"] or "",
            each["commit"],
        )
    return view


def _figure(value: float | None) -> str:
    """Return four digits of a figure, whole numbers from a thousand on."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
