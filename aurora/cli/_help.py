"""The help of `aurora` itself, drawn with what Rich needs least: Typer's own costs 0.2 s of imports."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

Row = tuple[str, str]

_WIDEST = 100  # longer lines are hard to read, however wide the window is


def print_help(ctx: Any, *, commands: Iterable[tuple[str, str, str]], epilog: str) -> None:
    """Print usage, commands and options.

    Args:
        ctx: Context of the root command.
        commands: (panel, name, summary), the commands of a panel next to each other.
        epilog: What stands at the end; lines are kept.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    width = min(console.width, _WIDEST)
    options = [record for each in ctx.command.get_params(ctx) if (record := each.get_help_record(ctx))]
    console.print(Text.assemble(("Usage: ", "bold"), f"{ctx.command_path} [OPTIONS] COMMAND [ARGS]..."))
    for paragraph in (ctx.command.help or "").strip().split("\n\n"):
        console.print()
        for line in textwrap.wrap(" ".join(paragraph.split("\n")), width) if "  " not in paragraph else [paragraph]:
            console.print(Text(line), soft_wrap=True)
    for panel, entries in groupby(commands, key=lambda each: each[0]):
        _section(console, panel, [(name, summary) for _, name, summary in entries], width)
    _section(console, "Options", options, width)
    console.print()
    console.print(Text(epilog, style="dim"), soft_wrap=True)


def _section(console: Console, title: str, rows: Sequence[Row], width: int) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    column = max(len(name) for name, _ in rows) + 4
    for name, text in rows:
        first, *others = textwrap.wrap(text, max(20, width - column)) or [""]
        console.print(Text.assemble(("  " + name.ljust(column - 2), "cyan"), first), soft_wrap=True)
        for line in others:
            console.print(Text(" " * column + line), soft_wrap=True)
