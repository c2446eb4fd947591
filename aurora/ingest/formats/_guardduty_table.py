"""An object of a finding, with keys as the SDKs write them (`AccountId`) or as EventBridge does (`accountId`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aurora.ingest.formats._draft import CACHED, MAX_ITEMS, Draft, cached_field
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


class _Camel(dict[str, str]):
    """Keys of the SDKs as the service writes them; a look-up takes a third of what a call does."""

    def __missing__(self, key: str) -> str:
        self[key] = camel = key[:1].lower() + key[1:]
        return camel


_CAMEL: Final = _Camel()
"""Only keys that these modules name are looked up, so it stays small."""


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
            if key in values or _CAMEL[key] in values:
                return True
        return False

    def given(self, keys: Iterable[str]) -> list[str]:
        """Return those keys that have a value, in the order of `keys`."""
        values = self._values
        return [key for key in keys if key in values or _CAMEL[key] in values]

    def path(self, key: str) -> str:
        """Return the JSON pointer of a value."""
        return f"{self._path}/{self._spelled(key)}"

    def get(self, key: str) -> Any:
        """Return the value as it is."""
        values = self._values
        return values[key] if key in values else values.get(_CAMEL[key])

    def text(self, key: str) -> str:
        """Return a scalar as text without blanks around it."""
        value = self.get(key)
        if value.__class__ is str:
            return self.draft.text(value, self.path(key)).strip() if len(value) > _SHORT else value.strip()
        return "" if value is None else self.draft.text(value, self.path(key)).strip()

    def table(self, key: str) -> Table:
        """Return the object of that key, an empty one if there is none."""
        values = self._values
        if not values:
            return self
        if key not in values:
            key = _CAMEL[key]
            if key not in values:
                return self._nothing() if self._empty is None else self._empty
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
            return (Table(self.draft, value, path, self._empty),)
        found = []
        for number, item in enumerate(self.draft.items(self._values, spelled, path)):
            if isinstance(item, dict):
                found.append(Table(self.draft, item, f"{path}/{number}", self._empty))
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
            key = _CAMEL[key]
            value = values.get(key)
            if value is None:
                return ""
        fields = self.draft.fields
        if value.__class__ is str and 0 < len(value) <= CACHED and len(fields) < MAX_ITEMS:
            # What `keep` does with short text, without the call: most values of most findings.
            fields.append(cached_field(name, value, provenance, f"{self._path}/{key}"))
            text: str = value
            return text
        return self.draft.keep(name, value, provenance, f"{self._path}/{key}")

    def take_all(self, columns: Columns) -> None:
        """Keep every scalar that `columns` name."""
        values, path, draft, fields = self._values, self._path, self.draft, self.draft.fields
        if not values:
            return
        for key, name, provenance in columns:
            spelled = key
            value = values.get(key)
            if value is None:
                spelled = _CAMEL[key]
                value = values.get(spelled)
            if value.__class__ is str and 0 < len(value) <= CACHED and len(fields) < MAX_ITEMS:
                fields.append(cached_field(name, value, provenance, f"{path}/{spelled}"))  # as in `take`
            elif value is not None:
                draft.keep(name, value, provenance, f"{path}/{spelled}")

    def _nothing(self) -> Table:
        """Return the one empty table of this record: most of what is asked for is not there."""
        self._empty = Table(self.draft, _NOTHING)
        return self._empty

    def _spelled(self, key: str) -> str:
        if key in self._values:
            return key
        camel = _CAMEL[key]
        return camel if camel in self._values else key
