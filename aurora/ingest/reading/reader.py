"""The entry: one source becomes its records, in order, with everything accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.ingest.reading.decompress import content, is_compressed
from aurora.ingest.reading.encoding import SNIFFED_BYTES, as_utf8, encoding_of, restorer, why_binary
from aurora.ingest.reading.event_log import MAGIC, EventLog
from aurora.ingest.reading.records import Item, RawRecord, Reason, RejectedRecord
from aurora.ingest.reading.splitting import Splitter
from aurora.ingest.reading.window import Window
from aurora.kernel.errors import RecordRejected, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from aurora.ingest.reading.sources import Source

MAX_RECORD_BYTES = 16 << 20
"""Larger records are skipped: the largest real alerts, with all their evidence, have some 2 MiB."""

_UNRECOGNISED_LIMIT = 100  # no log writes that many lines before its first record
_NO_OBJECT: frozenset[Reason] = frozenset({"invalid_json", "invalid_utf8", "invalid_utf16", "not_object", "too_deep"})


def read(
    source: Source, *, max_record_bytes: int = MAX_RECORD_BYTES, on_progress: Callable[[int], None] | None = None
) -> Iterator[Item]:
    """Yield every record of `source`, and a rejected one for every piece that is none.

    JSON lines, objects over several lines, one list of objects (bare or in an envelope), in
    UTF-8 or UTF-16, plain or compressed; or a Windows event log. Memory is bounded by a few times `max_record_bytes`,
    whatever the size of the file. An empty file gives one rejected record `empty_file`, one
    that is no text `binary_file`. If the first 100 pieces are no objects, the file is given
    up with `unrecognised_file`, whose message says how much was left unread.

    Args:
        source: From `discover`.
        max_record_bytes: Larger records are passed over without holding them in memory.
        on_progress: Called with the number of *stored* (compressed) bytes read since the last
            call; over the whole of a file they add up to `source.size_bytes`.

    Raises:
        SourceUnreadable: the file cannot be opened, or the system fails to read on.
    """
    with source.open() as stream:
        stored = _Stored(stream, source, on_progress)
        yield from _records(source.name, stored, max_record_bytes)
        stored.finish()


def _records(name: str, stored: _Stored, max_record_bytes: int) -> Iterator[Item]:
    head, texts = _open(stored)
    if head.startswith(MAGIC):
        yield from EventLog(texts, file=name, max_record_bytes=max_record_bytes).items()
        return
    encoding = encoding_of(head)
    window = Window(texts if encoding == "utf-8" else as_utf8(texts, encoding), restore=restorer(encoding))
    why = why_binary(head[:SNIFFED_BYTES])
    if why is not None:
        window.more()
        yield _given_up(name, window, "binary_file", f"the file is {why}", stored)
        return
    found = 0
    items = Splitter(window, file=name, max_record_bytes=max_record_bytes).items()
    for found, item in enumerate(items, start=1):
        yield item
        if isinstance(item, RawRecord) or item.reason not in _NO_OBJECT:
            break
        if found == _UNRECOGNISED_LIMIT:
            message = f"none of the first {found} pieces of the file is a JSON object"
            yield _given_up(name, window, "unrecognised_file", message, stored)
            return
    yield from items
    if not found:
        offset = window.offset(window.pos)
        message = "the file holds no record, only blank space or an empty list" if offset else "the file is empty"
        yield RejectedRecord(name, window.line, offset, window.key(window.pos), b"", 0, "empty_file", message)


def _open(stored: _Stored) -> tuple[bytes, Iterator[bytes]]:
    """Return what the content starts with, enough to tell what it is, and the content from its start."""
    blocks = content(stored.read)
    head, failure = b"", None
    try:
        while len(head) < SNIFFED_BYTES and (block := next(blocks, b"")):
            head += block
    except RecordRejected as cut:
        failure = cut
    return head, _replay(head, failure, blocks)


def _replay(head: bytes, failure: RecordRejected | None, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    if failure is not None:
        raise failure
    yield from blocks


def _given_up(name: str, window: Window, reason: Reason, message: str, stored: _Stored) -> RejectedRecord:
    """Return the notice for the rest of a file. Its key covers what was looked at."""
    line, offset, start = window.line, window.offset(window.pos), window.pos
    end = min(len(window.data), SNIFFED_BYTES) if reason == "binary_file" else start
    unread = stored.unread(offset)
    rest = "the rest of the input was" if unread is None else f"{unread} bytes of the file were"
    return RejectedRecord(
        name, line, offset, window.key(end), window.data[start:end], unread or 0, reason, f"{message}; {rest} not read"
    )


class _Stored:
    """The stored bytes of a source, counted."""

    def __init__(self, stream: BinaryIO, source: Source, on_progress: Callable[[int], None] | None) -> None:
        self._stream = stream
        self._source = source
        self._on_progress = on_progress
        self._count = 0
        self._compressed = False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes.

        Raises:
            SourceUnreadable: the system failed to read on.
        """
        try:
            block = self._stream.read(size)
        except OSError as error:
            name, why = self._source.name, (error.strerror or "input/output error").lower()
            message = f"{name!r} stopped being readable after {self._count} bytes: {why}"
            raise SourceUnreadable(message, path=name) from error
        if not self._count:
            self._compressed = is_compressed(block)
        self._count += len(block)
        if self._on_progress and block:
            self._on_progress(len(block))
        return block

    def unread(self, offset: int) -> int | None:
        """Return how many stored bytes lie after that place of the content; `None` if nobody knows.

        In a compressed file, those not even unpacked.
        """
        size = self._source.size_bytes
        if size is None:
            return None
        return max(0, size - (self._count if self._compressed else offset))

    def finish(self) -> None:
        """Report what was left unread as done, so that progress over several files adds up."""
        left = (self._source.size_bytes or 0) - self._count
        if self._on_progress and left > 0:
            self._on_progress(left)
