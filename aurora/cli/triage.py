"""aurora triage: from files to verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, BrokerName, Database, ModelName, ModelUrl, model_overrides
from aurora.cli._report import ReportFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

STOPPED = "what is done is kept; run the same command again to go on"


@app.command(cls=Command)
def triage(
    *,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            show_default=False,
            help="Files, directories, patterns such as 'logs/*.json.gz', or - for standard input.",
        ),
    ],
    format_id: Annotated[
        str,
        typer.Option(
            "--format", metavar="ID", help="Read every record as this format; auto: tell each by its content."
        ),
    ] = "auto",
    as_json: AsJson = False,
    db: Database = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            max=64,
            metavar="N",
            show_default=False,
            help="Alerts triaged at the same time; 8 unless set otherwise. Verdicts do not depend on it.",
        ),
    ] = None,
    report: ReportFile = None,
    broker: BrokerName = None,
    model: ModelName = None,
    model_url: ModelUrl = None,
) -> None:
    """Turn alert files into verdicts that show their evidence.

    Reads JSON lines, lists and objects, tables of Zeek and event logs of Windows (.evtx); plain, .gz or .xz. The
    format of each record is told by its content. What cannot be read is kept with the reason, and the rest goes on.
    Stopped at any moment, the same command goes on where it was: no alert is lost, none is triaged twice.

    Examples:
        aurora triage eve.json

        aurora triage logs/ 'old/*.xz' --db sqlite:///soc.db --report triage.html

        zcat eve.json.gz | aurora triage - --json | jq .verdict

        aurora triage eve.json --model ollama:qwen3:8b

    With --model a chat model gives its opinion of each alert, too. It may make a verdict worse; milder only with
    evidence that the rules accept. Whatever becomes of it, every alert gets a verdict.

    Exit status: 0 every alert has its verdict; 1 something was rejected, failed or not recognised; 2 usage.
    """
    run(
        lambda: _triage(
            paths,
            format_id=format_id,
            as_json=as_json,
            db=db,
            broker=broker,
            report=report,
            overrides=({} if jobs is None else {"triage__jobs": jobs}) | model_overrides(model, model_url),
        ),
        when_stopped=STOPPED,
    )


async def _triage(
    paths: Sequence[str],
    *,
    format_id: str,
    as_json: bool,
    db: str | None,
    broker: str | None,
    report: Path | None,
    overrides: Mapping[str, Any],
) -> int:
    import sys

    from aurora.cli._options import settings_for
    from aurora.cli._report import check_report
    from aurora.cli._triaging import triage_sources
    from aurora.ingest.formats.registry import Formats
    from aurora.ingest.reading import discover

    check_report(report)
    settings = settings_for(db, broker=broker, **overrides)
    hint = None if format_id == "auto" else Formats().by_id(format_id).id
    sources = discover(paths, stdin=getattr(sys.stdin, "buffer", None))
    return await triage_sources(settings, sources, hint=hint, as_json=as_json, named=db is not None, report=report)
