"""Long work of `aurora memory`: how far it is, and the export."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from aurora.cli._json import json_line
from aurora.cli._show import err, plain, plural

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rich.console import Console
    from rich.progress import Progress, TaskID

_EVERY = 200
"""Records between two words about progress."""


async def write_records(records: AsyncIterator[Mapping[str, Any]], file: Path | None, *, force: bool) -> None:
    """Write records as they come, one a line, and tell on stderr how many a file holds; `None` and `-` are stdout.

    Raises:
        InputError: a file is there and may not be replaced, or the path cannot be a file.
    """
    from aurora.services.files import new_file

    # Ends its transaction here, also where nobody reads on.
    async with aclosing(cast("AsyncGenerator[Mapping[str, Any]]", records)) as all_records:
        if file is None or str(file) == "-":
            async for record in all_records:
                sys.stdout.write(json_line(record) + "\n")
            return
        written = 0
        with new_file(file, force=force) as target, Bar(err(), "records") as bar_:
            lines: list[str] = []
            async for record in all_records:
                lines.append(json_line(record) + "\n")
                written += 1
                if len(lines) == _EVERY:
                    await asyncio.to_thread(target.writelines, lines)
                    lines = []
                    bar_.show(written, None)
            await asyncio.to_thread(target.writelines, lines)
    err().print(plain(f"export: {file} ({plural(written, 'record')})"), soft_wrap=True)


class Bar:
    """Shows how far a long piece of work is; nothing at all in a pipe."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(self._what, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, done: int, total: int | None) -> None:
        """Note how much is done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)
