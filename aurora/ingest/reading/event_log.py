"""Windows event logs (`.evtx`): each event becomes a record, as the JSON that `evtx_dump` writes.

The file is a header and chunks of 64 KiB; a chunk holds whole records and all that they need. So the log
is read chunk by chunk from any stream, and damage costs one record, or one chunk where its start is gone.
Check sums are not asked: those of a log that was copied while Windows wrote to it never match.

The key of a record is the SHA-256 over the mark of such files and all records up to its end. Headers are
left out: Windows rewrites them as a log grows, and the records of one that has grown must be known again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import pairwise

from aurora.ingest.reading.event_log_decoder import CHUNK_BYTES, FAULT, FILE_HEADER_BYTES, LARGE
from aurora.ingest.reading.event_log_process import Decoder, DecoderDied
from aurora.ingest.reading.parsing import parse
from aurora.ingest.reading.records import KEPT_BYTES, Fault, Item, RawRecord, Reason, RejectedRecord
from aurora.kernel.errors import RecordRejected
from aurora.kernel.untrusted import clean

MAGIC = b"ElfFile\0"

_CHUNK_MAGIC = b"ElfChnk\0"
_CHUNK_HEADER_BYTES = 512
_LAST_ID_AT, _FREE_AT = 32, 48
_TABLES = slice(128, _CHUNK_HEADER_BYTES)
"""Where a chunk lists its strings and templates: an index only, and a damaged one leads in circles for ever."""
_RECORD = struct.Struct("<4sIQ")
_RECORD_MAGIC = b"**\0\0"
_RECORD_BYTES = range(28, CHUNK_BYTES)
_SHOWN = 200
_MOST_DEATHS = 3
"""Chunks that may cost the decoder its life before the file is given up: each may take its 20 s."""


class EventLog:
    """Reads one event log to its end; `items` may be called once.

    In what it gives, `line` is the number of the record in the file, from 1.
    """

    def __init__(
        self, blocks: Iterator[bytes], *, file: str, max_record_bytes: int, decoder: Decoder | None = None
    ) -> None:
        """Start before the first block of the file, which begins with `MAGIC`."""
        self._decoder = decoder or Decoder(max_record_bytes=max_record_bytes)
        self._blocks = blocks
        self._file = file
        self._limit = max_record_bytes
        self._hash = hashlib.sha256(MAGIC)
        self._number = 1
        self._offset = 0
        """Place in the file of what the hash has next."""
        self._deaths = 0
        self._was_cut = False
        self._waiting = bytearray()
        self._fault: RecordRejected | None = None

    def items(self) -> Iterator[Item]:
        """Yield the events in the order of the file, and a rejected record for every piece that is none."""
        header = self._read(FILE_HEADER_BYTES)
        start, chunks = len(header), 0
        with self._decoder:
            while chunk := self._read(CHUNK_BYTES):
                self._offset = start
                yield from self._chunk(chunk)
                start, chunks = start + len(chunk), chunks + (len(chunk) == CHUNK_BYTES)
                if self._deaths == _MOST_DEATHS:
                    message = "the event log is made so that decoding it does not end; the rest was not read"
                    yield self._rejected(b"", "damaged_chunk", message)
                    return
        self._offset = start
        yield from self._close(header, chunks)

    def _close(self, header: bytes, chunks: int) -> Iterator[Item]:
        """Say what is wrong with the file as a whole."""
        promised: int = struct.unpack_from("<H", header, 42)[0] if len(header) == FILE_HEADER_BYTES else 1
        if self._fault is not None:
            yield self._rejected(b"", self._fault.reason, self._fault.message)
        elif chunks < promised and not self._was_cut:
            message = (
                f"the event log holds {chunks} whole chunks of the {promised} that its header tells of; it was cut"
            )
            yield self._rejected(b"", "truncated", message)
        elif self._number == 1:
            yield self._rejected(b"", "empty_file", "the event log holds no event")

    def _read(self, size: int) -> bytes:
        """Return the next `size` bytes of the file, fewer at its end."""
        try:
            while len(self._waiting) < size:
                self._waiting += next(self._blocks)
        except StopIteration:
            pass
        except RecordRejected as cut:
            self._fault = cut
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def _chunk(self, chunk: bytes) -> Iterator[Item]:
        if not chunk.startswith(_CHUNK_MAGIC) or len(chunk) < _CHUNK_HEADER_BYTES:
            if chunk.strip(b"\0"):  # else it waits for its first use
                message = "a chunk of the event log does not start like one; it was not read"
                yield self._rejected(chunk, "damaged_chunk", message)
            return
        places, free = _places(chunk)
        self._offset += _CHUNK_HEADER_BYTES
        answers = self._decoder.answers(_for_decoder(chunk, places))
        place = _CHUNK_HEADER_BYTES
        try:
            for place, end in pairwise(places):
                kind, text = next(answers, (FAULT, b"nothing is known of it"))
                yield self._item(chunk[place:end], kind, text)
            for _ in answers:
                pass  # the decoder wants to be heard out
        except DecoderDied:
            self._deaths += 1
            message = "decoding an event took too much memory or time; it and the rest of its chunk were not read"
            yield self._rejected(chunk[place : places[-1]], "damaged_chunk", message)
        if (rest := chunk[places[-1] : free]).strip(b"\0"):
            self._was_cut = len(chunk) < CHUNK_BYTES
            reason: Reason = "truncated" if self._was_cut else "damaged_chunk"
            yield self._rejected(rest, reason, "what follows the last whole event of a chunk is no event")

    def _item(self, raw: bytes, kind: bytes, text: bytes) -> Item:
        if kind == FAULT:
            shown = clean(text.decode("utf-8", "replace"))[:_SHOWN]
            return self._rejected(raw, "damaged_event", f"the event cannot be decoded: {shown}")
        if kind == LARGE:
            size = text.decode()
            message = f"the record of {size} bytes is larger than {self._limit} bytes"
            return self._rejected(raw, "record_too_large", message)
        document = parse(text)
        if isinstance(document, Fault):
            return self._rejected(raw, document.reason, document.message)
        number, offset = self._number, self._offset
        return RawRecord(self._file, number, offset, self._key(raw), text, document)

    def _rejected(self, piece: bytes, reason: str, message: str) -> RejectedRecord:
        number, offset = self._number, self._offset
        key = self._key(piece or reason.encode())  # of a fault of the file, the reason makes the key its own
        return RejectedRecord(self._file, number, offset, key, piece[:KEPT_BYTES], len(piece), reason, message)

    def _key(self, piece: bytes) -> bytes:
        """Take a piece into the hash and go behind it."""
        self._hash.update(piece)
        self._number += 1
        self._offset += len(piece)
        return self._hash.copy().digest()


def _places(chunk: bytes) -> tuple[list[int], int]:
    """Return where each record starts and, last, where the last one ends; and where the chunk's data end.

    A record whose frame is damaged reaches up to the next that is whole. Beyond the end that the header
    tells (Windows writes it late) a record counts if its number follows that of the one before.
    """
    free: int = struct.unpack_from("<I", chunk, _FREE_AT)[0]
    if not _CHUNK_HEADER_BYTES < free <= len(chunk):
        free = len(chunk)
    places, number = [_CHUNK_HEADER_BYTES], -1
    while (at := places[-1]) < len(chunk):
        size, following = _frame(chunk, at)
        if not size and at < free:
            size, following = _next_whole(chunk, at, free) - at, number + 1
        if size <= 0 or (at >= free and following != number + 1):
            break
        places.append(at + size)
        number = following
    return places, max(free, places[-1])


def _frame(chunk: bytes, at: int) -> tuple[int, int]:
    """Return size and number of the record at that place; size 0 if there is none."""
    if at + _RECORD.size > len(chunk):
        return 0, -1
    magic, size, number = _RECORD.unpack_from(chunk, at)
    is_whole = magic == _RECORD_MAGIC and size in _RECORD_BYTES and at + size <= len(chunk)
    return (size, number) if is_whole else (0, -1)


def _next_whole(chunk: bytes, after: int, free: int) -> int:
    """Return where the next whole record starts, at least one record's size further on; 0 if there is none."""
    at = after + _RECORD_BYTES.start
    while (at := chunk.find(_RECORD_MAGIC, at, free)) >= 0:
        size, _ = _frame(chunk, at)
        # A record repeats its size at its end: by chance, text does not.
        if size and chunk[at + 4 : at + 8] == chunk[at + size - 4 : at + size]:
            return at
        at += 1
    return 0


def _for_decoder(chunk: bytes, places: list[int]) -> bytes:
    """Return a whole chunk with just these records: no index, and a frame around what has none."""
    mended = bytearray(chunk.ljust(CHUNK_BYTES, b"\0"))
    mended[_TABLES] = bytes(_TABLES.stop - _TABLES.start)
    struct.pack_into("<Q", mended, _LAST_ID_AT, (1 << 64) - 1)  # the decoder would stop at a record of that number
    struct.pack_into("<I", mended, _FREE_AT, places[-1])
    for begin, end in pairwise(places):
        if not _frame(chunk, begin)[0]:
            struct.pack_into("<4sI", mended, begin, _RECORD_MAGIC, end - begin)
    return bytes(mended)
