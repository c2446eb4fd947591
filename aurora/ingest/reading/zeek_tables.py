r"""Zeek's own logs: tables of tab-separated values that carry their header in lines that start with `#`.

    #separator \x09
    #set_separator	,
    #empty_field	(empty)
    #unset_field	-
    #path	notice
    #fields	ts	uid	id.orig_h	…
    #types	time	string	addr	…
    1588207244.740518	CpnezL3085IfcJzSAe	192.0.2.7	…
    #close	2020-04-30-00-40-44

A row becomes the object that Zeek's JSON writer would have written: values of the types that the header
names, values that are not set left out, sets and vectors as lists, and `_path` with the name of the log.
A file may hold several tables one after the other (rotated and concatenated logs, a Zeek that was killed
and wrote no `#close`), and objects as JSON among them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from aurora.ingest.reading.parsing import parse
from aurora.ingest.reading.records import Fault, Item, RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aurora.ingest.reading.pieces import Pieces
    from aurora.ingest.reading.window import Window

Convert = Callable[[str], Any]

MAX_COLUMNS = 1000
"""The widest log of Zeek and its packages has some 60."""
STARTS = re.compile(rb"#(?:separator [^\s]|(?:set_separator|(?:empty|unset)_field|path|open|fields|types)\t)")
"""What the first line of a table looks like; a separator other than the tab is told by `#separator` first."""
HEAD_BYTES = 32
"""A table shows itself within this."""

_HEADER = re.compile(rb"#(separator|set_separator|empty_field|unset_field|path|open|fields|types|close)(?![\w.])")
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_INTEGER = re.compile(r"[-+]?[0-9]{1,20}")
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][-+]?[0-9]{1,4})?")
_INTEGERS = range(-(2**63), 2**64)
_LISTED = re.compile(r"(?:set|vector|table)\[(.*)\]")
_TRUTH: dict[str, bool | str] = {"T": True, "F": False}
_LONGEST_MARK = 16  # characters of a separator or of what stands for no value


class ZeekTable:
    """Reads tables from the window's place; one object serves one table after the other."""

    def __init__(self, window: Window, pieces: Pieces, *, file: str, max_record_bytes: int) -> None:
        self._window = window
        self._pieces = pieces
        self._file = file
        self._limit = max_record_bytes
        self._header = _Header()

    def items(self) -> Iterator[Item]:
        """Yield the rows up to a `#close` or the end of the text, in order; header lines are nothing."""
        window = self._window
        self._header = _Header()
        while (end := self._line_end()) >= 0:
            if end - window.pos > self._limit:
                yield self._pieces.skip_to(b"\n", self._pieces.too_large())
                self._next_line(window.pos)
                continue
            start, stop = window.pos, end
            if stop > start and window.data[stop - 1] == 13:  # a carriage return of Windows
                stop -= 1
            line = window.data[start:stop]
            if line.startswith(b"#") and (match := _HEADER.match(line)):
                word = match.group(1)
                if word == b"separator":
                    self._header = _Header(_unescaped(line[len(b"#separator ") :]))
                if (fault := self._header.read(word, line)) is not None:
                    yield self._pieces.reject(stop, fault)
                self._next_line(end)
                if word == b"close":
                    return
            elif line.strip():
                yield self._row(line, stop, whole=end < len(window.data))
                self._next_line(end)
            else:
                self._next_line(end)

    def _row(self, line: bytes, end: int, *, whole: bool) -> Item:
        """Return the row that ends at index `end` as a record, or rejected, and go there.

        Args:
            line: Its text.
            end: The index after it.
            whole: Whether a line end follows.
        """
        window = self._window
        if not whole and window.fault is not None:
            return self._pieces.reject(end, self._pieces.cut())
        document, raw = self._header.document(line), b""
        if isinstance(document, Fault):
            parsed = parse(line) if line.startswith(b"{") else None
            if isinstance(parsed, dict):
                document, raw = parsed, line
            else:
                cut = self._pieces.cut("the row is not complete; the file may be cut or still be written")
                return self._pieces.reject(end, document if whole else cut)
        else:
            raw = orjson.dumps(document)
        self._pieces.recognised = True
        number, offset = window.line, window.offset(window.pos)
        record = RawRecord(self._file, number, offset, window.key(end), raw, document)
        window.pos = end
        return record

    def _line_end(self) -> int:
        """Return the index of the next line end, that of the text's end if there is none; -1 at the text's end.

        A line that is larger than a record may be gives an index beyond the limit, not its end.
        """
        window = self._window
        searched = 0
        while (end := window.data.find(b"\n", window.pos + searched)) < 0:
            searched = len(window.data) - window.pos
            if searched > self._limit + 1:
                return len(window.data)
            if not window.more():
                return len(window.data) if window.pos < len(window.data) else -1
        return end

    def _next_line(self, end: int) -> None:
        """Go behind the line end at index `end`, if one is there."""
        self._window.advance(min(end + 1, len(self._window.data)))


class _Header:
    """What the header lines said so far, and how a row is read by it."""

    def __init__(self, separator: bytes = b"\t") -> None:
        self._odd = not 0 < len(separator) <= _LONGEST_MARK
        self._separator = b"\t" if self._odd else separator
        self._between_columns = self._separator.decode("utf-8", "backslashreplace")
        self._marks = {b"set_separator": ",", b"empty_field": "(empty)", b"unset_field": "-"}
        self._base: dict[str, Any] = {}
        self._names: list[str] = []
        self._types: list[str] = []
        self._columns: list[tuple[str, Convert]] = []

    def read(self, word: bytes, line: bytes) -> Fault | None:
        """Take a header line; return what is wrong with it, if anything."""
        if word == b"separator":
            return Fault("bad_header", "#separator names none; the tab is taken") if self._odd else None
        values = [_text(each) for each in line.split(self._separator)[1:]]
        value = values[0] if values else ""
        if word == b"fields":
            return self._fields(values)
        if word == b"types":
            return self._typed(values)
        if word == b"path" and value:
            self._base = {"_path": value}
        elif word in self._marks and 0 < len(value) <= _LONGEST_MARK:
            self._marks[word], self._columns = value, []
        return None

    def document(self, line: bytes) -> dict[str, Any] | Fault:
        """Return the object that a row stands for, or what is wrong with the row."""
        if not self._columns and not self._prepare():
            return Fault("bad_header", "no valid #fields line before the row says what its columns are")
        text = line.decode("utf-8", "backslashreplace")
        values = text.split(self._between_columns)
        if len(values) != len(self._columns):
            return Fault(
                "wrong_columns", f"the row has {len(values)} columns, the #fields line names {len(self._columns)}"
            )
        document, unset = self._base.copy(), self._marks[b"unset_field"]
        for (name, convert), value in zip(self._columns, values, strict=True):
            if value != unset:
                document[name] = convert(value)
        return document

    def _fields(self, names: list[str]) -> Fault | None:
        self._names, self._types, self._columns = [], [], []
        if not 0 < len(names) <= MAX_COLUMNS:
            return Fault("bad_header", f"the #fields line names {len(names)} columns, not 1 to {MAX_COLUMNS}")
        if len(set(names)) != len(names) or "" in names:
            return Fault("bad_header", "the #fields line names a column twice, or one without a name")
        self._names = names
        return None

    def _typed(self, types: list[str]) -> Fault | None:
        self._types, self._columns = [], []
        if len(types) != len(self._names):
            counts = f"{len(types)} types for {len(self._names)} columns"
            return Fault("bad_header", f"the #types line has {counts}; every value is read as text")
        self._types = types
        return None

    def _prepare(self) -> bool:
        types = self._types or ["string"] * len(self._names)
        self._columns = [(name, self._reader(type_)) for name, type_ in zip(self._names, types, strict=True)]
        return bool(self._columns)

    def _reader(self, type_: str) -> Convert:
        """Return what makes a value of the text of a column."""
        if listed := _LISTED.fullmatch(type_):
            return self._list_reader(_BY_TYPE.get(listed.group(1).rpartition(",")[2].strip()))
        return _BY_TYPE.get(type_) or self._text_reader()

    def _text_reader(self) -> Convert:
        empty = self._marks[b"empty_field"]

        def convert(value: str) -> str:
            if "\\x" in value:
                return _text(value.encode())
            return "" if value == empty else value

        return convert

    def _list_reader(self, inner: Convert | None) -> Convert:
        between, empty, unset = self._marks.values()
        convert_one = inner or self._text_reader()

        def convert(value: str) -> list[Any]:
            if value in {empty, ""}:
                return []
            return [None if each == unset else convert_one(each) for each in value.split(between)]

        return convert


def _unescaped(value: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes([int(match.group(1), 16)]), value)


def _text(value: bytes) -> str:
    r"""Return text with Zeek's `\xNN` resolved; bytes that are no UTF-8 keep that spelling, as in Zeek's JSON."""
    return _unescaped(value).decode("utf-8", "backslashreplace")


def _integer(value: str) -> int | str:
    """Return an integer of at most 64 bits; anything else as the text that it is."""
    if _INTEGER.fullmatch(value) and (number := int(value)) in _INTEGERS:
        return number
    return value


def _number(value: str) -> float | str:
    if _NUMBER.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    return value


def _truth(value: str) -> bool | str:
    return _TRUTH.get(value, value)


_BY_TYPE: dict[str, Convert] = {
    "bool": _truth,
    "count": _integer,
    "counter": _integer,
    "double": _number,
    "int": _integer,
    "interval": _number,
    "port": _integer,
    "time": _number,
}
"""Types that are not text; `port` and `time` as Zeek's JSON writer has them."""
