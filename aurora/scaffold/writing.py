"""Puts a plan on disk: all of it, or nothing."""

from __future__ import annotations

from pathlib import Path

from aurora.kernel.errors import Conflict, InputError
from aurora.scaffold.plans import Plan


def write(plan: Plan) -> list[Path]:
    """Write new files and return their paths, in the order of the plan. Nothing that exists is touched.

    Raises:
        Conflict: a file is there already; nothing was written.
        InputError: a folder cannot be written to; what was written is removed again.
    """
    taken = [path for path in plan if path.exists() or path.is_symlink()]
    if taken:
        raise Conflict(f"{taken[0]} is there already, so nothing was written: choose another name, or remove it")
    written: list[Path] = []
    try:
        for path, text in plan.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise InputError(f"{error.filename}: {(error.strerror or str(error)).lower()}; nothing was written") from error
    return written
