"""A piece of the text becomes a record or a rejected record, with place, size and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aurora.ingest.reading.parsing import parse
from aurora.ingest.reading.records import KEPT_BYTES, Fault, Item, RawRecord, RejectedRecord

if TYPE_CHECKING:
    from aurora.ingest.reading.window import Window


class _Start(NamedTuple):
    """Where a rejected piece begins, told before the window slides on."""

    line: int
    offset: int
    place: str  # of the fault, in words; may be empty


class Pieces:
    """Takes piece after piece from the window's place, and moves the window behind it."""

    def __init__(self, window: Window, *, file: str, max_record_bytes: int) -> None:
        self.recognised = False
        """Whether there was a record yet."""
        self._window = window
        self._file = file
        self._limit = max_record_bytes

    def item(self, end: int) -> Item:
        """Return the text up to index `end` as a record, or rejected, and go there."""
        window = self._window
        raw = window.data[window.pos : end]
        parsed = parse(raw)
        if isinstance(parsed, Fault):
            return self.reject(end, parsed)
        self.recognised = True
        line, offset = window.line, window.offset(window.pos)
        record = RawRecord(self._file, line, offset, window.key(end), raw, parsed)
        window.advance(end)
        return record

    def reject(self, end: int, fault: Fault) -> RejectedRecord:
        """Return the text up to index `end` as rejected, and go there."""
        window = self._window
        start = self._start(fault)
        raw = window.data[window.pos : min(end, window.pos + KEPT_BYTES)]
        return self._rejected(raw, start, end, fault)

    def skip_to(self, marker: bytes | None, fault: Fault, *, beyond: int = 0) -> RejectedRecord:
        """Reject everything before the next `marker`, or to the end of the file, in bounded memory.

        Args:
            marker: Stands before the next record.
            fault: What is wrong with the one that starts here.
            beyond: Bytes from here in which not even to look for the marker.
        """
        window = self._window
        while len(window.data) - window.pos < KEPT_BYTES and window.more():
            pass
        start = self._start(fault)
        raw = window.data[window.pos : window.pos + KEPT_BYTES]
        overlap = len(marker) - 1 if marker else 0  # the marker may lie across two blocks
        end = window.data.find(marker, window.pos + max(0, beyond - overlap)) if marker else -1
        if end >= 0:
            raw = raw[: end - window.pos]
        while end < 0:
            window.advance(max(window.pos, len(window.data) - overlap))
            if not window.more():
                end = len(window.data)
            elif marker:
                end = window.data.find(marker, window.pos)
        return self._rejected(raw, start, end, fault)

    def _rejected(self, raw: bytes, start: _Start, end: int, fault: Fault) -> RejectedRecord:
        window = self._window
        if fault is window.fault:
            window.fault = None  # told once
        key = window.key(end)
        size = window.offset(end) - start.offset
        window.advance(end)
        reason, message = fault.reason, fault.message
        if reason == "record_too_large":
            message = message.replace("the record is", f"the record of {size} bytes is", 1)
        elif reason == "invalid_utf8" and window.transcoded:
            reason, message = "invalid_utf16", "invalid UTF-16 (half of a surrogate pair)"
        return RejectedRecord(self._file, start.line, start.offset, key, raw, size, reason, message + start.place)

    def _start(self, fault: Fault) -> _Start:
        window = self._window
        place = "" if fault.at is None else f" at byte {window.offset(window.pos + fault.at)}"
        return _Start(window.line, window.offset(window.pos), place)

    def cut(self, message: str = "the record is not complete; the file may be cut or still be written") -> Fault:
        """Return why the text ended too early."""
        return self._window.fault or Fault("truncated", message)

    def too_large(self) -> Fault:
        """Return the fault of a record beyond the limit."""
        return Fault("record_too_large", f"the record is larger than {self._limit} bytes")
