"""How things look in a terminal. Text from outside is cleaned here, and Rich never reads markup in it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.table import Table

VERDICTS = {"malicious": "bold red", "suspicious": "yellow", "needs_review": "magenta", "benign": "green"}
SEVERITIES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "blue", "info": "dim"}
TAIL = 8
"""Last digits of an id that are shown: ids are random there, and every command takes them."""


class _Terminal(Console):
    """Leaves a closed pipe to the border, which knows the exit status; Rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - Rich calls this while it handles the BrokenPipeError


def out() -> Console:
    """Return the console for results."""
    return _Terminal(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Return the console for everything that is not the result."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def plain(value: str | None, *, style: str = "", limit: int | None = None) -> Text:
    """Return text from anywhere as one harmless line."""
    from aurora.kernel.untrusted import clean

    line = " ".join(clean(str.__str__(value or "")).split())
    if limit is not None and len(line) > limit:
        line = line[: limit - 1] + "…"
    return Text(line, style=style)


def block(value: str, *, style: str = "") -> Text:
    """Return text of several lines, made harmless."""
    from aurora.kernel.untrusted import clean

    return Text(clean(str.__str__(value)), style=style)


def verdict(label: str | None) -> Text:
    """Return a verdict in its colour."""
    return Text((label or "waiting").replace("_", " "), style=VERDICTS.get(label or "", "dim"))


def severity(value: str) -> Text:
    """Return a severity in its colour."""
    return plain(value, style=SEVERITIES.get(value, ""))


def tail(value: object) -> str:
    """Return the end of an id, as every command takes it."""
    return str(value).replace("-", "")[-TAIL:]


def when(value: str | datetime | None) -> str:
    """Return a moment to the second, in UTC."""
    if value is None:
        return "no time"
    text = value if isinstance(value, str) else value.isoformat()
    return text[:19].replace("T", " ")


def percent(confidence: float | None) -> str:
    """Return a confidence for people."""
    return "" if confidence is None else f"{confidence:.0%}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return `1 alert`, `2 alerts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def table(*headings: str, right: tuple[str, ...] = (), stretch: str = "", wrap: bool = False) -> Table:
    """Return an empty table without lines.

    Args:
        headings: Of the columns.
        right: Columns that are aligned to the right.
        stretch: The column that takes what is left of the width.
        wrap: Break what does not fit into that column; otherwise it is cut.
    """
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in headings:
        stretches = heading == stretch
        breaks = stretches and wrap
        grid.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=not breaks,
            overflow="fold" if breaks else "ellipsis",
            ratio=1 if stretches else None,
        )
    grid.expand = bool(stretch)
    return grid


def heading(console: Console, title: str) -> None:
    """Begin a part of the output."""
    console.print()
    console.print(Text(title, style="bold"))


def complain(message: str) -> None:
    """Say on stderr what is wrong."""
    from aurora.kernel.untrusted import clean

    console = err()
    console.print(Text.assemble(("aurora: ", "bold red"), clean(message)), soft_wrap=True)


class LogHandler(logging.Handler):
    """Writes log records to a console as `event field=value`; a traceback only when asked for."""

    _OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def __init__(self, console: Console, *, tracebacks: bool) -> None:
        super().__init__()
        self._console = console
        self._tracebacks = tracebacks

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in vars(record).items() if key not in self._OWN}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = getattr(record.exc_info[0], "code", record.exc_info[0].__name__)
        line = " ".join(
            [
                record.levelname.lower(),
                record.getMessage(),
                *(f"{key}={value}" for key, value in sorted(fields.items())),
            ]
        )
        self._console.print(plain(line, style="dim"), soft_wrap=True)
        if self._tracebacks and record.exc_info:
            self._console.print(block(logging.Formatter().formatException(record.exc_info), style="dim"))


def log_to(console: Console, level: str) -> None:
    """Send Aurora's own log to a console, from `level` on."""
    logger = logging.getLogger("aurora")
    logger.handlers = [LogHandler(console, tracebacks=level == "debug")]
    logger.setLevel(level.upper())


def installed_version() -> str:
    """Return the version of this Aurora; a source tree that is not installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("aurora-soc")
    except PackageNotFoundError:
        return "0+source"
