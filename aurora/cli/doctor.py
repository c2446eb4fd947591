"""aurora doctor: what is missing, and what mends it."""

from __future__ import annotations

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, Database

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "mend": ("MEND", "bold red")}


@app.command(cls=Command)
def doctor(as_json: AsJson = False, db: Database = None) -> None:
    """Check the installation; say what is missing and which command mends it. Changes nothing, asks no network.

    Looks at Python, packages, clock, settings, signing key, data directory, disk, database, model, content,
    plugins and extras. What is only worth knowing is a note; what must be mended makes the exit status 1.

    Examples:
        aurora doctor

        aurora doctor --json | jq -r 'select(.state == "mend") | .remedy'
    """

    async def work() -> int:
        from rich.padding import Padding
        from rich.text import Text

        from aurora.cli._json import write_json
        from aurora.cli._show import out, plain, plural
        from aurora.kernel.clock import SystemClock
        from aurora.kernel.untrusted import clean
        from aurora.services.doctor import State, examine

        console = out()
        overrides: dict[str, object] = {} if db is None else {"database__url": db}
        counts = dict.fromkeys(State, 0)
        async for check in examine(overrides=overrides, clock=SystemClock()):
            counts[check.state] += 1
            if as_json:
                write_json({"check": check.name, "state": check.state, "found": check.found, "remedy": check.remedy})
                continue
            mark, style = _MARKS[check.state]
            lines = clean(check.found).splitlines() or [""]
            console.print(Text.assemble((f"{mark:<5}", style), (f"{check.name:<16}", "bold"), lines[0]), soft_wrap=True)
            for line in lines[1:]:
                console.print(Padding(plain(line), (0, 0, 0, 21)))
            if check.remedy:
                console.print(Text.assemble(" " * 21, ("→ ", "dim"), (clean(check.remedy), "cyan")), soft_wrap=True)
        if not as_json:
            console.print()
            told = "nothing must be mended" if not counts[State.MEND] else f"{counts[State.MEND]} must be mended"
            console.print(plain(f"{plural(sum(counts.values()), 'check')}, {told}"))
        return INCOMPLETE if counts[State.MEND] else DONE

    run(work)
