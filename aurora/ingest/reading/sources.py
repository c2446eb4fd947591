"""From PATH arguments to the files they mean."""

from __future__ import annotations

import glob
import os
import stat
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from aurora.kernel.errors import SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

_FileId = tuple[int, int]  # device and inode: the same file under whatever name


@dataclass(frozen=True, slots=True)
class Source:
    """One input: a file, or a stream that the caller owns."""

    name: str
    """The path as found, or `-`; always encodable as UTF-8, even where the file name is not."""

    size_bytes: int | None
    """Size as stored (compressed); `None` for what has no size, as a pipe."""

    path: Path | None = None
    stream: BinaryIO | None = None
    """Given instead of `path`; reading does not close it."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Return the bytes as stored; leaving the context closes a file, never a stream.

        Raises:
            SourceUnreadable: the file went away, or may not be read.
        """
        if self.stream is not None:
            return nullcontext(self.stream)
        return self._open_file()

    @contextmanager
    def _open_file(self) -> Iterator[BinaryIO]:
        if self.path is None:
            raise ValueError("a source needs a path or a stream")
        try:
            # Unbuffered: the reader asks for large blocks itself, a second copy would only cost.
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.name, error) from error
        with file:
            yield cast("BinaryIO", file)


def discover(paths: Sequence[str], *, stdin: BinaryIO | None) -> list[Source]:
    """Return the files that `paths` mean, in the given order, each once.

    A directory gives its regular files, sorted, recursive, hidden ones left out; a pattern
    (`*`, `?`, `[...]`, `**`) its matches, sorted; `-` is `stdin`. A path that exists is taken
    as it is, even if it looks like a pattern. The same file by another name counts as the same.

    Raises:
        SourceUnreadable: nothing is there, a pattern matches nothing, a directory holds no
            file, or something may not be read. The message names it.
    """
    found: dict[_FileId | str, Source] = {}
    for path in paths:
        if path == "-":
            if stdin is None:
                raise SourceUnreadable("there is no standard input to read", path=path)
            found.setdefault("-", Source(name="-", size_bytes=None, stream=stdin))
            continue
        for name in _matches(path):
            for file, status in _files(name):
                size = status.st_size if stat.S_ISREG(status.st_mode) else None
                source = Source(name=_printable(file), size_bytes=size, path=file)
                found.setdefault((status.st_dev, status.st_ino), source)
    return list(found.values())


def _matches(path: str) -> list[Path]:
    if os.path.lexists(path) or not glob.has_magic(path):
        return [Path(path)]
    # Unlike `Path.glob`: takes an absolute pattern, and leaves hidden files out.
    matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    if not matches:
        raise SourceUnreadable(f"no file matches {_printable(path)!r}", path=_printable(path))
    return [Path(match) for match in matches]


def _files(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield `path` itself, or the regular files below it if it is a directory."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        _require_readable(path)
        yield path, status
        return
    empty = True
    for file in _walk(path, set()):
        empty = False
        _require_readable(file)
        yield file, file.stat()
    if empty:
        raise SourceUnreadable(f"directory {_printable(path)!r} holds no file to read", path=_printable(path))


def _walk(directory: Path, seen: set[_FileId]) -> Iterator[Path]:
    """Yield regular files below `directory`; `seen` ends loops that symbolic links make."""
    try:
        status = directory.stat()
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise _unreadable(directory, error) from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.is_file():  # follows links; False for sockets, pipes and links to nowhere
            yield entry


def _require_readable(path: Path) -> None:
    if not os.access(path, os.R_OK):
        raise SourceUnreadable(f"{_printable(path)!r} cannot be read: permission denied", path=_printable(path))


def _unreadable(path: Path | str, error: OSError) -> SourceUnreadable:
    why = (error.strerror or type(error).__name__).lower()
    return SourceUnreadable(f"{_printable(path)!r} cannot be read: {why}", path=_printable(path))


def _printable(path: Path | str) -> str:
    """Return `path` with undecodable bytes replaced: it goes to the database and to JSON."""
    return os.fsencode(path).decode("utf-8", "replace")
