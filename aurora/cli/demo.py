"""aurora demo: the shipped sample, triaged, and its story."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from aurora.cli._border import run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, BrokerName, Database, ModelName, ModelUrl, model_overrides
from aurora.cli._report import ReportFile

if TYPE_CHECKING:
    from aurora.bootstrap import Runtime
    from aurora.ingest.pipeline import Triaged

app = typer.Typer(add_completion=False, context_settings=OPTIONS)


@app.command(cls=Command)
def demo(
    *,
    as_json: AsJson = False,
    db: Database = None,
    report: ReportFile = None,
    broker: BrokerName = None,
    model: ModelName = None,
    model_url: ModelUrl = None,
) -> None:
    """Triage a small sample that comes with Aurora: one attack in alerts of five products, from phishing to ransomware.

    Uses a database that is thrown away, unless --db names one to look around in afterwards.

    Examples:
        aurora demo

        aurora demo --db sqlite:///demo.db

        aurora demo --report demo.html

        aurora demo --json | jq -r '[.verdict, .title] | @tsv'
    """

    async def work() -> int:
        from tempfile import TemporaryDirectory

        from aurora.cli._options import settings_for
        from aurora.cli._report import check_report
        from aurora.cli._triaging import triage_sources
        from aurora.demo import sample_sources

        check_report(report)
        with ExitStack() as stack:
            url = db or f"sqlite:///{stack.enter_context(TemporaryDirectory(prefix='aurora-demo-'))}/demo.db"
            settings = settings_for(url, broker=broker, **model_overrides(model, model_url))
            return await triage_sources(
                settings,
                sample_sources(),
                as_json=as_json,
                named=True,
                report=report,
                after=lambda runtime, triaged: _story(runtime, triaged, kept=db is not None),
            )

    run(work)


async def _story(runtime: Runtime, triaged: Triaged, *, kept: bool) -> None:
    """Tell what happened, case by case, in time order."""
    from rich.padding import Padding
    from rich.text import Text

    from aurora.cli._options import database_shown
    from aurora.cli._show import heading, out, plain, plural, severity, tail, verdict, when
    from aurora.services.story import tell

    console = out()
    for case in await tell(runtime.storage, triaged.accepted):
        products = ", ".join(case.sources)
        heading(
            console,
            f"The story of case {tail(case.case_id)}: {plural(len(case.alerts), 'alert')}, "
            f"{plural(len(case.sources), 'product')} ({products})",
        )
        for outcome in case.alerts:
            alert, conclusion = outcome.alert, outcome.verdict or {}
            console.print(
                Text.assemble(
                    (when(alert["event_time"])[11:16], "cyan"),
                    "  ",
                    plain(alert["title"], style="bold"),
                    "  ",
                    severity(alert["severity"]),
                    ", ",
                    verdict(conclusion.get("label")),
                )
            )
            techniques = ", ".join(conclusion.get("techniques", ()))
            where = ", ".join(_where(alert["entities"]))
            console.print(
                Padding(
                    plain(f"{where}{'  · ' if where and techniques else ''}{techniques}", style="dim"), (0, 0, 0, 7)
                )
            )
    console.print()
    if kept:
        console.print(plain(f"look around: aurora alerts list --db {database_shown(runtime.settings)}"), soft_wrap=True)
    console.print("your own alerts: aurora triage FILE")


def _where(entities: list[dict[str, str]]) -> list[str]:
    """Return hosts and users, or the addresses where there are none."""
    people = [each["value"] for each in entities if each["type"] in {"host", "user", "mailbox"}]
    return list(dict.fromkeys(people or [each["value"] for each in entities if each["type"] == "address"]))
