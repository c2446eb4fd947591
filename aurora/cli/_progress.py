"""Two bars on a terminal, bytes read and alerts triaged; nothing at all in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from aurora.dispatch.tally import Progress as Done
    from aurora.ingest.accepted import Accepted
    from aurora.ingest.reading import Source


class Bars:
    """Shows how far reading and triage are. Bars disappear when all is done.

    Reading is reported from a thread of its own; Rich takes that.
    """

    def __init__(self, console: Console, sources: Sequence[Source]) -> None:
        self.console = console
        sizes = [source.size_bytes for source in sources]
        self._bytes = None if None in sizes else sum(size or 0 for size in sizes)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description:<8}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f} %"),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task("reading", total=self._bytes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def read(self, count: int) -> None:
        """Note bytes that were read."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, count)

    def accepted(self, accepted: Accepted) -> None:
        """Go over to triage."""
        if self._progress is not None and self._task is not None:
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task("triage", total=accepted.alerts)

    def done(self, done: Done) -> None:
        """Note alerts that were triaged."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done.done + done.failed)
