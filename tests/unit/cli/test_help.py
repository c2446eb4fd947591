"""Help is quick, complete, and the same as the page in the docs."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
from typing import get_args

import pytest
import typer

from aurora.cli import alerts as alerts_command
from aurora.cli.main import COMMANDS
from aurora.kernel.models import AlertStatus, Severity, VerdictLabel
from tests.command import ROOT, aurora

HEAVY = (
    "pydantic",
    "sqlalchemy",
    "langgraph",
    "alembic",
    "orjson",
    "rich.markdown",
    "asyncio",
    "email",
    "publicsuffixlist",
)

PATHS = [
    [
        name,
        *([each.name or each.callback.__name__] if app.registered_callback or len(app.registered_commands) > 1 else []),
    ]
    for name in COMMANDS
    for app in [importlib.import_module(f"aurora.cli.{name}").app]
    for each in app.registered_commands
]


def imported(*arguments: str) -> set[str]:
    """Return which of the heavy modules a command imports."""
    code = (
        "import sys\nfrom aurora.cli.main import app\n"
        f"try: app({list(arguments)!r}, prog_name='aurora')\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(eval(done.stderr.splitlines()[-1]))


def test_the_help_imports_nothing_heavy():
    assert imported("--help") == set()


def test_the_usage_beside_an_error_is_that_of_the_help():
    wrong = aurora("tasks", "cancel").err.splitlines()[0]

    assert (
        wrong == aurora("tasks", "cancel", "--help").out.splitlines()[0] == "Usage: aurora tasks cancel ID... [OPTIONS]"
    )


def test_no_command_needs_langgraph_or_sqlalchemy_for_its_help():
    for name in COMMANDS:
        assert imported(name, "--help") & {"sqlalchemy", "langgraph", "alembic", "publicsuffixlist"} == set(), name


def test_the_root_help_names_every_command():
    result = aurora("--help")

    assert result.status == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in result.out
        assert summary in " ".join(result.out.split())
    assert "Exit status" in result.out


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_teaches_with_an_example(path):
    result = aurora(*path, "--help")

    assert result.status == 0
    assert f"Usage: aurora {' '.join(path)}" in result.out
    assert f"    aurora {' '.join(path)}" in result.out.partition("Example")[2]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_fits_the_window(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))

    for path in ([], *PATHS):
        lines = aurora(*path, "--help").out.splitlines()
        too_long = [line for line in lines if len(line) > width and not line.startswith("    aurora")]
        assert too_long == [] or width == 60, "only examples may be longer"


def test_the_version_is_told():
    result = aurora("--version")

    assert result.status == 0
    assert result.out.startswith("aurora ")


def test_choices_are_those_of_the_domain():
    assert get_args(alerts_command.VerdictName) == tuple(each.value for each in VerdictLabel)
    assert get_args(alerts_command.SeverityName) == tuple(each.value for each in Severity)
    assert get_args(alerts_command.StatusName) == tuple(each.value for each in AlertStatus)


def test_every_command_has_a_module_with_an_app():
    for name in COMMANDS:
        assert isinstance(importlib.import_module(f"aurora.cli.{name}").app, typer.Typer)


def test_the_page_of_the_docs_is_current():
    page = runpy.run_path(str(ROOT / "scripts" / "docs_cli.py"))

    assert page["PAGE"].read_text(encoding="utf-8") == page["render"](), "run python scripts/docs_cli.py"


def test_a_choice_that_there_is_not_is_told_in_our_words():
    result = aurora("content", "list", "--kind", "spell")

    assert result.status == 2
    assert "'spell' is not one of 'graph', 'agent'" in " ".join(result.err.split())
    assert "Value error" not in result.err
