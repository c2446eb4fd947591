"""aurora content: what is installed, and whether all of it can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson

if TYPE_CHECKING:
    from aurora.discovery import Content

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="List, show and check graphs, agents, tools, rules, enrichers, formats and plugins.",
)

Kind = Literal["graph", "agent", "tool", "rule", "enricher", "format"]


@app.command("list", cls=Command)
def list_content(
    kind: Annotated[
        Kind | None, typer.Option(metavar="KIND", help="Only this kind: graph, agent, tool, rule, enricher or format.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List all content: Aurora's own and that of trusted plugins.

    Example:
        aurora content list --kind rule
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import settings_for
        from aurora.cli._show import out, plain, plural, table
        from aurora.services.content import items as all_items

        content = _found(settings_for(None).content.trusted_plugins)
        items = [each for each in all_items(content) if kind in (None, each.kind)]
        if as_json:
            for each in items:
                write_json(
                    {
                        "id": each.id,
                        "kind": each.kind,
                        "version": each.version,
                        "risk": each.risk,
                        "file": each.file,
                        "origin": each.origin,
                    }
                )
            return DONE
        console = out()
        wide = console.width >= 120
        grid = table(
            "id", "kind", "version", "risk", "origin", *(["file"] if wide else []), stretch="file" if wide else ""
        )
        for each in items:
            grid.add_row(
                plain(each.id, style="cyan"),
                each.kind,
                plain(each.version),
                plain(each.risk),
                plain(each.origin),
                *([plain(each.file)] if wide else []),
            )
        console.print(grid)
        for plugin in content.untrusted:
            console.print(
                plain(
                    f"installed, but not trusted: plugin {plugin.name} of {plugin.distribution}; "
                    f"to use it, name it in content.trusted_plugins",
                    style="yellow",
                )
            )
        console.print(plain(plural(len(items), "item"), style="dim"))
        return DONE

    run(work)


@app.command(cls=Command)
def show(
    id: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="Id of a graph, agent, tool, …")],
    kind: Annotated[
        Kind | None,
        typer.Option(metavar="KIND", help="Its kind, where several kinds have something of that id."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Its version, where a graph is kept in several; else the newest."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one thing in full: an agent's prompt, tools and form of answer; a tool's arguments; what a rule weighs.

    Examples:
        aurora content show past_alerts

        aurora content show triage --kind agent
    """

    async def work() -> int:
        from aurora.cli._content import print_spec
        from aurora.cli._json import write_json
        from aurora.cli._options import settings_for
        from aurora.cli._show import out
        from aurora.services.content import described, find

        content = _found(settings_for(None).content.trusted_plugins)
        document = described(find(content, id, kind=kind, version=version), content)
        if as_json:
            write_json(document)
        else:
            print_spec(out(), document)
        return DONE

    run(work)


@app.command(cls=Command)
def check(as_json: AsJson = False) -> None:
    """Load all content and build every graph; exit 0 if all of it can be used, 1 with one line for every fault.

    Example:
        aurora content check
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import settings_for
        from aurora.cli._show import complain, out, plain, plural
        from aurora.kernel.errors import ContentInvalid
        from aurora.services.content import graph_faults, items

        faults: list[str] = []
        count = 0
        try:
            content = _found(settings_for(None).content.trusted_plugins)
            count = len(items(content))
            faults = list(graph_faults(content))
            for fault in faults:
                complain(fault)
        except ContentInvalid as invalid:
            complain(invalid.message)
            faults = [line.removeprefix("- ") for line in invalid.message.splitlines()[1:]] or [invalid.message]
        if as_json:
            write_json({"items": count, "faults": faults})
        elif not faults:
            out().print(plain(f"{plural(count, 'item')}, no fault", style="green"))
        return INCOMPLETE if faults else DONE

    run(work)


def _found(trusted: tuple[str, ...]) -> Content:
    from aurora.discovery import discover_content

    return discover_content(trusted_plugins=trusted)
