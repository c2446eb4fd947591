"""Writing a report to a file: streamed, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aurora.kernel.errors import InputError
from aurora.kernel.untrusted import quoted

if TYPE_CHECKING:
    from aurora.services.report import Report

_BLOCK = 256 * 1024
"""Characters written at once; a template hands out some ten."""


def check_target(path: Path) -> None:
    """Return if a report could be written there: asked before hours of work, not after them.

    Raises:
        InputError: it is a directory, or its own directory is missing or closed to us.
    """
    shown = quoted(str(path))
    if path.is_dir():
        raise InputError(f"the report cannot be written to {shown}: it is a directory; name a file")
    if path.exists() and not path.is_file():
        raise InputError(f"the report cannot be written to {shown}: it is no ordinary file")
    if not path.parent.is_dir():
        raise InputError(f"the report cannot be written to {shown}: there is no directory {quoted(str(path.parent))}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"the report cannot be written to {shown}: its directory is closed to you")


def write_report(report: Report, path: Path, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Write a report; who looks at `path` meanwhile sees what was there before, or nothing.

    Blocking, seconds for ten thousand alerts: call it in a thread.

    Args:
        report: What to tell.
        path: Where; a file that is there is replaced.
        on_progress: Called with alerts written and alerts to write.

    Returns:
        Size of the file in bytes.

    Raises:
        InputError: as `check_target`.
        OSError: the disk is full, or the like; nothing is left behind.
    """
    from aurora.reports.page import render  # noqa: PLC0415 - imports jinja2

    check_target(path)
    path = path.resolve()  # a link is followed, not replaced
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for block in _blocks(render(report, on_progress=on_progress)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    return size


def _blocks(pieces: Iterable[str]) -> Iterable[str]:
    """Join small pieces into blocks."""
    kept: list[str] = []
    length = 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length >= _BLOCK:
            yield "".join(kept)
            kept, length = [], 0
    yield "".join(kept)
