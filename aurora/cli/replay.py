"""aurora replay: a run, once more, from its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, Database

if TYPE_CHECKING:
    from aurora.services.outcomes import Document

app = typer.Typer(add_completion=False, context_settings=OPTIONS)


@app.command(cls=Command)
def replay(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", show_default=False, help="Id of a run, or its last digits, 4 or more.")
    ],
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Run a run again from its journal, without model, network or effect, and compare every step.

    Each node runs anew with the content that is installed now; what models and tools said comes from the
    journal, and what the world said (the alert, earlier verdicts) from the run's own record. Nothing is
    written. The run ends byte-equal, or the step is named at which it differs: a rule, a prompt or a graph
    has changed since, or the record was tampered with.

    `aurora alerts show` names the run of an alert.

    Example:
        aurora replay 87816699

    Exit status: 0 byte-equal; 1 it differs, or the run cannot be replayed.
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.services.replays import replay_run

        async with opened(db) as runtime:
            found = await replay_run(runtime.storage, run_id, content=runtime.content, context=runtime.replaying)
        if as_json:
            write_json(found)
        else:
            _print(found)
        return DONE if found["equal"] else INCOMPLETE

    run(work)


def _print(found: Document) -> None:
    from rich.text import Text

    from aurora.cli._show import out, plain, plural, table

    console = out()
    console.print(Text(f"run {found['run_id']}", style="bold"))
    console.print(plain(f"graph {found['graph']} version {found['graph_version_now']}{_then(found)}", style="dim"))
    grid = table("step", "node", "from", "sha256 of what it wrote", "", right=("step",))
    for each in found["steps"]:
        grid.add_row(
            str(each["step"]),
            plain(each["node"]),
            Text("record" if each["from_record"] else "replay", style="dim" if each["from_record"] else ""),
            Text(each["sha256"][:16], style="dim"),
            Text("differs", style="red") if each["difference"] else Text("equal", style="green"),
        )
    console.print(grid)
    answers = plural(found["answers"], "answer", "answers")
    if found["equal"]:
        console.print(Text(f"byte-equal: {plural(len(found['steps']), 'step', 'steps')}, {answers} from the journal"))
    else:
        console.print(Text.assemble(("differs: ", "red"), plain(found["difference"])))


def _then(found: dict[str, Any]) -> str:
    then = found["graph_version_then"]
    return "" if then in (None, found["graph_version_now"]) else f" (the run used version {then})"
