"""An object of a finding, with keys as the SDKs write them (`AccountId`) or as EventBridge does (`accountId`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance

S = Provenance.SENSOR
A = Provenance.ATTACKER_WRITABLE
DIRECTORY = Provenance.IDENTITY_SERVER

Columns = tuple[tuple[str, str, Provenance], ...]
"""Key (as the SDKs write it), name of the field, who wrote it."""

_NOTHING: Final[Document] = {}
_SHORT = 2_048
"""Longest text that is within every bound."""


class Table:
    """Tells a draft what is in one object. Keys are given as the SDKs write them."""

    __slots__ = ("_empty", "_path", "_values", "draft")

    def __init__(self, draft: Draft, values: Document, path: str = "", empty: Table | None = None) -> None:
        self.draft = draft
        self._empty = empty
        self._values = values
        self._path = path

    def __bool__(self) -> bool:
        return bool(self._values)

    def has(self, *keys: str) -> bool:
        """Tell whether there is a value of any of those keys."""
        values = self._values
        for key in keys:  # noqa: SIM110 - `any` makes a generator, which costs more than what it asks
            if key in values or _camel(key) in values:
                return True
        return False

    def path(self, key: str) -> str:
        """Return the JSON pointer of a value."""
        return f"{self._path}/{self._spelled(key)}"

    def get(self, key: str) -> Any:
        """Return the value as it is."""
        values = self._values
        return values[key] if key in values else values.get(_camel(key))

    def text(self, key: str) -> str:
        """Return a scalar as text without blanks around it."""
        value = self.get(key)
        if value.__class__ is str:
            return self.draft.text(value, self.path(key)).strip() if len(value) > _SHORT else value.strip()
        return "" if value is None else self.draft.text(value, self.path(key)).strip()

    def table(self, key: str) -> Table:
        """Return the object of that key, an empty one if there is none."""
        values = self._values
        if key not in values:
            key = _camel(key)
            if key not in values:
                return self._nothing() if values else self
        path = f"{self._path}/{key}"
        value = values[key]
        return Table(
            self.draft, value if value.__class__ is dict else self.draft.table(values, key, path), path, self._empty
        )

    def tables(self, key: str) -> Iterable[Table]:
        """Return the objects of a list; a single object is a list of one."""
        spelled = self._spelled(key)
        value = self._values.get(spelled)
        if value is None:
            return ()
        path = f"{self._path}/{spelled}"
        if isinstance(value, dict):
            return (Table(self.draft, value, path),)
        found = []
        for number, item in enumerate(self.draft.items(self._values, spelled, path)):
            if isinstance(item, dict):
                found.append(Table(self.draft, item, f"{path}/{number}"))
            else:
                self.draft.unread(f"{path}/{number}")
        return found

    def items(self, key: str) -> list[Any]:
        """Return the list of that key."""
        return self.draft.items(self._values, self._spelled(key), self.path(key))

    def take(self, key: str, name: str, provenance: Provenance) -> str:
        """Keep a scalar as the field `name`; return its text, empty where there is none."""
        values = self._values
        value = values.get(key)
        if value is None:
            key = _camel(key)
            value = values.get(key)
            if value is None:
                return ""
        return self.draft.keep(name, value, provenance, f"{self._path}/{key}")

    def take_all(self, columns: Columns) -> None:
        """Keep every scalar that `columns` name."""
        values, keep = self._values, self.draft.keep
        if not values:
            return
        for key, name, provenance in columns:
            value = values.get(key)
            if value is None:
                camel = _camel(key)
                if (value := values.get(camel)) is not None:
                    keep(name, value, provenance, f"{self._path}/{camel}")
            else:
                keep(name, value, provenance, f"{self._path}/{key}")

    def _nothing(self) -> Table:
        """Return the one empty table of this record: most of what is asked for is not there."""
        if self._empty is None:
            self._empty = Table(self.draft, _NOTHING)
        return self._empty

    def _spelled(self, key: str) -> str:
        if key in self._values:
            return key
        camel = _camel(key)
        return camel if camel in self._values else key


@lru_cache(maxsize=1024)
def _camel(key: str) -> str:
    return key[:1].lower() + key[1:]
