"""A program of its own: decodes chunks of a Windows event log from standard input.

`event_log` starts it with the folder to find the library `evtx` in. It reads chunks of 64 KiB. For each it
writes what the library says of its records, in order, then `END`; every piece is `HEAD` (kind, length)
and so many bytes. It exists because a chunk can be made that the library unpacks until memory is full
(templates that repeat what is nested in them) or that ends the process: this one may die, and must not
live long with one chunk. It imports nothing of Aurora, so that it starts in some 30 ms.
"""

from __future__ import annotations

import gc
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evtx import PyEvtxParser

HEAD = struct.Struct("<cI")
RECORD, FAULT, LARGE, END = b"R", b"F", b"L", b"E"
"""A record as JSON; why a record cannot be read; the size of one that is too large; the end of the chunk."""

FILE_HEADER_BYTES = 4096
CHUNK_BYTES = 65_536

_MEMORY_BYTES = 256 << 20  # a good chunk needs some 10 MiB; Python itself reserves 30 MiB
_SECONDS = 20  # a good chunk takes a millisecond; this is for a machine that is very busy
_RECORD_HEADER_BYTES = 24
_CHUNK_HEADER_BYTES = 512
_MOST_RECORDS = (CHUNK_BYTES - _CHUNK_HEADER_BYTES) // _RECORD_HEADER_BYTES


def main(folder: str, max_record_bytes: int) -> None:
    """Answer every chunk of standard input."""
    _limit_memory()
    sys.path.insert(0, folder)
    from evtx import PyEvtxParser  # noqa: PLC0415 - found in the folder that was just told

    gc.disable()  # nothing here makes cycles, and looking for them costs a fifth
    source, target = sys.stdin.buffer, sys.stdout.buffer
    set_alarm = _alarm()
    while len(chunk := source.read(CHUNK_BYTES)) == CHUNK_BYTES:
        set_alarm(_SECONDS)
        for kind, text in _answers(chunk, PyEvtxParser):
            if len(text) > max_record_bytes:
                kind, text = LARGE, b"%d" % len(text)  # noqa: PLW2901 - what is said instead
            target.write(HEAD.pack(kind, len(text)))
            target.write(text)
        target.write(HEAD.pack(END, 0))
        target.flush()
        set_alarm(0)


def _answers(chunk: bytes, parser: type[PyEvtxParser]) -> Iterator[tuple[bytes, bytes]]:
    from io import BytesIO  # noqa: PLC0415 - loaded anyway; keeps the names of the module to the protocol

    try:
        records = parser(BytesIO(file_header() + chunk), 1).records_json()
    except RuntimeError as fault:
        yield FAULT, str(fault).encode()
        return
    for _ in range(_MOST_RECORDS):
        try:
            record = next(records)
        except StopIteration:
            return
        except RuntimeError as fault:
            yield FAULT, str(fault).encode()
            continue
        if record is not None:
            yield RECORD, record["data"].encode("utf-8", "replace")


def file_header() -> bytes:
    """Return the header of a log of one chunk: the file's own may be damaged, and says nothing of the chunk."""
    from zlib import crc32  # noqa: PLC0415 - as above

    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, 0, 1, 128, 1, 3, FILE_HEADER_BYTES, 1).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, crc32(head))).ljust(FILE_HEADER_BYTES, b"\0")


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # a system without such limits
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _alarm() -> Callable[[int], object]:
    """Return what ends this process after so many seconds, the library's own loops included; 0 takes it back."""
    import signal  # noqa: PLC0415 - as above

    return getattr(signal, "alarm", lambda _: 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
