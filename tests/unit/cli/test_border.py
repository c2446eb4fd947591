"""Errors become one sentence and one exit status, in one place."""

from __future__ import annotations

import asyncio

import pytest
import typer

from aurora.cli._border import exit_status, leading, run
from aurora.kernel import errors


def failing(error: BaseException):
    async def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.SettingsInvalid("x"), 2),
        (errors.MissingExtra("x"), 2),
        (errors.ContentInvalid("x"), 2),
        (errors.SourceUnreadable("x"), 2),
        (errors.SchemaOutdated("x"), 2),
        (errors.NotFound("x"), 1),
        (errors.Conflict("x"), 1),
        (errors.StorageUnavailable("x"), 3),
        (errors.Unfenced("x"), 70),
        (PermissionError(13, "Permission denied", "/x"), 3),
        (ZeroDivisionError("x"), 70),
    ],
)
def test_each_kind_of_error_has_its_exit_status(capsys, error, status):
    with pytest.raises(typer.Exit) as ended:
        run(failing(error))

    said = capsys.readouterr().err
    assert ended.value.exit_code == exit_status(error) == status
    assert said.startswith("aurora: ")
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


def test_a_group_is_told_as_the_error_that_it_is_about(capsys):
    group = BaseExceptionGroup("work", [asyncio.CancelledError(), ExceptionGroup("inner", [errors.NotFound("gone")])])

    with pytest.raises(typer.Exit) as ended:
        run(failing(group))

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "aurora: gone\n"


def test_a_group_of_cancellations_only_stays_a_cancellation():
    group = BaseExceptionGroup("work", [asyncio.CancelledError()])

    assert isinstance(leading(group), asyncio.CancelledError)


def test_a_message_cannot_move_the_cursor(capsys):
    with pytest.raises(typer.Exit):
        run(failing(errors.NotFound("no \x1b[2J [bold]x[/bold]")))

    assert capsys.readouterr().err == "aurora: no \\u001b[2J [bold]x[/bold]\n"


def test_a_command_that_succeeds_just_returns():
    async def work() -> int:
        return 0

    run(work)


def test_the_status_of_a_command_is_its_exit_status():
    async def work() -> int:
        return 1

    with pytest.raises(typer.Exit) as ended:
        run(work)

    assert ended.value.exit_code == 1
