"""Where new content goes: into a plugin's package, or into Aurora's own house."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.discovery import PLUGIN_GROUP
from aurora.kernel.errors import InputError

_HINT = "make a plugin with `aurora new plugin NAME`, or name the folder of a package with --into"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A package that holds `agents/` and `graphs/`."""

    folder: Path
    """The package itself; Aurora's own content lies at the top, beside `aurora/`."""

    package: str
    """What it is imported as; empty for Aurora's own."""

    root: Path
    """The project that it belongs to; its tests lie in `tests/`."""

    @property
    def prefix(self) -> str:
        """What stands before `agents` in an import."""
        return f"{self.package}." if self.package else ""

    def test(self, folder: str, name: str) -> Path:
        """Return where the test of a file in `agents` or `graphs` goes."""
        tests = self.root / "tests"
        return (tests if self.package else tests / "unit" / folder) / f"test_{name}.py"


def find_home(into: Path | None, *, start: Path) -> Home:
    """Return the package that new content goes into.

    Args:
        into: Its folder, if it was named.
        start: Where the command was called; the project is looked for from there upwards.

    Raises:
        InputError: there is no such package, or more than one; the message says what to do.
    """
    if into is not None:
        return _named(into.resolve())
    for root in (start.resolve(), *start.resolve().parents):
        file = root / "pyproject.toml"
        if file.is_file():
            return _of_project(root, _read(file))
    raise InputError(f"this is no project: {_HINT}")


def _named(folder: Path) -> Home:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: {_HINT}")
    root = next((each for each in (folder, *folder.parents) if (each / "pyproject.toml").is_file()), folder.parent)
    if _is_aurora(folder):
        return Home(folder=folder, package="", root=folder)
    if not (folder / "__init__.py").is_file():
        raise InputError(f"{folder} is no package: it has no __init__.py; {_HINT}")
    names = [folder.name]
    above = folder.parent
    while (above / "__init__.py").is_file():
        names.insert(0, above.name)
        above = above.parent
    return Home(folder=folder, package=".".join(names), root=root)


def _of_project(root: Path, project: dict[str, Any]) -> Home:
    if _is_aurora(root):
        return Home(folder=root, package="", root=root)
    packages = sorted(set(project.get("project", {}).get("entry-points", {}).get(PLUGIN_GROUP, {}).values()))
    if len(packages) != 1:
        found = "more than one entry point" if packages else "no entry point"
        raise InputError(f"{root / 'pyproject.toml'} has {found} in the group '{PLUGIN_GROUP}': {_HINT}")
    inner = Path(*str(packages[0]).split("."))
    for folder in (root / inner, root / "src" / inner):
        if (folder / "__init__.py").is_file():
            return Home(folder=folder, package=str(packages[0]), root=root)
    raise InputError(f"{root / 'pyproject.toml'} names the package '{packages[0]}', which is not there: {_HINT}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def _is_aurora(folder: Path) -> bool:
    return all((folder / name / "__init__.py").is_file() for name in ("aurora", "agents", "graphs"))
