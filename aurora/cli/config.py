"""aurora config: every setting with its value, and where that came from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, Database

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Show every setting with its value and where it was set.",
)


@app.command(cls=Command)
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Tell for each setting where its value came from.")] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Show every setting with its value. Secrets are not shown, only whether they are set.

    Examples:
        aurora config show

        aurora config show --origin

        aurora config show --json | jq -r 'select(.origin != "default") | .name'
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._show import out, plain, table
        from aurora.services.configuration import settings_told
        from aurora.settings import settings_with_origin

        overrides: dict[str, Any] = {} if db is None else {"database__url": db}
        listed = settings_told(*settings_with_origin(**overrides))
        if as_json:
            for each in listed:
                write_json({"name": each.name, "value": each.value, "secret": each.secret, "origin": each.origin})
            return DONE
        grid = table("setting", "value", *(["set in"] if origin else []), stretch="value", wrap=True)
        for each in listed:
            value = plain("not set", style="dim") if each.value is None else plain(each.value)
            where = plain(each.origin, style="dim" if each.is_default else "")
            grid.add_row(plain(each.name, style="" if each.is_default else "cyan"), value, *([where] if origin else []))
        out().print(grid)
        return DONE

    run(work)


@app.command(cls=Command)
def path() -> None:
    """Print which aurora.toml is read: the one that AURORA_CONFIG names, or that of the current directory.

    Example:
        $EDITOR "$(aurora config path)"

        aurora config path
    """

    async def work() -> int:
        from aurora.cli._show import complain, out, plain
        from aurora.settings.sources import config_file

        file = config_file()
        out().print(plain(str(file)), soft_wrap=True)
        if not file.exists():
            complain("there is no such file; defaults and AURORA_* variables count")
        return DONE

    run(work)
