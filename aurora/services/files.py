"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from aurora.kernel.errors import InputError
from aurora.kernel.untrusted import quoted


def check_target(path: Path) -> None:
    """Return if a file could be written there: asked before hours of work, not after them.

    Raises:
        InputError: it is a directory, or its own directory is missing or closed to us.
    """
    shown = quoted(str(path))
    if path.is_dir():
        raise InputError(f"cannot write to {shown}: it is a directory; name a file")
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write to {shown}: it is no ordinary file")
    if not path.parent.is_dir():
        raise InputError(f"cannot write to {shown}: there is no directory {quoted(str(path.parent))}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {shown}: its directory is closed to you")


@contextlib.contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[TextIO]:
    """Open a file that takes its place only when all was written; after an error, nothing is left of it.

    Args:
        path: Where it goes. Who looks meanwhile sees what was there before, or nothing.
        force: Replace a file that is there.

    Raises:
        InputError: a file is there and `force` is not given, or the path cannot be a file.
        OSError: the disk is full, or the like.
    """
    check_target(path)
    if not force and os.path.lexists(path):
        raise _exists(path)
    path = path.resolve()  # a link is followed, not replaced
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put(part, path, force=force)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _put(written: Path, path: Path, *, force: bool) -> None:
    if force:
        written.replace(path)
        return
    try:
        # A link, unlike a rename, fails if somebody else was there first.
        path.hardlink_to(written)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # file systems without links
        if path.exists():
            raise _exists(path) from None
        written.replace(path)


def _exists(path: Path) -> InputError:
    return InputError(f"{quoted(str(path))} is there already; --force replaces it")
