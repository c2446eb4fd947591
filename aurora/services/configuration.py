"""What is set, and where it was set: for people and programs, without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import SecretStr

from aurora.settings import Settings
from aurora.settings.values import without_password

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))

_URLS = {"database.url", "dispatch.broker", "dispatch.second_broker"}
"""Secret for their passwords only, and people ask for the rest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it is."""

    name: str
    value: str | None
    """As one would write it; `None`: not set. A secret is never in it."""
    origin: str
    """`default`, `argument`, a variable, or the file that it stands in."""
    secret: bool

    @property
    def is_default(self) -> bool:
        """Whether nobody set it."""
        return self.origin == "default"


def settings_told(settings: Settings, origins: Mapping[str, str]) -> list[Setting]:
    """Return every setting, by name.

    Args:
        settings: As they were loaded.
        origins: Where each came from, as `settings_with_origin` returns it.
    """
    return [_told(settings, name, origin) for name, origin in sorted(origins.items())]


def _told(settings: Settings, name: str, origin: str) -> Setting:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    secret = isinstance(value, SecretStr)
    if isinstance(value, SecretStr) and name in _URLS:
        return Setting(name=name, value=without_password(value.get_secret_value()), origin=origin, secret=True)
    if secret or name.endswith(("_key", "_secret", "_password")):
        return Setting(name=name, value=None if value is None else "***", origin=origin, secret=True)
    return Setting(name=name, value=_written(value), origin=origin, secret=False)


def _written(value: object) -> str | None:
    """Return a value as `aurora.toml` or a variable would have it."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return next(
            (f"{value // unit}{letter}" for letter, unit in _UNITS if not value % unit),
            f"{value // timedelta(milliseconds=1)}ms",
        )
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value.value) if isinstance(value, Enum) else str(value)
