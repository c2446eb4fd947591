"""Which text a file holds: UTF-8, UTF-16 (read as UTF-8), or none at all."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from aurora.kernel.errors import RecordRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SNIFFED_BYTES = 64 * 1024
"""How much of the content is looked at to tell text from binary."""

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_CONTROL = bytes(n for n in range(32) if n not in b"\t\n\f\r\x1b\x1e")
_MAX_CONTROL_SHARE = 0.05  # compressed or machine code has 10 %, text with a few stray bytes far less
_KNOWN = (
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "a Parquet file; export it as JSON lines"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture; run Suricata over it and give its eve.json"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture; run Suricata over it and give its eve.json"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture; run Suricata over it and give its eve.json"),
)


def encoding_of(head: bytes) -> str:
    """Return `utf-8`, `utf-16-le` or `utf-16-be`, by the byte order mark; UTF-8 without one."""
    return "utf-8" if head.startswith(_UTF32) else _UTF16.get(head[:2], "utf-8")


def why_binary(head: bytes) -> str | None:
    """Return what the content is if it is no text, else `None`.

    Args:
        head: The first bytes of the decompressed content, up to `SNIFFED_BYTES`.
    """
    for magic, kind in _KNOWN:
        if head.startswith(magic):
            return kind
    if encoding_of(head) != "utf-8":
        return None
    if head.startswith(_UTF32):
        return "UTF-32 text; save it as UTF-8"
    if re.match(rb"\0?[\[{]\0", head):
        return "UTF-16 text without a byte order mark; save it as UTF-8"
    if head.lstrip().startswith((b"{", b"[", b"#separator")):
        return None  # NUL bytes further on are the mark of a crash or a full disk; they cost their lines only
    if b"\0" in head:
        return "binary: it holds NUL bytes"
    stray = len(head) - len(head.translate(None, _CONTROL))
    return "binary: it is full of control characters" if stray > _MAX_CONTROL_SHARE * len(head) else None


def as_utf8(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Transcode block by block; half a surrogate pair stays one, so that only its record is refused.

    Raises:
        RecordRejected: the content ends in the middle of a UTF-16 unit.
    """
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    try:
        rest = decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        message = "the UTF-16 text ends in the middle of a character: the file was cut"
        raise RecordRejected(message, reason="truncated") from None
    if rest:
        yield rest.encode("utf-8", "surrogatepass")


def restorer(encoding: str) -> Callable[[bytes], bytes] | None:
    """Return what turns a piece from `as_utf8` back into the bytes it was; `None` if they are the same.

    Offsets and keys speak of the file's own bytes, and this keeps them exact.
    """
    if encoding == "utf-8":
        return None
    return lambda piece: piece.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass")
