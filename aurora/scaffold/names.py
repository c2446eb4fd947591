"""Names of new content, and what is called after them."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass

from aurora.kernel.errors import InputError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_LONGEST = 40
_TAKEN = frozenset({"actions", "enrichers", "hunts", "nodes", "prompts", "rules", "state", "tools"})
"""Folders and modules of the house: a file of that name would hide them."""


@dataclass(frozen=True, slots=True)
class Name:
    """One name in the spellings that code needs."""

    id: str
    """As it was given: `mail-watch`."""

    @property
    def module(self) -> str:
        """`mail_watch`: the file, and whatever else must be a Python name."""
        return self.id.replace("-", "_")

    @property
    def constant(self) -> str:
        """`MAIL_WATCH`."""
        return self.module.upper()

    @property
    def camel(self) -> str:
        """`MailWatch`."""
        return "".join(part.capitalize() for part in self.module.split("_"))

    @property
    def title(self) -> str:
        """`Mail watch`."""
        return " ".join(self.module.split("_")).capitalize()


def checked_name(text: str) -> Name:
    """Return a name that can be an id, a file and a Python name.

    Raises:
        InputError: it cannot; the message says what would.
    """
    name = Name(text)
    if _NAME.fullmatch(text) is None or len(text) > _LONGEST:
        raise InputError(
            f"{text[:_LONGEST]!r} cannot be a name: use lower-case words joined by '-' or '_', "
            f"{_LONGEST} characters at most, such as 'mail-watch'"
        )
    if keyword.iskeyword(name.module) or name.module in _TAKEN:
        raise InputError(f"{text!r} cannot be a name: it means something to Python or to Aurora; choose another")
    return name


def checked_plugin(text: str) -> Name:
    """Return a name that can be a distribution and a package of its own.

    Raises:
        InputError: it cannot, or a package of that name can be imported already.
    """
    name = checked_name(text)
    if name.module in sys.stdlib_module_names or importlib.util.find_spec(name.module) is not None:
        raise InputError(f"the package name {name.module!r} is taken: choose another, such as '{text}-soc'")
    return name
