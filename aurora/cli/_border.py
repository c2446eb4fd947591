"""The border between commands and the shell: one event loop, exit codes, signals, and no traceback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import typer

DONE, INCOMPLETE, USAGE, UNAVAILABLE, FAULT = 0, 1, 2, 3, 70
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PIPE_CLOSED = 128 + 13
"""What the shell reports of a program that SIGPIPE ended, as it ends most."""

Work = Callable[[], Coroutine[Any, Any, int]]

log = logging.getLogger(__name__)


def run(work: Work, *, when_stopped: str = "") -> None:
    """Run a command to its end and exit as it says.

    Args:
        work: Returns the coroutine of the command, whose result is the exit status.
        when_stopped: What to tell who stops it: what became of the work, how to go on.

    Raises:
        typer.Exit: always, unless the command succeeded.
    """
    try:
        status = _in_loop(work, when_stopped)
        sys.stdout.flush()
    except BrokenPipeError:
        status = _hang_up()
    except KeyboardInterrupt:  # before the loop had its own handler
        status = _stopped(signal.SIGINT, when_stopped)
    except BaseExceptionGroup as group:
        status = _report(leading(group))
    except Exception as error:  # noqa: BLE001 - the border: whatever comes here is told in one sentence
        status = _report(error)
    if status:
        raise typer.Exit(status)


def leading(error: BaseException) -> BaseException:
    """Return the error that a group is about: the first that is no cancellation."""
    while isinstance(error, BaseExceptionGroup):
        told = [each for each in error.exceptions if not isinstance(each, asyncio.CancelledError)]
        error = (told or error.exceptions)[0]
    return error


def exit_status(error: BaseException) -> int:
    """Return the exit status for an error. The only place that knows."""
    from aurora.kernel.errors import AuroraError, ConfigError, Conflict, InputError, NotFound, SchemaOutdated

    if isinstance(error, BrokenPipeError):
        return _PIPE_CLOSED
    if isinstance(error, NotFound | Conflict):
        return INCOMPLETE
    if isinstance(error, ConfigError | InputError | SchemaOutdated):
        return USAGE
    if isinstance(error, OSError) or (isinstance(error, AuroraError) and error.retryable):
        return UNAVAILABLE
    return FAULT


def _report(error: BaseException) -> int:
    """Tell what went wrong on stderr and return the exit status."""
    status = exit_status(error)
    if status == _PIPE_CLOSED:
        return _hang_up()
    log.debug("cli.failed", exc_info=error)
    from aurora.cli._show import complain
    from aurora.kernel.errors import AuroraError

    if isinstance(error, AuroraError) and status != FAULT:
        complain(error.message)
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{(error.strerror or type(error).__name__).lower()}")
    else:
        complain(
            f"a fault of Aurora: {type(error).__name__}: {error}. Please report it; "
            "with AURORA_OBSERVABILITY__LOG_LEVEL=debug the same command shows where it is."
        )
    return status


def _in_loop(work: Work, when_stopped: str) -> int:
    caught: list[int] = []
    runner = asyncio.Runner()
    try:
        status = runner.run(_guarded(work, caught))
    except asyncio.CancelledError:
        if not caught:
            raise
        # A thread may still wait for input that never comes; closing the runner would wait for the thread.
        os._exit(_stopped(caught[0], when_stopped))
    except BaseException:
        runner.close()
        raise
    runner.close()
    return status


async def _guarded(work: Work, caught: list[int]) -> int:
    """Run the command; the first signal cancels it, the second ends the process at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal(number: int) -> None:
        if caught:
            os._exit(128 + number)
        caught.append(number)
        task.cancel()

    with _handlers(loop, on_signal):
        try:
            return await work()
        except (Exception, BaseExceptionGroup):
            if caught:  # what was stopped half-way failed because of that
                raise asyncio.CancelledError from None
            raise


@contextlib.contextmanager
def _handlers(loop: asyncio.AbstractEventLoop, on_signal: Callable[[int], None]) -> Iterator[None]:
    installed = []
    for number in _SIGNALS:
        # Not on Windows, and not beside the main thread: there the default does.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, on_signal, int(number))
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)


def _stopped(number: int, when_stopped: str) -> int:
    from aurora.cli._show import complain

    complain("stopped" + (f"; {when_stopped}" if when_stopped else ""))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return 128 + number


def _hang_up() -> int:
    """Whoever read our output went away: be quiet, also when Python flushes at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED
