"""The reference of the settings, written from the settings themselves."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from aurora.settings import Settings
from aurora.settings.sources import variable

PAGE = "docs/reference/settings.md"
"""Where the text belongs, from the root of the repository."""


def text() -> str:
    """Return the page: every setting with its variable, default and meaning."""
    lines = [
        "# Settings",
        "",
        "Written by `make docs` from the settings themselves; do not edit.",
        "",
        "Later sources win: defaults, `aurora.toml` (in the current directory, or the file that `AURORA_CONFIG`",
        "names), environment, command line. A secret may be given as a file: the variable's name with `_FILE`",
        "behind it. An unknown name is an error, and all faults of a start are listed together.",
        "",
        "| Setting | Variable | Default | Meaning |",
        "|---|---|---|---|",
        *_rows(Settings, ""),
    ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    docs = _docstrings(model)
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{prefix}{name}.")
            continue
        default = "see there" if info.default is PydanticUndefined else f"`{_shown(info.default)}`"
        meaning = " ".join(docs.get(name, "").split()).replace("|", "\\|")
        yield f"| `{prefix}{name}` | `{variable(prefix + name)}` | {default} | {meaning} |"


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return "none" if value is None or value == () else str(getattr(value, "value", value))


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the string under each field of a class, which Python itself throws away."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = inspect.cleandoc(str(ast.literal_eval(after.value)))
    return found
