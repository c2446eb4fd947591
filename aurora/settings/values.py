"""How single values are written: durations, lists, database URLs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

import orjson
from pydantic import BeforeValidator, Field

_DURATION = re.compile(r"(\d+)\s*(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_HIDDEN = "***"
_PASSWORD_IN_QUERY = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)


def _duration(value: object) -> object:
    """Accept `30s`, `15m`, `24h`, `7d`, `250ms`; a bare number would hide its unit."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a number with its unit: ms, s, m, h or d, such as 24h")
    try:
        duration = int(match[1]) * _UNITS[match[2]]
    except OverflowError:
        raise ValueError("is longer than any duration can be") from None
    if not duration:
        raise ValueError("must be longer than nothing")
    return duration


def _names(value: object) -> object:
    """Accept `a,b` and `["a", "b"]`, as an environment variable writes a list."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError('must be written as a,b or as ["a", "b"]') from None


def _shares(value: object) -> object:
    """Accept `acme=3, globex=1`, as an environment variable writes a table."""
    if not isinstance(value, str):
        return value
    shares: dict[str, object] = {}
    for part in filter(None, (each.strip() for each in value.split(","))):
        name, separator, number = part.partition("=")
        if not separator or not number.strip().isdecimal():
            raise ValueError("must be written as name=number, name=number")
        shares[name.strip()] = int(number)
    return shares


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A length of time, written with its unit."""

Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""A list of names."""


Shares = Annotated[dict[str, Annotated[int, Field(ge=1, le=1_000_000)]], BeforeValidator(_shares)]
"""A whole number for each of some names."""


def database_url(url: str) -> str:
    """Return `url` with the async driver that Aurora uses.

    Raises:
        ValueError: the URL has no scheme or one of another database. The message quotes no part
            of the URL but its scheme: the rest may be a password.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        raise ValueError("must be a URL, such as sqlite:///aurora.db or postgresql://user@host/database")
    if scheme not in _DRIVERS:
        known = ", ".join(f"{each}://" for each in _DRIVERS)
        raise ValueError(f"must begin with one of {known}")
    driver = _DRIVERS[scheme]
    if driver == "sqlite+aiosqlite" and rest and not rest.startswith(("/", "?")):
        raise ValueError("needs three slashes for a relative path (sqlite:///aurora.db), four for an absolute one")
    if driver == "postgresql+asyncpg" and not _is_well_formed(f"{driver}://{rest}"):
        raise ValueError("is not well formed: in a password, the characters @ : / ? # must be written as %40 and so on")
    return f"{driver}://{rest}"


def _is_well_formed(url: str) -> bool:
    """Return whether the parts of `url` are where they seem to be; an unescaped password moves them."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return "@" not in parts.path + parts.query + parts.fragment and parts.netloc.count("@") <= 1


def without_password(url: str) -> str:
    """Return a database URL with every password in it masked."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    masked = url.replace(parts.netloc, f"{user}{colon and ':' + _HIDDEN}{at}{host}", 1) if at else url
    return _PASSWORD_IN_QUERY.sub(rf"\g<1>{_HIDDEN}", masked)
