"""Where values come from: file and environment, flattened to dotted names with their origin."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aurora.kernel.untrusted import clean

PREFIX = "AURORA_"
CONFIG_VARIABLE = "AURORA_CONFIG"
CONFIG_FILE = "aurora.toml"
_FILE_SUFFIX = "_file"


@dataclass(frozen=True, slots=True)
class Found:
    """One value and where it was found."""

    value: Any
    origin: str


@dataclass(slots=True)
class Collected:
    """Values by dotted name, and everything that was wrong on the way."""

    names: Mapping[str, bool]
    """Every setting there is, and whether it is secret."""
    values: dict[str, Found] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def put(self, name: str, value: object, *, origin: str, spelled: str, candidates: Iterable[str]) -> None:
        """Take a value under `name`; a later source replaces an earlier one.

        Args:
            name: Dotted name, or that of a secret with `_file` behind it.
            value: The value, or the path of the file that holds it.
            origin: Where it was found, for people.
            spelled: The name as the source writes it.
            candidates: All names as the source could have written them.
        """
        secret = name.removesuffix(_FILE_SUFFIX)
        if name in self.names:
            self.values[name] = Found(value, origin)
        elif name.endswith(_FILE_SUFFIX) and self.names.get(secret):
            self._put_from_file(secret, value, origin=origin, spelled=spelled)
        else:
            self.fault(spelled, origin, f"no such setting{_suggestion(spelled, candidates)}")

    def fault(self, spelled: str, origin: str, reason: str) -> None:
        """Note what is wrong with the entry that a source spells so."""
        where = "" if origin == spelled else f" ({origin})"
        self.faults.append(f"{clean(spelled)}{where}: {reason}")

    def _put_from_file(self, name: str, path: object, *, origin: str, spelled: str) -> None:
        present = self.values.get(name)
        if present is not None and present.origin in {origin, variable(name)}:
            self.fault(spelled, origin, "the value itself is set as well; keep one of the two")
            return
        try:
            text = Path(str(path)).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.fault(spelled, origin, f"its file cannot be read: {reason}")
            return
        self.values[name] = Found(text, f"file {path}")


def known_names(model: type[BaseModel], prefix: str = "") -> dict[str, bool]:
    """Return the dotted name of every setting of `model`, and whether its value is secret."""
    names: dict[str, bool] = {}
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= known_names(kind, f"{prefix}{name}.")
        else:
            names[prefix + name] = "SecretStr" in str(kind)
    return names


def variable(name: str) -> str:
    """Return the environment variable of a dotted name."""
    return PREFIX + name.upper().replace(".", "__")


def config_file(environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Path:
    """Return the path of `aurora.toml`, there or not: what `AURORA_CONFIG` names, or that of `directory`."""
    environ = os.environ if environ is None else environ
    return (directory or Path.cwd()) / (environ.get(CONFIG_VARIABLE) or CONFIG_FILE)


def read_file(collected: Collected, environ: Mapping[str, str], directory: Path) -> None:
    """Take what `aurora.toml` says: the file that `AURORA_CONFIG` names, or that of `directory`, if any."""
    named = environ.get(CONFIG_VARIABLE)
    path = config_file(environ, directory)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            collected.faults.append(f"{CONFIG_VARIABLE}: {path} does not exist")
        return
    except OSError as error:
        collected.faults.append(f"{path}: cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError:
        collected.faults.append(f"{path}: is not UTF-8 text")
        return
    except tomllib.TOMLDecodeError as error:
        collected.faults.append(f"{path}: is not TOML: {error}")
        return
    read_mapping(collected, table, origin=str(path))


def read_mapping(collected: Collected, table: Mapping[str, object], *, origin: str, prefix: str = "") -> None:
    """Take a nested mapping; names may also be joined by `__`, as arguments of a call are."""
    for key, value in sorted(table.items()):  # so that a secret comes before the file that may hold it
        name = prefix + key.replace("__", ".")
        is_group = any(each.startswith(f"{name}.") for each in collected.names)
        if is_group and isinstance(value, Mapping):
            read_mapping(collected, value, origin=origin, prefix=f"{name}.")
        elif is_group:
            collected.fault(name, origin, "is a group of settings, not a value")
        else:
            groups = {each.rpartition(".")[0] for each in collected.names}
            candidates = [*_with_files(collected.names), *groups]
            collected.put(name, value, origin=origin, spelled=name, candidates=candidates)


def read_environment(collected: Collected, environ: Mapping[str, str]) -> None:
    """Take every `AURORA_*` variable. One that is set but empty counts as not set."""
    candidates = [variable(name) for name in _with_files(collected.names)]
    for spelled in sorted(environ):
        if not spelled.startswith(PREFIX) or spelled == CONFIG_VARIABLE or not environ[spelled]:
            continue
        name = spelled.removeprefix(PREFIX).lower().replace("__", ".")
        collected.put(name, environ[spelled], origin=spelled, spelled=spelled, candidates=candidates)


def _with_files(names: Mapping[str, bool]) -> list[str]:
    return [*names, *(name + _FILE_SUFFIX for name, is_secret in names.items() if is_secret)]


def _suggestion(spelled: str, candidates: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    close = difflib.get_close_matches(spelled, list(candidates), n=1)
    return f"; did you mean {close[0]}?" if close else ""
