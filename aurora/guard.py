"""Refuses to start where another distribution took the place of one of our packages.

The names `agents`, `graphs` and `memory` are generic. Measured with `openai-agents` in the same
environment: an editable install silently imports *its* `agents`, and of two wheels pip lets the
later one overwrite files and reports nothing. So, before one of them is imported, all four must
lie side by side, carry our marker, and hold no module that our wheel did not bring.

It runs at every start, so it reads a few files and imports nothing (1 ms; `importlib.metadata`
alone would take 20).
"""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from aurora.kernel.errors import InstallationClash

PACKAGES = ("aurora", "agents", "graphs", "memory")
MARKER = ("AURORA_PACKAGE", "aurora-soc")
_MODULE_SUFFIXES = (".py", ".so", ".pyd")


def check_installation() -> None:
    """Return if the four packages that would be imported are ours.

    Raises:
        InstallationClash: one of them is missing, is not ours, or holds foreign modules. The
            message is one sentence: why, and what to do.
    """
    folders = {name: _folder(name) for name in PACKAGES}
    home = folders["aurora"].parent
    for name, folder in folders.items():
        if folder.parent != home:
            raise _clash(name, f"Python finds it in {folder.parent}, but Aurora lies in {home}")
        if not _is_marked(folder / "__init__.py"):
            raise _clash(name, f"{folder} is not Aurora's")
    recorded = _recorded(home)
    if recorded is not None:
        for name in PACKAGES:
            foreign = next((path for path in _modules(home, name) if path not in recorded), None)
            if foreign is not None:
                raise _clash(name, f"{home / foreign} was not installed by Aurora")


def _clash(name: str, why: str) -> InstallationClash:
    return InstallationClash(
        f"another distribution uses the package name '{name}' ({why}): "
        "install Aurora into a virtual environment of its own, with 'pip install aurora-soc'",
        package=name,
    )


def _folder(name: str) -> Path:
    """Return the folder that `import name` would use, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # something put a module without a spec into sys.modules
        spec = None
    if spec is None:
        raise InstallationClash(
            f"the package '{name}' of Aurora cannot be found: install Aurora again with "
            "'pip install --force-reinstall aurora-soc'",
            package=name,
        )
    if spec.origin is None or not spec.submodule_search_locations:
        raise _clash(name, f"{spec.origin or next(iter(spec.submodule_search_locations or ()), '?')} is not Aurora's")
    return Path(spec.origin).resolve().parent


def _is_marked(file: Path) -> bool:
    """Return whether the module assigns our marker. It is read, never run."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    name, value = MARKER
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and node.value.value == value
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        for node in tree.body
    )


def _recorded(home: Path) -> set[str] | None:
    """Return the files that our wheel brought to `home`; `None` for a source tree or editable install."""
    records = sorted(home.glob("aurora_soc-*.dist-info/RECORD"))
    if not records:
        return None
    lines = (line for record in records for line in record.read_text(encoding="utf-8").splitlines())
    paths = {line.rsplit(",", 2)[0] for line in lines}
    # An editable install beside other packages records only its own metadata.
    return paths if "aurora/__init__.py" in paths else None


def _modules(home: Path, name: str) -> Iterator[str]:
    """Yield every importable file of a package, relative to `home`, as RECORD writes it."""
    for folder, folders, files in os.walk(home / name):
        folders[:] = [each for each in folders if each != "__pycache__"]
        where = Path(folder).relative_to(home).as_posix()
        yield from (f"{where}/{file}" for file in sorted(files) if file.endswith(_MODULE_SUFFIXES))
