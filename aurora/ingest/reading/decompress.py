"""The content of a file as blocks of bytes, decompressed if it is gzip or xz; told by magic bytes."""

from __future__ import annotations

import lzma
import zlib
from typing import TYPE_CHECKING

from aurora.kernel.errors import RecordRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

BLOCK_BYTES = 1 << 20
"""Size of the blocks handed on: large enough that work per block does not show."""

_STORED_BYTES = 1 << 18  # read at a time from a compressed file: about one block of JSON when unpacked
_XZ_STEP_BYTES = 256  # an xz decoder that fails loses what the failing call unpacked; small steps lose little
_XZ_MEMORY_BYTES = 128 << 20  # `xz -9` needs 65 MiB; a forged header could ask for 4 GiB
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"


def content(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the decompressed content in blocks of about `BLOCK_BYTES`, never much larger.

    Several members in one file (as `cat a.gz b.gz` makes) and zero padding are read on.

    Args:
        read: Gives up to that many stored bytes; empty at the end.

    Raises:
        RecordRejected: `truncated_compression` or `corrupt_compression`, after all that could
            be unpacked was given. Nothing after this place can be read.
    """
    head = read(_STORED_BYTES)
    if head.startswith(_GZIP):
        yield from _gather(_gunzip(_stored(head, read)))
    elif head.startswith(_XZ):
        yield from _gather(_unxz(_stored(head, read)))
    else:
        while head:
            yield head
            head = read(BLOCK_BYTES)


def is_compressed(head: bytes) -> bool:
    """Say whether a file that starts like this is unpacked by `content`."""
    return head.startswith((_GZIP, _XZ))


def _stored(head: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    while head:
        yield head
        head = read(_STORED_BYTES)


def _gather(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces to blocks; what came before a failure is given before it is raised."""
    parts: list[bytes] = []
    size = 0
    failure: RecordRejected | None = None
    try:
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except RecordRejected as rejected:
        failure = rejected
    if size:
        yield b"".join(parts)
    if failure is not None:
        raise failure


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    fresh = False  # between two members
    stored, waiting = 0, b""
    for chunk in chunks:
        stored += len(chunk)
        waiting += chunk
        while waiting:
            if fresh:
                waiting = _next_member(waiting, _GZIP, "gzip", stored)
                if len(waiting) < len(_GZIP):
                    break
                decoder, fresh = zlib.decompressobj(wbits=31), False
            before = decoder.copy()
            try:
                unpacked = decoder.decompress(waiting, BLOCK_BYTES)
            except zlib.error as error:
                good = yield from _salvage(before, waiting)
                raise _corrupt("gzip", stored - len(waiting) + good, _why(error)) from None
            waiting = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            fresh = decoder.eof
            if unpacked:
                yield unpacked
    if not fresh:
        yield decoder.flush()
    if waiting or not fresh:
        raise _truncated("gzip", stored)


def _next_member(waiting: bytes, magic: bytes, kind: str, stored: int) -> bytes:
    """Return what waits without the padding before it, if that may be another member."""
    waiting = waiting.lstrip(b"\0")
    if not magic.startswith(waiting[: len(magic)]):
        raise _corrupt(kind, stored - len(waiting), "something else follows")
    return waiting


def _salvage(decoder: zlib._Decompress, waiting: bytes) -> Generator[bytes, None, int]:
    """Give what unpacks before the damage, byte by byte, and return how many bytes were good.

    The call that fails drops all it had unpacked, which can be a whole block of records.
    """
    for n in range(len(waiting)):
        try:
            unpacked = decoder.decompress(waiting[n : n + 1])
        except zlib.error:
            return n
        if unpacked:
            yield unpacked
    return len(waiting)


def _unxz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
    fresh = False
    stored, waiting = 0, b""
    for chunk in chunks:
        stored += len(chunk)
        waiting += chunk
        at = 0
        while at < len(waiting):
            if fresh:
                waiting, at = _next_member(waiting[at:], _XZ, "xz", stored), 0
                if len(waiting) < len(_XZ):
                    break
                decoder, fresh = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES), False
            step = waiting[at : at + _XZ_STEP_BYTES]
            at += len(step)
            try:
                yield decoder.decompress(step, BLOCK_BYTES)
                while not (decoder.needs_input or decoder.eof):
                    yield decoder.decompress(b"", BLOCK_BYTES)
            except lzma.LZMAError as error:
                raise _corrupt("xz", stored - len(waiting) + at - len(step), _why(error)) from None
            if decoder.eof:
                at -= len(decoder.unused_data)
                fresh = True
        else:
            waiting = b""
    if waiting or not fresh:
        raise _truncated("xz", stored)


def _why(error: Exception) -> str:
    text = str(error)
    if "incorrect data check" in text or "incorrect length check" in text:
        return "the check sum does not match, so records before this place may be damaged too"
    if "Memory usage limit" in text:
        return f"it asks for more than {_XZ_MEMORY_BYTES >> 20} MiB of memory"
    return "the data is damaged"


def _corrupt(kind: str, at: int, why: str) -> RecordRejected:
    message = f"the {kind} data breaks off near byte {at} of the compressed file: {why}; the rest was not read"
    return RecordRejected(message, reason="corrupt_compression")


def _truncated(kind: str, size: int) -> RecordRejected:
    message = f"the {kind} data ends too early, after {size} compressed bytes: the file was cut"
    return RecordRejected(message, reason="truncated_compression")
