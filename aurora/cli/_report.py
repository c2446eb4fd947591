"""What commands that write a report share: gather, write in a thread, show how far it is, say where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from aurora.bootstrap import Runtime
    from aurora.ingest.accepted import Accepted
    from aurora.services.report import Progress, Report

ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        show_default=False,
        help="Write a report for people to this file: one HTML page that needs nothing else, to read, print or send.",
    ),
]


def check_report(path: Path | None) -> None:
    """Return if the report could be written, before any work is done.

    Raises:
        InputError: it could not.
    """
    if path is not None:
        from aurora.services.files import check_target

        check_target(path)


async def report_input(runtime: Runtime, accepted: Accepted, path: Path, *, as_json: bool) -> None:
    """Write the report of one input."""
    from aurora.cli._show import err, installed_version, out
    from aurora.services.report import report_of_input

    await _write(
        lambda progress: report_of_input(
            runtime.storage,
            accepted,
            content=runtime.content,
            knowledge=runtime.knowledge,
            clock=runtime.clock,
            version=installed_version(),
            on_progress=progress,
        ),
        path,
        console=err() if as_json else out(),
    )


async def report_alerts(runtime: Runtime, filters: Mapping[str, str | None], path: Path) -> None:
    """Write the report of the stored alerts that match filters."""
    from aurora.cli._show import installed_version, out
    from aurora.services.report import report_of_alerts

    await _write(
        lambda progress: report_of_alerts(
            runtime.storage,
            filters=filters,
            content=runtime.content,
            knowledge=runtime.knowledge,
            clock=runtime.clock,
            version=installed_version(),
            on_progress=progress,
        ),
        path,
        console=out(),
    )


async def _write(gather: Callable[[Progress], Awaitable[Report]], path: Path, *, console: Console) -> None:
    from rich.status import Status

    from aurora.cli._show import err, plain, plural
    from aurora.reports import write_report

    with Status("report: reading", console=err()) as status:

        def read(done: int, total: int) -> None:
            status.update(f"report: read {done:,}" + (f" of {total:,}" if total else ""))

        def written(done: int, total: int) -> None:
            status.update(f"report: wrote {done:,} of {total:,}")

        report = await gather(read)
        size = await asyncio.to_thread(write_report, report, path, on_progress=written)
    told = f"report: {path} ({plural(report.tally.total, 'alert')}, {size / 1e6:,.1f} MB)"
    console.print(plain(told), soft_wrap=True)
