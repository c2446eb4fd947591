"""Nested records whose parts have fixed names: a tree of what to keep, and a reader that walks record and tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from aurora.ingest.formats._draft import CACHED, MAX_ITEMS, Draft, cached_field
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance

Note: TypeAlias = Callable[[Draft, str, Provenance, str], None]
"""What else a value tells: called with the draft, the text, its provenance and its JSON pointer."""

_NOTHING = frozenset({"", "-", "N/A", "n/a", "<NA>", "<N/A>", "(null)", "null", "None"})
"""How log formats write that there is no value."""


class Leaf(NamedTuple):
    """What becomes of one value of a record."""

    name: str
    """Of the field; empty for a value that only its note reads."""
    provenance: Provenance
    note: Note | None = None
    clean: Callable[[str], str] | None = None
    """Undoes how the product escapes text."""
    held: bool = False
    """Whether the value waits in `Reader.held` until the format has seen the whole record."""


Fields: TypeAlias = tuple[Any, ...]
"""A leaf as a plain tuple, which Python takes apart three times as fast as a named one."""
Tree: TypeAlias = dict[str, "Fields | Tree"]


def tree(leaves: Mapping[str, Leaf]) -> Tree:
    """Return the tree of dotted paths: each node knows its descendants by key and by the flattened rest of the path."""
    root: Tree = {}
    for path, leaf in leaves.items():
        _plant(root, path.split("."), leaf)
    _flatten(root)
    return root


def flat(leaves: Mapping[str, Leaf]) -> Tree:
    """Return a tree without branches, of a table whose keys have dots themselves."""
    return {key: tuple(leaf) for key, leaf in leaves.items()}


def _plant(node: Tree, parts: list[str], leaf: Leaf) -> None:
    for part in parts[:-1]:
        inner = node.setdefault(part, {})
        if isinstance(inner, tuple):
            raise TypeError(f"{part} is a value and has parts")
        node = inner
    node[parts[-1]] = tuple(leaf)


def _flatten(node: Tree) -> None:
    for key, inner in list(node.items()):
        if isinstance(inner, dict):
            _flatten(inner)
            node.update({f"{key}.{rest}": target for rest, target in inner.items()})


class Reader:
    """Keeps in a draft what a tree names, in the order of the record; equal values of one name once."""

    __slots__ = ("draft", "held", "values")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.values: dict[str, str] = {}
        """The first value of each name that was kept."""
        self.held: dict[str, tuple[str, str]] = {}
        """The first value of each name that is held, with its JSON pointer."""

    def read(self, node: Tree, table: Document, path: str) -> None:  # noqa: C901, PLR0912 - a call a value costs a third
        """Read an object of the record; `path` is its JSON pointer."""
        draft, values, held, fields = self.draft, self.values, self.held, self.draft.fields
        for key, value in table.items():
            target = node.get(key)
            if target is None or value is None:
                continue
            if target.__class__ is tuple:
                name, provenance, note, clean, is_held = target
                if (
                    value.__class__ is str
                    and clean is None
                    and name
                    and len(value) <= CACHED
                    and len(fields) < MAX_ITEMS
                ):
                    # What `_one` does with a short text that is taken as it is, without its calls: most values.
                    if value in _NOTHING:
                        continue
                    where = f"{path}/{key}"
                    if is_held:
                        if name not in held:
                            held[name] = (value, where)
                        continue
                    known = values.get(name)
                    if known is None:
                        values[name] = value
                    if known != value:
                        fields.append(cached_field(name, value, provenance, where))
                    if note is not None:
                        note(draft, value, provenance, where)
                elif value.__class__ is list:
                    where = f"{path}/{key}"
                    one = self._one
                    for number, inner in enumerate(
                        value if len(value) <= MAX_ITEMS else draft.items(table, key, where)
                    ):
                        one(target, inner, f"{where}/{number}")
                else:
                    self._one(target, value, f"{path}/{key}")
            elif value.__class__ is dict:
                self.read(target, value, f"{path}/{key}")  # type: ignore[arg-type]  # no leaf, so a tree
            else:
                self._objects(target, table, key, path)  # type: ignore[arg-type]  # no leaf, so a tree

    def held_text(self, *names: str) -> str:
        """Return the first held value that one of `names` has; empty if there is none."""
        for name in names:
            if name in self.held:
                return self.held[name][0]
        return ""

    def keep_held(self, name: str, held: str, provenance: Provenance) -> str:
        """Keep what is held as `held` under `name`; return its text, empty if nothing is."""
        if held not in self.held:
            return ""
        text, path = self.held[held]
        return self.keep(name, text, provenance, path)

    def keep(self, name: str, value: object, provenance: Provenance, path: str) -> str:
        """Keep a value unless an equal one of that name was kept; return its text."""
        values, fields = self.values, self.draft.fields
        known = values.get(name)
        if value.__class__ is str and 0 < len(value) <= CACHED and len(fields) < MAX_ITEMS:
            if known != value:
                fields.append(cached_field(name, value, provenance, path))
            text = value
        elif value.__class__ is str and known == value:
            return value
        else:
            text = self.draft.keep(name, value, provenance, path)
        if text and known is None:
            values[name] = text
        return text

    def _objects(self, node: Tree, table: Document, key: str, path: str) -> None:
        """Read a list of objects; anything else, where objects belong, is noted as unread."""
        if table[key] in ([], "", {}):
            return
        if not isinstance(table[key], list):
            self.draft.unread(f"{path}/{key}")
            return
        for number, inner in enumerate(self.draft.items(table, key, f"{path}/{key}")):
            if isinstance(inner, dict):
                self.read(node, inner, f"{path}/{key}/{number}")
            elif inner is not None:
                self.draft.unread(f"{path}/{key}/{number}")

    def _one(self, leaf: Fields, value: Any, path: str) -> None:
        name, provenance, note, clean, is_held = leaf
        if value.__class__ is str:
            if value in _NOTHING:
                return
            if clean is not None:
                value = clean(value)
        elif value.__class__ is int:
            value = repr(value)
        if is_held:
            if name not in self.held:
                text = self.draft.text(value, path)
                if text:
                    self.held[name] = (text, path)
            return
        text = self.keep(name, value, provenance, path) if name else self.draft.text(value, path)
        if note is not None and text:
            note(self.draft, text, provenance, path)


def spots(draft: Draft, table: Document, key: str, path: str) -> Iterator[tuple[Any, str]]:
    """Yield each value of the list `table[key]` with its JSON pointer; a scalar is a list of one."""
    is_list = isinstance(table.get(key), list)
    for number, value in enumerate(draft.items(table, key, path)):
        yield value, f"{path}/{number}" if is_list else path


def unwrapped(document: Document) -> tuple[Document, str]:
    """Return the record in a search hit of Elasticsearch or OpenSearch, and its JSON pointer; else the document."""
    source = document.get("_source")
    if source.__class__ is dict:
        return source, "/_source"
    fields = document.get("fields")
    if fields.__class__ is dict and "_index" in document:
        return fields, "/fields"
    return document, ""
