"""aurora runs: what a run did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, Database

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Show what a run of a graph did, step by step.",
)


@app.callback()
def runs() -> None:
    """Show what a run of a graph did, step by step."""


@app.command(cls=Command)
def show(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", show_default=False, help="Id of a run, or its last digits, 4 or more.")
    ],
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Show a run: its graph, its state, when each durable step was reached, and its verdict.

    `aurora alerts show` names the run of an alert.

    Example:
        aurora runs show 87816699
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.services.runs import run_details

        async with opened(db) as runtime:
            details = await run_details(runtime.storage, run_id)
        if as_json:
            write_json(details)
        else:
            _print(out(), details)
        return DONE

    run(work)


def _print(console: Console, details: dict[str, Any]) -> None:
    from rich.text import Text

    from aurora.cli._recalled import print_recalled
    from aurora.cli._show import heading, percent, plain, table, verdict, when

    console.print(Text(f"run {details['run_id']}", style="bold"))
    version = f" version {details['graph_version']}" if details["graph_version"] else ""
    facts = [
        ("graph", f"{details['graph']}{version}"),
        ("state", details["state"] or "its task is not kept any more"),
        ("attempts", None if details["attempts"] is None else str(details["attempts"])),
        ("error", details["error"]),
        ("alert", details["alert_id"]),
        ("started", details["started"] and when(details["started"])),
        ("finished", details["finished"] and when(details["finished"])),
    ]
    grid = table("what", "value", stretch="value", wrap=True)
    grid.show_header = False
    for name, value in facts:
        if value:
            grid.add_row(Text(name, style="dim"), plain(value))
    console.print(grid)
    if details["steps"]:
        heading(console, "Durable steps")
        steps = table("step", "node", "reached (UTC)", "took", right=("step", "took"))
        for each in details["steps"]:
            took = "" if each["took_ms"] is None else f"{each['took_ms']:.1f} ms"
            steps.add_row(str(each["step"]), plain(each["node"]), each["time"].replace("T", " ").rstrip("Z"), took)
        console.print(steps)
    if details["answers"]:
        heading(console, "Journal: what models and tools answered")
        answers = table("in", "", "who", "tokens in", "out", "took", "sha256", right=("tokens in", "out", "took"))
        for each in details["answers"]:
            answers.add_row(
                plain(f"{each['scope']} {each['number']}"),
                each["kind"],
                plain(each["name"]),
                "" if each["input_tokens"] is None else f"{each['input_tokens']:,}",
                "" if each["output_tokens"] is None else f"{each['output_tokens']:,}",
                "" if each["took_ms"] is None else f"{each['took_ms']:,} ms",
                Text(each["answer_sha256"][:12], style="dim"),
            )
        console.print(answers)
    if details["verdict"]:
        heading(console, "Verdict")
        found = details["verdict"]
        console.print(
            Text.assemble(
                verdict(found["verdict"]),
                f" {percent(found['confidence'])}  ",
                plain(found["decided_name"], style="dim"),
            )
        )
        console.print(plain(found["reason"]))
        print_recalled(console, found["recalled"])
