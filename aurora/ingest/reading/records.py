"""What the reader gives: records that could be read, and those that could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Reason = Literal[
    "invalid_json",
    "invalid_utf8",
    "invalid_utf16",
    "not_object",
    "not_a_number",
    "number_out_of_range",
    "duplicate_key",
    "too_deep",
    "truncated",
    "record_too_large",
    "wrong_columns",
    "bad_header",
    "damaged_event",
    "damaged_chunk",
    "empty_file",
    "binary_file",
    "unrecognised_file",
    "truncated_compression",
    "corrupt_compression",
]
"""Stable words for what was wrong. The last five are about the file, the others about one record."""

KEPT_BYTES = 64 * 1024
"""How much of a rejected record is kept: enough to see what it was, small enough for a database row."""


class Fault(NamedTuple):
    """Why a piece of text is no record."""

    reason: Reason
    message: str
    at: int | None = None
    """Byte within the piece where the fault shows, from 0; `None` if it has no single place."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as it was read, with its place and its identity."""

    file: str
    """The path as found, or `-` for standard input; for people, not for opening."""

    line: int
    """Line of the decompressed content where the record starts, from 1; in an event log, the record's number."""

    offset: int
    """Byte of the decompressed content where the record starts, from 0."""

    key: bytes
    """SHA-256 (32 bytes) over the decompressed content from its start to the end of this record.

    The same content at the same place has the same key, whatever the path, the compression
    or what is appended to the file later. In an event log, headers do not count."""

    raw: bytes
    """The record as UTF-8, without blank space around it (transcoded if the file is UTF-16).

    Of a row of a table, the object that it stands for as JSON: a row says little without its header."""

    document: dict[str, Any]
    """The parsed record: no duplicate keys, at most `MAX_DEPTH` levels, integers within 64 bits."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A piece of a file that is no record, or a fault of the file itself (then mostly without `raw`)."""

    file: str
    line: int
    offset: int
    key: bytes
    """As in `RawRecord`, over everything up to the end of the rejected piece."""

    raw: bytes
    """The first `KEPT_BYTES` of the piece at most."""

    size_bytes: int
    """Size of the whole piece in the decompressed content; for a file that was given up
    (`binary_file`, `unrecognised_file`), what is known to be left unread, else 0."""

    reason: str
    """A `Reason`, or that of the format that refused the record."""
    message: str
    """One sentence for people: what was wrong, where, and what follows from it."""


Item = RawRecord | RejectedRecord
