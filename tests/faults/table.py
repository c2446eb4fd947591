"""The table of faults, and its last line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles

from rich.console import Console
from rich.table import Table


@dataclass(slots=True, kw_only=True)
class Row:
    """What became of one kind of fault."""

    fault: str
    where: str
    """Database and broker."""
    trials: int = 0
    tasks: int = 0
    lost: int = 0
    """Tasks that were accepted and are neither settled nor visibly open."""
    twice: int = 0
    """Effects beyond the first, and finished work that ran again."""
    again: int = 0
    """Nodes in flight at the fault that ran again: for a node the promise is at least once."""
    unknown: int = 0
    """Effects of which nobody can know whether they happened; they are visible, and not repeated."""
    recoveries_s: list[float] = field(default_factory=list)
    """Of a kill: until somebody else works on the task. Of anything else: until the end of each task that it hit."""
    faults: list[str] = field(default_factory=list)
    """Invariants that did not hold, in words."""
    baseline: str = ""
    """Bare LangGraph under the same fault: lost / twice of its trials."""

    def add(self, other: Row) -> None:
        """Count a further trial of the same fault."""
        for name in ("trials", "tasks", "lost", "twice", "again", "unknown"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.recoveries_s += other.recoveries_s
        self.faults += other.faults

    @property
    def quantiles_s(self) -> tuple[float, float] | None:
        """p50 and p95 of the recoveries."""
        if not self.recoveries_s:
            return None
        if len(self.recoveries_s) == 1:
            return (self.recoveries_s[0],) * 2
        cuts = quantiles(self.recoveries_s, n=20, method="inclusive")
        return cuts[9], cuts[18]


def show(rows: Sequence[Row], *, console: Console) -> None:
    """Print the table, what was violated, and the last line."""
    table = Table(title="Faults", title_justify="left", header_style="bold")
    table.add_column("fault", overflow="fold")
    table.add_column("on", overflow="fold")
    for name in ("trials", "tasks", "lost", "run twice", "node again", "unknown", "p50 s", "p95 s"):
        table.add_column(name, justify="right")
    table.add_column("bare LangGraph", overflow="fold")
    for row in rows:
        cuts = row.quantiles_s
        table.add_row(
            row.fault,
            row.where,
            *(str(each) for each in (row.trials, row.tasks, row.lost, row.twice, row.again, row.unknown)),
            *(("", "") if cuts is None else (f"{each:.1f}" for each in cuts)),
            row.baseline,
            style="red" if row.lost or row.twice or row.faults else "",
        )
    console.print(table)
    for row in rows:
        for each in row.faults:
            console.print(f"{row.fault} ({row.where}): {each}", style="red", markup=False)
    console.print(last_line(rows), markup=False, highlight=False)


def last_line(rows: Sequence[Row]) -> str:
    """Return what a script reads."""
    trials, lost, twice = (sum(getattr(row, name) for row in rows) for name in ("trials", "lost", "twice"))
    return f"faults: {trials} trials, {lost} lost, {twice} run twice"


def write(rows: Sequence[Row], path: Path) -> None:
    """Keep the rows as JSON, the recoveries as their quantiles."""
    told = []
    for row in rows:
        document = asdict(row)
        document["recovery_s"] = row.quantiles_s
        del document["recoveries_s"]
        told.append(document)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
