"""How alerts look in a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from aurora.cli._recalled import print_recalled
from aurora.cli._show import block, heading, percent, plain, plural, severity, table, tail, verdict, when
from aurora.kernel.models.verdict import FALLBACK
from aurora.services.outcomes import told

if TYPE_CHECKING:
    from rich.console import Console

    from aurora.storage.repositories.alerts import Outcome

_BAR = 12
"""Characters of the longest bar on one side."""
_FULL = 20.0
"""Decibans that fill it: a hundred to one."""
_NARROW = 100
"""Below so many columns, lists leave out what `show` tells."""


def print_list(console: Console, found: Sequence[Outcome], *, full: bool, skip: int) -> None:
    """Print alerts, one a line."""
    if not found:
        console.print("no alert" if not skip else "no more alerts")
        return
    wide = console.width >= _NARROW
    extra = ["time", "source", "status", "case"] if wide else []
    grid = table("id", "verdict", "", "severity", *extra, "seen", "title", right=("seen",), stretch="title")
    for outcome in found:
        alert, conclusion = outcome.alert, outcome.verdict or {}
        more: list[Any] = [
            when(alert["event_time"]),
            plain(alert["source"]),
            alert["status"].replace("_", " "),
            tail(alert["case_id"]) if alert["case_id"] else "",
        ]
        grid.add_row(
            Text(tail(outcome.record_id), style="cyan"),
            verdict(conclusion.get("label")),
            percent(conclusion.get("confidence")),
            severity(alert["severity"]),
            *(more if wide else []),
            f"{alert['count']:,}",
            plain(alert["title"]),
        )
    console.print(grid)
    if full:
        console.print(Text(f"more: --skip {skip + len(found)}", style="dim"))


def print_details(console: Console, alert: Mapping[str, Any]) -> None:
    """Print everything that `describe_alert` returns."""
    console.print(
        Text.assemble(
            verdict(alert["verdict"]),
            f" {percent(alert['confidence'])}  ",
            severity(alert["severity"]),
            "  ",
            plain(alert["title"], style="bold"),
        )
    )
    if alert["reason"]:
        console.print(plain(alert["reason"]))
    _facts(console, alert)
    _weights(console, alert)
    print_recalled(console, alert["recalled"])
    _dropped(console, alert["dropped"])
    _evidence(console, alert["evidence"])
    _fields(console, alert["fields"])
    _history(console, alert["history"])
    _occurrences(console, alert)
    heading(console, "Raw record")
    console.print(block(alert["raw"] or "", style="dim"), soft_wrap=True)


def _facts(console: Console, alert: Mapping[str, Any]) -> None:
    case = alert["case"]
    facts = [
        ("alert", alert["alert_id"]),
        ("status", alert["status"].replace("_", " ")),
        ("time", when(alert["time"]) + (" UTC" if alert["time"] else "")),
        ("product", f"{alert['product'] or alert['source']} (format {alert['format']})"),
        ("rule", alert["rule"]),
        ("techniques", ", ".join(alert["techniques"])),
        ("claimed", ", ".join(alert["claimed_techniques"])),
        ("decided by", f"{alert['decided_by']} {alert['decided_name']}" if alert["decided_by"] else "nobody yet"),
        ("model", _model(alert["model"])),
        ("case", f"{case['case_id']} {case['title']}" if case else ""),
        ("run", alert["run_id"]),
        ("entities", "\n".join(_pairs(alert["entities"]))),
        ("observables", "\n".join(_pairs(alert["observables"]))),
    ]
    console.print()
    grid = table("what", "value", stretch="value", wrap=True)
    for name, value in facts:
        lines = [plain(line) for line in str(value or "").split("\n")]
        if any(lines):
            grid.add_row(Text(name, style="dim"), Text("\n").join(lines))
    grid.show_header = False
    console.print(grid)
    if alert["degraded"]:
        why = (
            "triage failed"
            if alert["decided_name"] == FALLBACK
            else "no opinion of the model, so the rules decided alone"
        )
        console.print(Text(f"degraded: {why}", style="yellow"))


def _model(use: Mapping[str, Any] | None) -> str:
    if use is None:
        return ""
    cost = "price unknown" if use["cost_usd"] is None else f"{float(use['cost_usd']):.4f} USD"
    return (
        f"{use['model']} with {use['prompt']}: {plural(use['calls'], 'call', 'calls')}, "
        f"{plural(use['tool_calls'], 'look-up', 'look-ups')}, {use['input_tokens']:,} tokens in, "
        f"{use['output_tokens']:,} out, {cost}"
    )


def _pairs(values: Iterable[Mapping[str, str]]) -> list[str]:
    return [f"{each['type']} {each['value']}" for each in values]


def _weights(console: Console, alert: Mapping[str, Any]) -> None:
    if not alert["contributions"]:
        return
    heading(console, f"Weight of evidence: {alert['score'] or 0.0:+.1f} decibans (+10: malice ten times as likely)")
    for each in alert["contributions"]:
        cited = ", ".join(each["evidence"])
        weight = Text("    decides" if each["rule"] == "analyst" else f"{each['weight']:+11.1f}")
        console.print(
            Text.assemble(
                weight,
                "  ",
                _bar(each["weight"]),
                "  ",
                plain(each["rule"], style="cyan"),
                ("  closes" if each["closes"] else "", "green"),
            )
        )
        console.print(Padding(Text.assemble(plain(each["text"]), (f"  [{cited}]", "dim")), (0, 0, 0, 13)))


def _bar(weight: float) -> Text:
    """Return a bar that grows to the left for benign, to the right for malicious."""
    length = min(_BAR, round(abs(weight) / _FULL * _BAR)) or (1 if weight else 0)
    left, right = ("█" * length, "") if weight < 0 else ("", "█" * length)
    return Text.assemble((left.rjust(_BAR), "green"), ("│", "dim"), (right.ljust(_BAR), "red"))


def _dropped(console: Console, dropped: Sequence[Mapping[str, Any]]) -> None:
    if not dropped:
        return
    heading(console, "Dropped by verification")
    for each in dropped:
        console.print(Text.assemble(plain(each["text"]), ("  because ", "dim"), plain(each["reason"])))


def _evidence(console: Console, evidence: Sequence[Mapping[str, Any]]) -> None:
    found = [each for each in evidence if each["kind"] != "field"]
    if not found:
        return
    heading(console, "Evidence beside the record's own fields")
    grid = table("id", "kind", "written by", "text", stretch="text", wrap=True)
    for each in found:
        grid.add_row(
            Text(each["id"], style="cyan"), plain(each["kind"]), _provenance(each["provenance"]), plain(each["text"])
        )
    console.print(grid)


def _fields(console: Console, fields: Sequence[Mapping[str, Any]]) -> None:
    if not fields:
        return
    heading(console, "Fields of the record")
    grid = table("id", "name", "written by", "value", stretch="value", wrap=True)
    for each in fields:
        grid.add_row(
            Text(each["id"], style="cyan"),
            plain(each["name"]),
            _provenance(each["provenance"]),
            plain(each["value"], limit=600),
        )
    console.print(grid)


def _provenance(value: str) -> Text:
    return plain(value.replace("_", " "), style="yellow" if value == "attacker_writable" else "")


def _history(console: Console, history: Sequence[Mapping[str, Any]]) -> None:
    if len(history) < 2:
        return
    heading(console, "History")
    for each in history:
        console.print(
            Text.assemble(
                (when(each["time"]), "dim"),
                "  ",
                verdict(each["verdict"]),
                f" {percent(each['confidence'])}  ",
                plain(each["decided_by"]),
                " ",
                plain(each["decided_name"], style="dim"),
                ": ",
                plain(each["reason"]),
            )
        )


def _occurrences(console: Console, alert: Mapping[str, Any]) -> None:
    heading(
        console, f"Seen {plural(alert['count'], 'time')}, {when(alert['first_seen'])} to {when(alert['last_seen'])} UTC"
    )
    for each in alert["occurrences"]:
        console.print(
            Text.assemble(
                (tail(each["alert_id"]), "cyan"),
                (f"  {when(each['time'])}  ", "dim"),
                plain(f"{each['file']}:{each['line']}"),
            )
        )
    if alert["count"] > len(alert["occurrences"]):
        console.print(Text("…", style="dim"))


def print_rejected(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rejected records: place, reason, and how the record begins."""
    if not rows:
        console.print("nothing was rejected")
    for row in rows:
        console.print(
            Text.assemble(
                plain(f"{row['file']}:{row['line']}", style="cyan"),
                (f"  byte {row['offset_bytes']:,}, {plural(row['size_bytes'], 'byte')}  ", "dim"),
                plain(row["reason"], style="yellow"),
            )
        )
        console.print(Padding(plain(row["message"]), (0, 0, 0, 2)))
        if row["raw"]:
            console.print(Padding(plain(_beginning(row), style="dim", limit=160), (0, 0, 0, 2)))


def rejected_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rejected record as JSON values; of its content, the beginning."""
    return {
        "id": str(row["id"]),
        "file": row["file"],
        "line": row["line"],
        "offset_bytes": row["offset_bytes"],
        "size_bytes": row["size_bytes"],
        "format": row["format"],
        "reason": row["reason"],
        "message": row["message"],
        "rejected_at": told(row["rejected_at"]),
        "begins": _beginning(row),
    }


def _beginning(row: Mapping[str, Any]) -> str:
    return bytes(row["raw"][:400]).decode("utf-8", "replace")


def this_person() -> str:
    """Return the name of the account that runs this command, as the system knows it."""
    try:
        import pwd  # not on Windows

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        import getpass

        try:
            return getpass.getuser()
        except (ImportError, KeyError, OSError):
            return f"uid {os.getuid()}"
