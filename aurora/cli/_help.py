"""Help, drawn with what Rich needs least: importing what Typer draws its own with takes 0.2 s.

Texts are docstrings: paragraphs are filled, indented ones are examples and kept as they are.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from rich.console import Console

Row = tuple[str, str]

OPTIONS = {"help_option_names": ["-h", "--help"]}
"""Context settings of every command."""

_WIDEST = 100  # longer lines are hard to read, however wide the window is
_LEAST = 24  # a column narrower than that is no help


class Command(TyperCommand):
    """A command with our help, and with messages that do not tell what Typer is made of."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            return super().parse_args(ctx, args)
        except BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # pydantic's words
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands in the usage line of an error: the same as in that of the help."""
        return [*_arguments(ctx), "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        print_help(ctx)


class Group(TyperGroup):
    """A group of commands with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        print_help(ctx, commands=[("Commands", name, summary(each.help)) for name, each in self.commands.items()])


def summary(text: str | None) -> str:
    """Return the first paragraph of a help text as one line."""
    return " ".join((text or "").partition("\n\n")[0].split())


def paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the paragraphs of a docstring as one line each; indented ones are examples (True) and keep their lines."""
    kept: list[str] = []
    was_example = False
    for line in [*inspect.cleandoc(text).split("\n"), ""]:
        is_example = line.startswith("    ")
        if kept and (not line or is_example != was_example):
            yield ("\n" if was_example else " ").join(kept), was_example
            kept = []
        if line:
            kept.append(line)
        was_example = is_example


def print_help(ctx: Any, *, commands: Sequence[tuple[str, str, str]] = (), epilog: str = "") -> None:
    """Print usage, text, commands, arguments and options.

    Args:
        ctx: Context of the command.
        commands: (panel, name, summary), the commands of a panel next to each other.
        epilog: What stands at the end; lines are kept.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    width = min(console.width, _WIDEST)
    params = ctx.command.get_params(ctx)
    arguments = _arguments(ctx)
    usage = " ".join([ctx.command_path, *arguments, "[OPTIONS]", *(["COMMAND [ARGS]..."] if commands else [])])
    console.print(Text.assemble(("Usage: ", "bold"), usage), soft_wrap=True)
    for text, is_example in paragraphs(ctx.command.help or ""):
        console.print()
        lines = text if is_example else "\n".join(textwrap.wrap(text, width))
        console.print(Text(lines, style="cyan" if is_example else ""), soft_wrap=True)
    for panel, entries in groupby(commands, key=lambda each: each[0]):
        _section(console, panel, [(name, text) for _, name, text in entries], width)
    _section(console, "Arguments", arguments.items(), width)
    options = [_option(each) for each in params if each.param_type_name == "option" and not each.hidden]
    _section(console, "Options", options, width)
    if epilog:
        console.print()
        console.print(Text(epilog, style="dim"), soft_wrap=True)


def _arguments(ctx: Any) -> dict[str, str]:
    """Return the arguments of a command with their help, in their order."""
    params = ctx.command.get_params(ctx)
    return {
        each.metavar or str(each.name).upper(): each.help or "" for each in params if each.param_type_name == "argument"
    }


def _option(option: Any) -> Row:
    takes = "" if option.is_flag else f" {option.metavar or 'N'}"
    text = option.help or ""
    if option.required:
        text += " Required."
    elif option.show_default and option.default not in (None, False, 0) and not callable(option.default):
        text += f" Default: {option.default}."
    return ", ".join(sorted(option.opts, key=len)) + takes, text


def _section(console: Console, title: str, rows: Iterable[Row], width: int) -> None:
    from rich.text import Text

    rows = list(rows)
    if not rows:
        return
    console.print()
    console.print(Text(title, style="bold"))
    column = min(max(len(name) for name, _ in rows) + 4, width - _LEAST, width // 2)
    for name, text in rows:
        first, *others = textwrap.wrap(text, width - column) or [""]
        if len(name) + 4 > column:  # too long to stand beside its text
            console.print(Text("  " + name, style="cyan"), soft_wrap=True)
            first, others = "", [first, *others]
        else:
            console.print(Text.assemble(("  " + name.ljust(column - 2), "cyan"), first), soft_wrap=True)
        for line in others:
            console.print(Text(" " * column + line), soft_wrap=True)
