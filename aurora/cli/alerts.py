"""aurora alerts: list, look at, correct."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, Database

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="List alerts, look at one with everything known of it, correct a verdict.",
)

# Spelled out, so that help and completion need not import the domain; a test holds them to its enumerations.
VerdictName = Literal["malicious", "suspicious", "needs_review", "benign"]
SeverityName = Literal["critical", "high", "medium", "low", "info"]
StatusName = Literal["new", "triaged", "investigating", "escalated", "resolved", "false_positive"]
ExportName = Literal["ocsf", "csv"]

WithVerdict = Annotated[
    VerdictName | None,
    typer.Option(
        metavar="VERDICT", help="Only alerts with this verdict: malicious, suspicious, needs_review or benign."
    ),
]
OfSeverity = Annotated[
    SeverityName | None,
    typer.Option(metavar="SEVERITY", help="Only alerts of this severity: critical, high, medium, low or info."),
]
InState = Annotated[
    StatusName | None,
    typer.Option(
        metavar="STATUS",
        help="Only alerts in this state: new, triaged, investigating, escalated, resolved or false_positive.",
    ),
]
FromSource = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only alerts of this product family, such as suricata or microsoft."),
]

AlertRef = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="Id of an alert or of one of its duplicates, or its last digits, 4 or more.",
    ),
]


@app.command("list", cls=Command)
def list_alerts(
    *,
    verdict: WithVerdict = None,
    severity: OfSeverity = None,
    status: InState = None,
    source: FromSource = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="List so many at most.")] = 50,
    skip: Annotated[int, typer.Option(min=0, help="Leave out the first so many.")] = 0,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """List alerts, the newest first. Duplicates are counted with the alert they repeat.

    Examples:
        aurora alerts list --verdict malicious

        aurora alerts list --source suricata --severity high --json | jq .title
    """

    async def work() -> int:
        from aurora.cli._alerts import print_list
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.services.outcomes import outcome_document

        async with opened(db) as runtime, runtime.storage.reading() as transaction:
            found = await transaction.alerts.listed(
                verdict=verdict, severity=severity, status=status, source=source, limit=limit, skip=skip
            )
        if as_json:
            for outcome in found:
                write_json(
                    {**outcome_document(outcome), "status": outcome.alert["status"], "count": outcome.alert["count"]}
                )
        else:
            print_list(out(), found, full=len(found) == limit, skip=skip)
        return DONE

    run(work)


@app.command(cls=Command)
def show(alert: AlertRef, as_json: AsJson = False, db: Database = None) -> None:
    """Show everything that is known of an alert: fields and who wrote them, evidence, weights, history, raw record.

    Example:
        aurora alerts show 8f3556e1
    """

    async def work() -> int:
        from aurora.cli._alerts import print_details
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.services.alerts import describe_alert

        async with opened(db) as runtime:
            described = await describe_alert(runtime.storage, alert)
        if as_json:
            write_json(described)
        else:
            print_details(out(), described)
        return DONE

    run(work)


@app.command(cls=Command)
def report(
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", show_default=False, help="Write the page to this file.")
    ],
    verdict: WithVerdict = None,
    severity: OfSeverity = None,
    status: InState = None,
    source: FromSource = None,
    db: Database = None,
) -> None:
    """Write a report of stored alerts for people: one HTML page that needs nothing else, to read, print or send.

    The worst alerts stand first, with their claims, the evidence for them, and what was not checked.

    Examples:
        aurora alerts report --output alerts.html

        aurora alerts report --verdict malicious --source microsoft --output worst.html
    """

    async def work() -> int:
        from aurora.cli._options import opened
        from aurora.cli._report import check_report, report_alerts

        check_report(output)
        async with opened(db) as runtime:
            await report_alerts(
                runtime, {"verdict": verdict, "severity": severity, "status": status, "source": source}, output
            )
        return DONE

    run(work)


@app.command(cls=Command)
def export(
    *,
    format: Annotated[
        ExportName,
        typer.Option(
            metavar="FORMAT",
            show_default=False,
            help="ocsf: a Detection Finding of OCSF a line, as JSON; csv: a table that spreadsheets open safely.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", show_default=False, help="Write to this file instead of stdout."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    verdict: WithVerdict = None,
    severity: OfSeverity = None,
    status: InState = None,
    source: FromSource = None,
    limit: Annotated[int | None, typer.Option(min=1, show_default=False, help="Export so many at most.")] = None,
    db: Database = None,
) -> None:
    """Export alerts with their verdicts for other programs, the newest first.

    Duplicates are counted with the alert they repeat. A file takes its place only when it is complete.

    Examples:
        aurora alerts export --format ocsf --verdict malicious | gzip > findings.jsonl.gz

        aurora alerts export --format csv --output alerts.csv
    """

    async def work() -> int:
        from aurora.cli._export import write_export
        from aurora.cli._options import opened
        from aurora.cli._show import installed_version
        from aurora.services.export import exported

        async with opened(db) as runtime:
            pieces = exported(
                runtime.storage,
                format=format,
                version=installed_version(),
                filters={"verdict": verdict, "severity": severity, "status": status, "source": source},
                limit=limit,
                attack=runtime.knowledge.attack,
            )
            await write_export(pieces, output, force=force)
        return DONE

    run(work)


@app.command(cls=Command)
def rejected(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="List so many at most.")] = 50,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """List what could not be read, the newest first: where it stands, why, and how it begins.

    Example:
        aurora alerts rejected --json | jq -r '[.file, .line, .reason] | @tsv'
    """

    async def work() -> int:
        from aurora.cli._alerts import print_rejected, rejected_document
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out

        async with opened(db) as runtime, runtime.storage.reading() as transaction:
            rows = await transaction.batches.rejected(limit=limit)
        if as_json:
            for row in rows:
                write_json(rejected_document(row))
        else:
            print_rejected(out(), rows)
        return DONE

    run(work)


@app.command(cls=Command)
def decide(
    *,
    alert: AlertRef,
    verdict: Annotated[
        VerdictName,
        typer.Option(
            metavar="VERDICT",
            show_default=False,
            help="What you concluded: malicious, suspicious, needs_review or benign.",
        ),
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Why; it becomes evidence.")],
    close: Annotated[
        bool, typer.Option("--close", help="Close the alert: the next occurrence opens a new one.")
    ] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Correct a verdict. What was concluded before stays in the history; later alerts like it recall yours.

    Example:
        aurora alerts decide 8f3556e1 --verdict benign --reason "Our own backup job, ticket 4711" --close
    """

    async def work() -> int:
        from aurora.cli._alerts import this_person
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out, tail
        from aurora.cli._show import verdict as coloured
        from aurora.kernel.models import VerdictLabel
        from aurora.services.alerts import describe_alert
        from aurora.services.decisions import decide_alert

        async with opened(db) as runtime:
            decided = await decide_alert(
                runtime.storage,
                alert=alert,
                label=VerdictLabel(verdict),
                reason=reason,
                analyst=this_person(),
                close=close,
                clock=runtime.clock,
                ids=runtime.ids,
                judgements=runtime.judgements,
            )
            if as_json:
                write_json(await describe_alert(runtime.storage, str(decided.alert_id)))
                return DONE
        from rich.text import Text

        case = f", case {tail(decided.case_id)}" if decided.case_id else ""
        out().print(
            Text.assemble(
                f"alert {tail(decided.alert_id)}: ",
                coloured(decided.before),
                " → ",
                coloured(verdict),
                f"  (status {decided.status}{case})",
            )
        )
        return DONE

    run(work)
