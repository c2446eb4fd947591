"""Putting settings together from their sources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aurora.kernel.errors import SettingsInvalid
from aurora.kernel.untrusted import quoted
from aurora.settings.model import Settings
from aurora.settings.sources import Collected, known_names, read_environment, read_file, read_mapping


def load_settings(
    *, environ: Mapping[str, str] | None = None, directory: Path | None = None, **overrides: object
) -> Settings:
    """Return the settings of this process.

    Args:
        environ: The environment; that of the process if not given.
        directory: Where `aurora.toml` is looked for; the current directory if not given.
        **overrides: Values that win over every source: groups as mappings (`database={"url": …}`)
            or single names joined by `__` (`database__url=…`).

    Raises:
        SettingsInvalid: anything is wrong; the message lists every fault, and no secret.
    """
    return settings_with_origin(environ=environ, directory=directory, **overrides)[0]


def settings_with_origin(
    *, environ: Mapping[str, str] | None = None, directory: Path | None = None, **overrides: object
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and for each dotted name where its value came from.

    Arguments and errors are those of `load_settings`.
    """
    environ = os.environ if environ is None else environ
    collected = Collected(known_names(Settings))
    read_file(collected, environ, directory or Path.cwd())
    read_environment(collected, environ)
    read_mapping(collected, overrides, origin="argument")

    settings: Settings | None = None
    try:
        settings = Settings.model_validate(_nested(collected))
    except ValidationError as error:
        collected.faults += [_fault(each, collected) for each in error.errors()]
    if settings is None or collected.faults:
        count = len(collected.faults)
        head = "one setting cannot be used" if count == 1 else f"{count} settings cannot be used"
        # Not raised inside `except`: what pydantic raised holds the values, and one may be a secret.
        raise SettingsInvalid(f"{head}:\n" + "\n".join(f"- {each}" for each in collected.faults), faults=count)
    origins = {name: found.origin for name, found in collected.values.items()}
    return settings, {name: origins.get(name, "default") for name in collected.names}


def _nested(collected: Collected) -> dict[str, Any]:
    """Return the flat values as the nested mapping that the model reads."""
    nested: dict[str, Any] = {}
    for name, found in collected.values.items():
        *groups, leaf = name.split(".")
        table = nested
        for group in groups:
            table = table.setdefault(group, {})
        table[leaf] = found.value
    return nested


def _fault(error: ErrorDetails, collected: Collected) -> str:
    """Return one line about a value; it is quoted only where it cannot be a secret."""
    path = [str(part) for part in error["loc"]]
    name = next((".".join(path[:n]) for n in range(len(path), 0, -1) if ".".join(path[:n]) in collected.names), None)
    reason = error["msg"].removeprefix("Value error, ")
    if name is None:
        return f"{'.'.join(path)}: {reason}"
    found = collected.values.get(name)
    origin = f" ({found.origin})" if found else ""
    got = "" if collected.names[name] or found is None else f", got {quoted(str(found.value), limit=40)}"
    return f"{name}{origin}: {reason[:1].lower()}{reason[1:]}{got}"
