"""What `aurora triage` and `aurora demo` share: run the pipeline, show how far it is, tell what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aurora.bootstrap import Runtime, open_pipeline, open_runtime
from aurora.cli._border import DONE, INCOMPLETE
from aurora.cli._json import write_json
from aurora.cli._options import database_shown
from aurora.cli._progress import Bars
from aurora.cli._report import report_input
from aurora.cli._show import complain, err, log_to, out, plural
from aurora.cli._summary import Told, print_summary
from aurora.services.outcomes import has_failed, outcome_document
from aurora.services.summary import outcomes, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from aurora.ingest.pipeline import Triaged
    from aurora.ingest.reading import Source
    from aurora.settings import Settings

After = Callable[[Runtime, "Triaged"], Awaitable[None]]


async def triage_sources(
    settings: Settings,
    sources: Sequence[Source],
    *,
    hint: str | None = None,
    as_json: bool = False,
    named: bool = False,
    report: Path | None = None,
    after: After | None = None,
) -> int:
    """Triage sources, print what came of it, and return the exit status.

    Args:
        settings: Of this command.
        sources: Inputs, in order.
        hint: Id of the format that all records have.
        as_json: Print each record as a line of JSON instead of a summary.
        named: The database was named by `--db`, so the commands that are suggested must name it too.
        report: File that a report for people is written to.
        after: Prints more below the summary, instead of suggestions.
    """
    async with open_runtime(settings) as runtime:
        began = runtime.clock.monotonic()
        console = err()
        with Bars(console, sources) as bars:
            log_to(bars.console, settings.observability.log_level)
            async with open_pipeline(runtime) as pipeline:
                started = runtime.clock.monotonic()
                triaged = await pipeline.triage(
                    sources, hint=hint, on_read=bars.read, on_accepted=bars.accepted, on_done=bars.done
                )
                ended = runtime.clock.monotonic()
        log_to(console, settings.observability.log_level)
        if as_json:
            failed = await _write_records(runtime, triaged)
            _tell_rejects(triaged)
        else:
            summary = await summarise(runtime.storage, triaged.accepted)
            failed = len(summary.failed)
            told = Told(
                triaged=triaged,
                summary=summary,
                took_s=ended - began,
                working_s=ended - started,
                database=database_shown(settings),
                named=named,
                suggest=after is None,
            )
            print_summary(out(), told)
            if after is not None:
                await after(runtime, triaged)
        if report is not None:
            await report_input(runtime, triaged.accepted, report, as_json=as_json)
    rejected, unrecognised = triaged.accepted.rejects, not triaged.accepted.read
    return INCOMPLETE if rejected or failed or triaged.failed or unrecognised else DONE


async def _write_records(runtime: Runtime, triaged: Triaged) -> int:
    """Write every alert record as JSON, in input order; return how many alerts have no verdict of worth."""
    failed = 0
    records = triaged.accepted.records()
    async for (record_id, alert_id, file), outcome in outcomes(runtime.storage, records, lambda each: each[0]):
        write_json(outcome_document(outcome, file=file))
        if has_failed(outcome.verdict) and record_id == alert_id:
            failed += 1
            complain(f"triage of alert {alert_id} failed; an analyst must look")
    return failed


def _tell_rejects(triaged: Triaged) -> None:
    accepted = triaged.accepted
    shown = accepted.rejected[:10]
    for each in shown:
        complain(f"{each.file}:{each.line}: rejected: {each.message}")
    if accepted.rejects > len(shown):
        complain(
            f"{plural(accepted.rejects - len(shown), 'more record was', 'more records were')} rejected; "
            "`aurora alerts rejected` lists them"
        )
