"""Writing a report to a file: streamed, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aurora.services.files import new_file

if TYPE_CHECKING:
    from aurora.services.report import Report

_BLOCK = 256 * 1024
"""Characters written at once; a template hands out some ten."""


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
        InputError: as `aurora.services.files.check_target`.
        OSError: the disk is full, or the like; nothing is left behind.
    """
    from aurora.reports.page import render  # noqa: PLC0415 - imports jinja2

    with new_file(path, force=True) as file:
        for block in _blocks(render(report, on_progress=on_progress)):
            file.write(block)
        file.flush()
        return os.fstat(file.fileno()).st_size


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
