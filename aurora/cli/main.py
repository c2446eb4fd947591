"""The entry of the command `aurora`: names and one line for each command, and nothing heavier than that."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from aurora.cli._help import OPTIONS, print_help

ALERTS, DISPATCH, INSIDE = "Alerts", "Dispatch", "What is inside"

COMMANDS = {
    "demo": (ALERTS, "Triage a small sample that comes with Aurora: one attack in alerts of five products."),
    "triage": (ALERTS, "Turn alert files into verdicts that show their evidence."),
    "alerts": (ALERTS, "List alerts, look at one with everything known of it, correct a verdict."),
    "runs": (ALERTS, "Show what a run of a graph did, step by step."),
    "memory": (ALERTS, "Search what is remembered, add facts and notes, take back or erase."),
    "replay": (ALERTS, "Run a run again from its journal and compare every step, byte by byte."),
    "worker": (DISPATCH, "Carry out tasks as they come, until told to stop."),
    "scheduler": (DISPATCH, "Fire schedules, and do what else comes by itself, until told to stop."),
    "schedules": (DISPATCH, "List what runs on a schedule, add, pause or remove some, see when they fire next."),
    "tasks": (DISPATCH, "List tasks, look at one with its history, cancel, retry or replay some."),
    "status": (DISPATCH, "Show what dispatch is doing: queues, who works and holds what, brokers, breakers."),
    "breakers": (DISPATCH, "Show which brokers, models and other dependencies rest; open or close by hand."),
    "run": (INSIDE, "Run any graph on any input, durably, and show the state that it ends with."),
    "graph": (INSIDE, "Show the graphs: as a drawing in the terminal or as SVG."),
    "new": (INSIDE, "Write a new agent, tool, graph or plugin, with its test."),
    "model": (INSIDE, "List providers of chat models, and find out what a model can do."),
    "content": (INSIDE, "List, show and check graphs, agents, tools, rules, enrichers, formats and plugins."),
    "db": (INSIDE, "Create, upgrade and check the database; remove what need not be kept."),
    "config": (INSIDE, "Show every setting with its value and where it was set."),
    "doctor": (INSIDE, "Check the installation; say what is missing and which command mends it."),
    "completion": (INSIDE, "Print the script that makes bash, zsh or fish complete commands and options."),
}
"""Panel and summary of each command; its module has the same name. A test holds the modules to it."""

EPILOG = """\
Exit status  0 done · 1 something was rejected, failed or not found
             2 wrong usage or settings · 3 database not available, try again
             70 a fault of Aurora · 130, 143 stopped by Ctrl-C or SIGTERM
Settings     aurora.toml here, or variables such as AURORA_DATABASE__URL"""


class LazyGroup(TyperGroup):
    """Knows its commands by name; imports the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            name: TyperCommand(name, help=summary, rich_help_panel=panel) for name, (panel, summary) in COMMANDS.items()
        }

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; importing what Typer would print it with takes longer than all the rest."""
        print_help(ctx, commands=[(panel, name, summary) for name, (panel, summary) in COMMANDS.items()], epilog=EPILOG)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command itself, where the help needs no more than its summary."""
        if args and args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """Import a command and return it."""
    command = typer.main.get_command(importlib.import_module(f"aurora.cli.{name}").app)
    command.name = name
    return command


app = typer.Typer(
    name="aurora", cls=LazyGroup, no_args_is_help=True, context_settings=OPTIONS, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        from aurora.cli._show import installed_version

        typer.echo(f"aurora {installed_version()}")
        raise typer.Exit


@app.callback()
def aurora(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and stop."
    ),
) -> None:
    """Turn security alerts into verdicts that show their evidence. No server, no key, no network.

    Try it now:  aurora demo

    Then yours:  aurora triage eve.json
    """


def main() -> None:
    """Run the command line of this process."""
    app(prog_name="aurora")
