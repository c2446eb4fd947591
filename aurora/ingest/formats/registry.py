"""The formats there are: one module of this package each, found by walking it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

from aurora.ingest import formats as package
from aurora.ingest.formats.base import Document, Format
from aurora.kernel.errors import ContentInvalid, InputError

_NO_FORMATS = frozenset({"base", "registry"})


class UnknownFormat(InputError):
    """A format was asked for by an id that none has; the message lists the ids."""

    code = "aurora.input.format"


class Formats:
    """Knows every format and which one a record is of. Formats are asked in the order of their ids.

    Args:
        formats: The formats to know; by default those of this package.

    Raises:
        ContentInvalid: a module of the package has no `FORMAT`, or two formats share an id.
    """

    def __init__(self, formats: Iterable[Format] | None = None) -> None:
        self._by_id: dict[str, Format] = {}
        for each in discovered() if formats is None else formats:
            if each.id in self._by_id:
                raise ContentInvalid(f"two ingest formats have the id {each.id!r}", format=each.id)
            self._by_id[each.id] = each

    def __iter__(self) -> Iterator[Format]:
        return iter(self._by_id.values())

    def detect(self, document: Document, *, hint: str | None = None) -> Format | None:
        """Return the format of a record, `None` if no format knows it.

        Args:
            document: The record.
            hint: Id of the format that the record before was of; it is asked first.
        """
        likely = self._by_id.get(hint) if hint else None
        if likely is not None and likely.matches(document):
            return likely
        for each in self._by_id.values():
            if each is not likely and each.matches(document):
                return each
        return None

    def by_id(self, id: str) -> Format:
        """Return the format with that id.

        Raises:
            UnknownFormat: there is none.
        """
        try:
            return self._by_id[id]
        except KeyError:
            known = ", ".join(self._by_id)
            raise UnknownFormat(f"no format has that id; there are: {known}", known=known) from None


def discovered() -> Iterator[Format]:
    """Yield the `FORMAT` of every module of this package, in the order of their names.

    Raises:
        ContentInvalid: a module has none: it would be a format that is never asked.
    """
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name):
        if info.name.startswith("_") or info.name in _NO_FORMATS:
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        found = getattr(module, "FORMAT", None)
        if found is None:
            raise ContentInvalid(f"{info.name}.py in {package.__name__} has no FORMAT", module=info.name)
        yield found
