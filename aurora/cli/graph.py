"""aurora graph: which graphs there are, and how one is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aurora.sdk.spec import GraphSpec

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Show the graphs: as a drawing in the terminal or as SVG.",
)


@app.command("list", cls=Command)
def list_graphs(as_json: AsJson = False) -> None:
    """List the graphs that there are. A fresh run begins with the version that is named first.

    Example:
        aurora graph list
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._show import out, plain, table

        graphs = [list(versions.values()) for versions in _graphs().values()]
        if as_json:
            for spec, *older in graphs:
                write_json(
                    {
                        "id": spec.id,
                        "version": spec.version,
                        "older_versions": [each.version for each in older],
                        "title": spec.title,
                        "description": spec.description,
                        "nodes": list(spec.nodes),
                        "file": spec.file,
                    }
                )
            return DONE
        grid = table("id", "version", "nodes", "title", right=("nodes",), stretch="title", wrap=True)
        for spec, *older in graphs:
            version = plain(spec.version)
            if older:  # kept for runs that began with them
                version.append(f" (also {', '.join(each.version for each in older)})", style="dim")
            grid.add_row(plain(spec.id, style="cyan"), version, str(len(spec.nodes)), plain(spec.title))
        out().print(grid)
        return DONE

    run(work)


@app.command(cls=Command)
def show(
    graph: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="Id of a graph.")],
    version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", show_default=False, help="Of this version; the newest if not given."),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            "--svg", metavar="FILE", dir_okay=False, show_default=False, help="Write the drawing to this file as SVG."
        ),
    ] = None,
) -> None:
    """Draw a graph as LangGraph has it once it is compiled: its nodes, what each does, and where it goes on.

    Examples:
        aurora graph show triage

        aurora graph show triage --svg triage.svg
    """

    async def work() -> int:
        from aurora.cli._show import out, plain
        from aurora.kernel.errors import InputError, NotFound
        from aurora.kernel.untrusted import quoted

        versions = _graphs().get(graph)
        if versions is None:
            raise NotFound(f"there is no graph {graph[:40]!r}; `aurora graph list` shows them")
        spec = next(iter(versions.values())) if version is None else versions.get(version)
        if spec is None:
            raise NotFound(f"graph {graph!r} has no version {str(version)[:40]!r}; there are {', '.join(versions)}")
        from aurora.cli._drawing import print_drawing
        from aurora.cli._layout import layout
        from aurora.cli._svg import draw_svg

        drawing = layout(spec)
        if svg is None:
            print_drawing(out(), spec, drawing)
        else:
            try:
                svg.write_text(draw_svg(spec, drawing), encoding="utf-8")
            except OSError as error:
                why = (error.strerror or type(error).__name__).lower()
                raise InputError(f"cannot write to {quoted(str(svg))}: {why}") from error
            out().print(plain(f"wrote {svg}"), soft_wrap=True)
        return DONE

    run(work)


def _graphs() -> Mapping[str, Mapping[str, GraphSpec]]:
    from aurora.cli._options import settings_for
    from aurora.discovery import discover_content

    return discover_content(trusted_plugins=settings_for(None).content.trusted_plugins).graph_versions
