"""aurora new: a working file and its test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aurora.discovery import ContentItem
    from aurora.scaffold.plans import Plan

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Write a new agent, tool, graph or plugin, with its test.",
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", show_default=False, help="Lower-case words joined by '-', such as mail-watch.")
]
Into = Annotated[
    Path | None,
    typer.Option(
        "--into",
        metavar="DIR",
        show_default=False,
        help="Package that has agents/ and graphs/, or will. Without it: that of the plugin project around you.",
    ),
]


@app.command(cls=Command)
def tool(name: NameArgument, into: Into = None) -> None:
    """Write a tool, which agents may call to look something up, and its test.

    Example:
        aurora new tool asset-owner
    """

    async def work() -> int:
        from aurora.scaffold.home import find_home
        from aurora.scaffold.names import checked_name
        from aurora.scaffold.plans import plan_tool

        chosen = checked_name(name)
        _refuse_known("tool", chosen.module)
        home = find_home(into, start=Path.cwd())
        return _write(
            plan_tool(home, chosen),
            [
                f"replace what it looks up: {_short(home.folder / 'agents' / 'tools' / chosen.module)}.py",
                f'let an agent call it: tools=("{chosen.module}",)',
                f"pytest -k {chosen.module}",
            ],
        )

    run(work)


@app.command(cls=Command)
def agent(
    name: NameArgument,
    tools: Annotated[
        list[str] | None,
        typer.Option("--tool", metavar="ID", show_default=False, help="Tool that it may call; may be given again."),
    ] = None,
    into: Into = None,
) -> None:
    """Write an agent: its role, its prompt, the form of its answer, and its test.

    Example:
        aurora new agent mail-reader --tool lookup_indicator
    """

    async def work() -> int:
        from aurora.scaffold.home import find_home
        from aurora.scaffold.names import checked_name
        from aurora.scaffold.plans import plan_agent

        chosen = checked_name(name)
        called = [checked_name(each).module for each in tools or ()]
        _refuse_known("agent", chosen.id)
        home = find_home(into, start=Path.cwd())
        agents = home.folder / "agents"
        for each in called:
            if not (agents / "tools" / f"{each}.py").is_file():
                _require_tool(each)
        return _write(
            plan_agent(home, chosen, tools=called),
            [
                f"say who it is: {_short(agents / 'prompts' / chosen.module)}.md",
                f"say what it answers with: {_short(agents / chosen.module)}.py",
                f"pytest -k {chosen.module}",
                f"let a graph ask it: aurora new graph {chosen.id}-graph --agent {chosen.id}",
            ],
        )

    run(work)


@app.command(cls=Command)
def graph(
    name: NameArgument,
    agent_name: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="NAME",
            show_default=False,
            help="Agent that it asks, as `aurora new agent` wrote it. Without it one of the graph's name is written.",
        ),
    ] = None,
    into: Into = None,
) -> None:
    """Write a graph that decides by rules and asks an agent where there is a model, and its test.

    Example:
        aurora new graph mail-watch --agent mail-reader
    """

    async def work() -> int:
        from aurora.scaffold.home import find_home
        from aurora.scaffold.names import checked_name
        from aurora.scaffold.plans import plan_graph

        chosen = checked_name(name)
        asked = None if agent_name is None else checked_name(agent_name)
        _refuse_known("graph", chosen.id)
        if asked is None:
            _refuse_known("agent", chosen.id)
        home = find_home(into, start=Path.cwd())
        return _write(
            plan_graph(home, chosen, agent=asked),
            [
                f"change its nodes: {_short(home.folder / 'graphs' / chosen.module)}.py",
                f"pytest -k {chosen.module}",
                f"aurora run {chosen.id} 'text=Urgent: your password expires today'",
            ],
        )

    run(work)


@app.command(cls=Command)
def plugin(
    name: NameArgument,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", show_default=False, help="Folder in which its folder is made. Without it: here."
        ),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Only the project and its folders.")] = False,
) -> None:
    """Write a plugin: a project of its own with one tool, one agent and one graph, and their tests.

    Examples:
        aurora new plugin acme-soc

        aurora new plugin mail-desk --empty
    """

    async def work() -> int:
        from aurora.scaffold.names import checked_plugin
        from aurora.scaffold.plans import plan_plugin

        chosen = checked_plugin(name)
        parent = (into or Path.cwd()).resolve()
        folder = _short(parent / chosen.id)
        # Its tests need pytest, which the extra of the new project names.
        steps = [
            f"pip install -e '{folder}[test]'",
            f'trust it, in aurora.toml: content.trusted_plugins = ["{chosen.id}"]',
        ]
        if empty:
            steps.append(f"cd {folder}, and then: aurora new tool|agent|graph NAME")
        else:
            steps.insert(1, f"pytest {folder}")
            steps.append(f"aurora run {chosen.id} 'text=Urgent: your password expires today'")
        return _write(plan_plugin(parent, chosen, empty=empty), steps)

    run(work)


def _write(plan: Plan, steps: Sequence[str]) -> int:
    from rich.text import Text

    from aurora.cli._show import out, plain
    from aurora.scaffold.writing import write

    console = out()
    for path in write(plan):
        console.print(plain(f"wrote {_short(path)}"), soft_wrap=True)
    console.print()
    console.print(Text("Next", style="bold"))
    for step in steps:
        console.print(Text.assemble("  ", plain(step, style="cyan")), soft_wrap=True)
    return DONE


def _short(path: Path) -> str:
    """Return a path as one would type it here."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(path)


def _refuse_known(kind: str, id_: str) -> None:
    """Stop where an id is taken already: two of one kind would stop everything that loads content.

    Raises:
        Conflict: it is; the message names the file.
    """
    from aurora.kernel.errors import Conflict

    for item in _items():
        if (item.kind, item.id) == (kind, id_):
            article = "an" if kind == "agent" else "a"
            raise Conflict(f"there is {article} {kind} {id_!r} already, in {item.file}; choose another name")


def _require_tool(id_: str) -> None:
    """Stop where an agent would name a tool that is not there: discovery would refuse it, and all else with it.

    Raises:
        InputError: it is not there.
    """
    from aurora.kernel.errors import InputError

    items = _items()
    if items and ("tool", id_) not in {(item.kind, item.id) for item in items}:
        raise InputError(f"there is no tool {id_!r}: write it first, with `aurora new tool {id_}`")


def _items() -> Sequence[ContentItem]:
    """Return the content that there is; nothing while it cannot be loaded, which `aurora content check` tells."""
    from aurora.cli._options import settings_for
    from aurora.discovery import discover_content
    from aurora.kernel.errors import ContentInvalid

    try:
        return discover_content(trusted_plugins=settings_for(None).content.trusted_plugins).items()
    except ContentInvalid:
        return ()
