"""What an input came to, for people: the worst first, every record accounted for, and what to type next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from aurora.cli._show import SEVERITIES, VERDICTS, heading, percent, plain, plural, severity, table, tail, verdict, when

if TYPE_CHECKING:
    from rich.console import Console

    from aurora.ingest.pipeline import Triaged
    from aurora.services.summary import Summary
    from aurora.storage.repositories.alerts import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that the summary tells."""

    triaged: Triaged
    summary: Summary
    took_s: float
    working_s: float
    """Without opening the database and loading LangGraph."""
    database: str
    """Its URL without the password."""
    named: bool
    """Whether suggestions must name the database."""
    suggest: bool


def print_summary(console: Console, told: Told) -> None:
    """Print the summary of an input."""
    _files(console, told)
    _verdicts(console, told.summary)
    _worst(console, told.summary)
    _cases(console, told.summary)
    _models(console, told.summary)
    _failed(console, told.summary)
    _rejected(console, told)
    _account(console, told)


def _files(console: Console, told: Told) -> None:
    accepted = told.triaged.accepted
    heading(console, "Read")
    grid = table("file", "format", "records", right=("records",), stretch="file")
    for file in dict.fromkeys(accepted.files):
        found = [(format_id, count) for (name, format_id), count in sorted(accepted.formats.items()) if name == file]
        for number, (format_id, count) in enumerate(found or [("not recognised", 0)]):
            grid.add_row(plain(file) if not number else "", plain(format_id), f"{count:,}")
    console.print(grid)
    if accepted.context:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in accepted.context.most_common(8))
        console.print(plain(f"context, no alerts: {kinds}", style="dim"))


def _verdicts(console: Console, summary: Summary) -> None:
    heading(console, "Verdicts by severity")
    if not summary.verdicts:
        console.print("no alert")
        return
    grid = table("", *SEVERITIES, "total", right=(*SEVERITIES, "total"))
    for label in VERDICTS:
        row = [summary.verdicts[label, each] for each in SEVERITIES]
        if any(row):
            grid.add_row(
                verdict(label), *(Text(f"{n:,}") if n else Text("·", style="dim") for n in row), f"{sum(row):,}"
            )
    console.print(grid)
    if summary.corrected:
        console.print(f"{plural(summary.corrected, 'verdict is', 'verdicts are')} an analyst's")


def _models(console: Console, summary: Summary) -> None:
    for name, tally in summary.models.items():
        cost = "price unknown" if tally.cost_usd is None else f"{tally.cost_usd:.4f} USD"
        console.print(
            Text.assemble(
                "\nmodel ",
                plain(name, style="bold"),
                f": {plural(tally.calls, 'call')}, "
                f"{tally.input_tokens:,} tokens in, {tally.output_tokens:,} out, {cost}",
            )
        )
        if tally.unheard:
            verdicts = plural(tally.unheard, "verdict is", "verdicts are")
            text = f"{verdicts} degraded: no opinion of the model that could be used, so the rules decided alone"
            console.print(Text(text, style="yellow"))


def _worst(console: Console, summary: Summary) -> None:
    if not summary.worst:
        return
    heading(console, "Worst first")
    for outcome in summary.worst:
        print_alert(console, outcome)


def print_alert(console: Console, outcome: Outcome) -> None:
    """Print an alert in three lines: what was concluded, of whom, and why."""
    alert, conclusion = outcome.alert, outcome.verdict or {}
    line = Text.assemble(
        verdict(conclusion.get("label")),
        f" {percent(conclusion.get('confidence'))}  ",
        severity(alert["severity"]),
        "  ",
        plain(alert["title"], style="bold"),
    )
    console.print(line, no_wrap=True, overflow="ellipsis")
    times = f" · seen {alert['count']:,} times" if alert["count"] > 1 else ""
    console.print(
        Text.assemble(
            "  ",
            (tail(outcome.record_id), "cyan"),
            (f"  {when(alert['event_time'])}{times}  ", "dim"),
            plain(", ".join(_who(outcome))),
        ),
        no_wrap=True,
        overflow="ellipsis",
    )
    console.print(Padding(plain(conclusion.get("reason"), style="dim", limit=300), (0, 0, 0, 2)))


def _who(outcome: Outcome) -> list[str]:
    """Return the hosts, users and addresses of an alert, the most telling first, four at most."""
    order = ("host", "user", "mailbox", "address", "application", "file", "process")
    entities = sorted(outcome.alert["entities"], key=lambda each: order.index(each["type"]))
    return [f"{each['type']} {each['value']}" for each in entities[:4]]


def _cases(console: Console, summary: Summary) -> None:
    if not summary.cases:
        return
    heading(console, f"Cases ({len(summary.cases):,})")
    grid = table("case", "alerts", "severity", "since", "title", right=("alerts",), stretch="title")
    for case in summary.largest_cases():
        grid.add_row(
            tail(case.case_id), f"{case.alerts:,}", severity(case.severity), when(case.first), plain(case.title)
        )
    console.print(grid)


def _failed(console: Console, summary: Summary) -> None:
    if not summary.failed:
        return
    heading(console, "Triage failed; an analyst must look")
    for outcome in summary.failed:
        console.print(
            Text.assemble((tail(outcome.record_id), "cyan"), "  ", plain(outcome.alert["title"])),
            no_wrap=True,
            overflow="ellipsis",
        )


def _rejected(console: Console, told: Told) -> None:
    accepted = told.triaged.accepted
    if not accepted.rejects:
        return
    heading(console, f"Rejected ({accepted.rejects:,})")
    reasons = Counter(each.reason for each in accepted.rejected)
    if len(reasons) > 1:
        console.print(plain(", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())))
    for each in accepted.rejected[:5]:
        console.print(plain(f"{each.file}:{each.line}", style="cyan"), soft_wrap=True)
        console.print(Padding(plain(each.message), (0, 0, 0, 2)))
    if accepted.rejects > 5:
        console.print(Text("…", style="dim"))


def _account(console: Console, told: Told) -> None:
    counts = told.triaged.counts
    console.print()
    parts = " + ".join(f"{counts[name]:,} {name}" for name in ("triaged", "duplicate", "context", "rejected"))
    console.print(Text.assemble((f"{counts['read']:,} read", "bold"), f" = {parts}"))
    accepted = told.triaged.accepted
    if accepted.known:
        console.print(f"{plural(accepted.known, 'record was', 'records were')} already accepted by an earlier command")
    fresh = max(0, counts["triaged"] - accepted.known)
    rate = f", {fresh / told.working_s:,.0f} alerts/s" if fresh >= 20 and told.working_s else ""
    console.print(plain(f"{told.took_s:.1f} s{rate} · {told.database}", style="dim"), soft_wrap=True)
    if told.suggest:
        _next(console, told)


def _next(console: Console, told: Told) -> None:
    """Suggest commands that make sense now."""
    tips = []
    if told.summary.worst:
        tips.append(f"aurora alerts show {tail(told.summary.worst[0].record_id)}")
    if told.triaged.accepted.rejects:
        tips.append("aurora alerts rejected")
    if told.summary.verdicts:
        tips.append("aurora alerts list")
    where = f" --db {told.database}" if told.named else ""
    for number, tip in enumerate(tips):
        console.print(
            Text.assemble("next: " if not number else "      ", plain(tip + where, style="cyan")), soft_wrap=True
        )
