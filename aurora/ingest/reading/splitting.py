"""Cut the text of a file into records, whatever shape the file has.

Four shapes, which may follow each other in one file: an object a line (JSON lines, the
fast path), objects over several lines or several on one line, lists of objects, bare or
in an envelope as `{"value": [...]}`, and the tables of Zeek. A record that is broken costs itself only: reading
goes on at the next place where a record plausibly starts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aurora.ingest.reading.parsing import parse, too_deep
from aurora.ingest.reading.pieces import Pieces
from aurora.ingest.reading.records import KEPT_BYTES, Fault, Item, RawRecord
from aurora.ingest.reading.structure import Scan, scan
from aurora.ingest.reading.zeek_tables import HEAD_BYTES, STARTS, ZeekTable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from aurora.ingest.reading.window import Window

_BLANK = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*+")  # a byte order mark too: `cat a.json b.json` puts it anywhere
_MARK = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(rb"(?:[ \t\r\n,]|\xef\xbb\xbf)*+")
_SPACE = re.compile(rb"[ \t\r]*+")
_LIST_OF_OBJECTS = re.compile(rb"\[[ \t\r\n]*+[{\]]")
_SCALAR = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|[^,\]\n]++')
_PAGING = rb'"(?:@?odata\.[\w.]++|@?nextLink|[cC]ount|[nN]extToken)"\s*+:\s*+(?:"[^"\\\n]*+"|[\w.+-]++)\s*+,\s*+'
_META = (
    rb'"meta"\s*+:\s*+\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\}\s*+,\s*+'
    rb'(?:"errors"\s*+:\s*+(?:\[\s*+\]|null)\s*+,\s*+)?+"resources"'
)
_ENVELOPE = re.compile(
    rb"\{\s*+(?:(?:" + _PAGING + rb')*+"(?:value|[rR]ecords|[fF]indings)"|' + _META + rb")\s*+:\s*+\[(?=\s*+[{\]])"
)
"""Lists as Microsoft Graph and Azure Monitor (`value`, `records`), AWS CloudTrail and GuardDuty (`Records`, `Findings`)
and CrowdStrike (`meta`, `resources`) export them."""

_LISTS = frozenset({"value", "records", "Records", "findings", "Findings", "resources"})
_HEAD_BYTES = 4096  # links for paging can be long; an envelope shows itself within this
_OPEN_OBJECT, _OPEN_LIST, _END_LIST, _NEWLINE, _HEADER = b"{[]\n#"


class Splitter:
    """Reads one window to its end; `items` may be called once."""

    def __init__(self, window: Window, *, file: str, max_record_bytes: int) -> None:
        self._window = window
        self._file = file
        self._limit = max_record_bytes
        self._by_line = True  # what the last good record was: one on a line of its own, or not
        self._pieces = Pieces(window, file=file, max_record_bytes=max_record_bytes)

    def items(self) -> Iterator[Item]:
        """Yield what the text holds, in order; blank lines are nothing."""
        window, file, limit = self._window, self._file, self._limit
        while (gap := self._skip(_BLANK)) is not None:
            first = window.data[window.pos]
            if first == _OPEN_OBJECT:
                end = self._line_end() if self._by_line else -1
                start = window.pos
                if 0 <= end - start <= limit:
                    raw = window.data[start:end]
                    document = parse(raw)
                    if type(document) is dict and not _may_be_envelope(document):
                        self._pieces.recognised = True
                        offset = window.offset(start)
                        yield RawRecord(file, window.line, offset, window.key(end), raw, document)
                        window.pos = end
                        continue
                yield from self._object(_indentation(gap, window))
            elif first == _OPEN_LIST and self._starts_list():
                window.advance(window.pos + 1)
                yield from self._list()
                self._by_line = False
            elif first == _HEADER and self._starts_table():
                yield from ZeekTable(window, self._pieces, file=file, max_record_bytes=limit).items()
            else:
                yield self._bad_line()
        if window.fault is not None:
            yield self._pieces.reject(window.pos, window.fault)

    def _skip(self, blank: re.Pattern[bytes]) -> bytes | None:
        """Go to the next text and return what was skipped, from its last line end on; `None` at the end."""
        window = self._window
        while True:
            data, pos = window.data, window.pos
            start: int = blank.match(data, pos).end()  # type: ignore[union-attr]  # matches the empty text too
            if start < len(data):
                if len(data) - start < len(_MARK) and _MARK.startswith(data[start:]) and window.more():
                    continue  # in the middle of a byte order mark
                window.line += data.count(b"\n", pos, start)
                window.pos = start
                return data[pos:start]
            # The indentation must survive the block's end, but not a gigabyte of spaces.
            kept = data.rfind(b"\n", pos, start)
            window.advance(kept if kept >= 0 else start if start - pos > KEPT_BYTES else pos)
            if not window.more():
                window.advance(len(window.data))
                return None

    def _line_end(self) -> int:
        """Return the index after the line's text, or -1 if the line is larger than a record may be."""
        window = self._window
        searched = 0
        while (end := window.data.find(b"\n", window.pos + searched)) < 0:
            searched = len(window.data) - window.pos
            if searched > self._limit:
                return -1
            if not window.more():
                end = len(window.data)
                break
        if window.data[end - 1] in b" \t\r":
            end = window.pos + len(window.data[window.pos : end].rstrip(b" \t\r"))
        return end

    def _object(self, indentation: bytes | None) -> Iterator[Item]:
        """Read what starts with a brace and is not simply a good line."""
        window = self._window
        while len(window.data) - window.pos < _HEAD_BYTES and window.more():
            pass
        if envelope := _ENVELOPE.match(window.data, window.pos):
            window.advance(envelope.end())
            if (yield from self._list()):
                yield from self._rest_of_envelope()
            return
        # Among JSON lines, only a brace alone starts an object over several lines: to look
        # beyond the end of each broken line would make a bad file slow.
        among_lines = self._by_line and self._pieces.recognised
        if among_lines and (end := self._line_end()) > window.pos + 1:
            yield self._within_line(end)
        else:
            yield self._over_lines(indentation, among_lines=among_lines)

    def _within_line(self, end: int) -> Item:
        """Return the first object of a line that is not simply a good one; the line ends at index `end`."""
        window = self._window
        outcome, length = scan(window, limit=min(end - window.pos, self._limit))
        if outcome is Scan.DONE:
            return self._complete(length)
        if outcome is Scan.ENDED and end == len(window.data):
            return self._pieces.skip_to(None, self._pieces.cut())
        return self._bad_line()

    def _over_lines(self, indentation: bytes | None, *, among_lines: bool) -> Item:
        """Return an object that may go on over any number of lines."""
        window = self._window
        outcome, length = scan(window, limit=self._limit)
        if outcome is Scan.DONE:
            return self._complete(length)
        newline = window.data.find(b"\n", window.pos, window.pos + self._limit + 1)
        if outcome is Scan.LARGE:
            return self._pieces.skip_to(b"\n" if newline < 0 else _start_like(indentation), self._pieces.too_large())
        # A first line that ends like this goes on in the next; any other is a broken line of its own.
        goes_on = newline >= 0 and window.data[window.pos : newline].rstrip().endswith((b"{", b"[", b",", b":"))
        if outcome is Scan.ENDED and (newline < 0 or (goes_on and not among_lines)):
            return self._pieces.skip_to(None, self._pieces.cut())
        if outcome is not Scan.ENDED and goes_on and window.pos + length > newline:
            return self._pieces.skip_to(_start_like(indentation), _no_end(outcome, length), beyond=length)
        return self._bad_line()

    def _complete(self, length: int) -> Item:
        """Return the object of that length at the window's place, if nothing foreign follows on its line."""
        window = self._window
        while (after := self._after(length)) == len(window.data) and window.more():
            pass
        ends_line = after == len(window.data) or window.data[after] == _NEWLINE
        if not ends_line and window.data[after] != _OPEN_OBJECT:
            return self._bad_line()
        end = window.pos + length
        self._by_line = ends_line and b"\n" not in window.data[window.pos : end]
        return self._pieces.item(end)

    def _after(self, length: int) -> int:
        """Return the index of what follows on the same line."""
        end: int = _SPACE.match(self._window.data, self._window.pos + length).end()  # type: ignore[union-attr]
        return end

    def _starts_list(self) -> bool:
        """Say whether the bracket at the window's place opens a list of records, not one bad line."""
        window = self._window
        if self._by_line and self._pieces.recognised:
            return False
        while len(window.data) - window.pos < _HEAD_BYTES and window.more():
            pass
        return _LIST_OF_OBJECTS.match(window.data, window.pos) is not None

    def _starts_table(self) -> bool:
        """Say whether the line at the window's place is the first of a Zeek log's header."""
        window = self._window
        while len(window.data) - window.pos < HEAD_BYTES and window.more():
            pass
        return STARTS.match(window.data, window.pos) is not None

    def _list(self) -> Generator[Item, None, bool]:
        """Read records up to the closing bracket; give back whether there was one."""
        window = self._window
        while (gap := self._skip(_SEPARATOR)) is not None:
            first = window.data[window.pos]
            if first == _END_LIST:
                window.advance(window.pos + 1)
                return True
            if first not in (_OPEN_OBJECT, _OPEN_LIST):
                yield self._scalar()
                continue
            outcome, length = scan(window, limit=self._limit)
            if outcome is Scan.DONE:
                yield self._pieces.item(window.pos + length)
                continue
            if outcome is Scan.ENDED:
                yield self._pieces.skip_to(None, self._pieces.cut())
                return False
            fault = self._pieces.too_large() if outcome is Scan.LARGE else _no_end(outcome, length)
            indentation = _indentation(gap, window)
            if indentation is None:
                more = "; where the next record starts cannot be told, so the rest of the file was not read"
                yield self._pieces.skip_to(None, fault._replace(message=fault.message + more))
                return False
            yield self._pieces.skip_to(_start_like(indentation), fault, beyond=length)
        yield self._pieces.reject(window.pos, self._pieces.cut("the list is not closed; the file may be cut"))
        return False

    def _rest_of_envelope(self) -> Iterator[Item]:
        """Pass over what follows the list: links to further pages, up to the closing brace."""
        window = self._window
        outcome, length = scan(window, limit=self._limit, inside=b"{")
        self._by_line = False
        if outcome is Scan.DONE:
            window.advance(window.pos + length)
        elif outcome is Scan.ENDED:
            yield self._pieces.skip_to(
                None, self._pieces.cut("the object around the list is not closed; the file may be cut")
            )
        else:
            yield self._bad_line()

    def _scalar(self) -> Item:
        """Return the rejected number, string or rubbish at the window's place in a list."""
        window = self._window
        if window.data.find(b",", window.pos) < 0:
            window.more()
        end: int = _SCALAR.match(window.data, window.pos).end()  # type: ignore[union-attr]  # it starts with such a byte
        return self._pieces.item(window.pos + len(window.data[window.pos : end].rstrip()))

    def _bad_line(self) -> Item:
        end = self._line_end()
        if end < 0 or end - self._window.pos > self._limit:
            return self._pieces.skip_to(b"\n", self._pieces.too_large())
        return self._pieces.item(end)


def _no_end(outcome: Scan, length: int) -> Fault:
    if outcome is Scan.DEEP:
        return too_deep()
    return Fault("invalid_json", "not JSON: the brackets or quotes do not match", length)


def _may_be_envelope(document: dict[str, Any]) -> bool:
    return not _LISTS.isdisjoint(document)


def _indentation(gap: bytes, window: Window) -> bytes | None:
    """Return the blanks before the text at the window's place if it starts a line, else `None`.

    Args:
        gap: What was skipped just before.
        window: At the start of the text.
    """
    line_end = gap.rfind(b"\n")
    if line_end < 0 and window.offset(window.pos - len(gap)) > 0:
        return None
    return gap[line_end + 1 :].removeprefix(b"\xef\xbb\xbf")


def _start_like(indentation: bytes | None) -> bytes:
    """Return what stands before the next record if it is indented like this one."""
    return b"\n" + (indentation or b"") + b"{"
