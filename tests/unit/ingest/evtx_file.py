"""Windows event logs of our own making: small valid `.evtx` files, byte for byte as the format asks.

A file is a header of 4 KiB and chunks of 64 KiB. A chunk holds records of binary XML: the first of a
shape defines a template (elements and attributes, with holes), all of that shape fill its holes. All
numbers are little-endian; text is UTF-16. The layout follows Joachim Metz, "Windows XML Event Log (EVTX)".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

HEADER_BYTES = 4096
CHUNK_BYTES = 65_536
CHUNK_HEADER_BYTES = 512

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_FRAGMENT = b"\x0f\x01\x01\x00"
_Node = Callable[[int], bytes]
_STRING, _U16, _U64, _FILETIME, _BINARY_XML = 0x01, 0x06, 0x0A, 0x11, 0x21


@dataclass(frozen=True, kw_only=True)
class Event:
    """What one record tells."""

    event_id: int = 1
    provider: str = "Microsoft-Windows-Sysmon"
    channel: str = "Microsoft-Windows-Sysmon/Operational"
    computer: str = "ws01.example.com"
    time: datetime = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    data: Mapping[str, str] = field(default_factory=dict)


def evtx(events: Iterable[Event]) -> bytes:
    """Return a file of these events, in as many chunks as they need."""
    chunks: list[bytes] = []
    chunk = _Chunk(first=1)
    for number, event in enumerate(events, start=1):
        if not chunk.add(event, number):
            chunks.append(chunk.sealed())
            chunk = _Chunk(first=number)
            if not chunk.add(event, number):
                raise ValueError(f"event {number} does not fit into a chunk")
    chunks.append(chunk.sealed())
    return file_of(chunks)


def file_of(chunks: Sequence[bytes]) -> bytes:
    """Return a file of these chunks."""
    count = len(chunks)
    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, max(0, count - 1), 1, 128, 1, 3, HEADER_BYTES, count)
    head = head.ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(HEADER_BYTES, b"\0") + b"".join(chunks)


def bomb(*, levels: int, fan: int) -> bytes:
    """Return a chunk with one record that holds itself `fan` times on each of `levels` levels."""
    chunk = _Chunk(first=1)
    at = CHUNK_HEADER_BYTES + 24 + len(_FRAGMENT) + 10
    hole = struct.pack("<BHB", 0x0D, 0, _BINARY_XML)
    xml = _FRAGMENT + _element("a", children=(_leaf(hole),) * fan)(at + 24 + len(_FRAGMENT)) + b"\0"
    instance = _FRAGMENT + struct.pack("<BBII", 0x0C, 1, 1, at)
    inner = _FRAGMENT + b"\0"
    for level in range(levels):
        definition = struct.pack("<I16sI", 0, bytes(16), len(xml)) + xml if level == levels - 1 else b""
        inner = instance + definition + struct.pack("<IHBB", 1, len(inner), _BINARY_XML, 0) + inner + b"\0"
    chunk.append(inner, Event(), 1)
    return chunk.sealed()


class _Chunk:
    """Records that follow each other, and the templates that they share."""

    def __init__(self, *, first: int) -> None:
        self._first = self._last = first
        self._records = bytearray()
        self._last_at = CHUNK_HEADER_BYTES
        self._templates: dict[tuple[str, ...], int] = {}

    def add(self, event: Event, number: int) -> bool:
        """Append a record; `False` if there is no room for it."""
        start = CHUNK_HEADER_BYTES + len(self._records)
        shape = tuple(event.data)
        defined = self._templates.get(shape)
        at = start + 24 + len(_FRAGMENT) + 10  # behind the head of the template's instance
        place = at if defined is None else defined
        body = _FRAGMENT + struct.pack("<BBII", 0x0C, 1, 1 + len(self._templates), place)
        if defined is None:
            body += _template(shape, at)
        body += _values(event, number) + b"\0"
        if not self.append(body, event, number):
            return False
        self._templates[shape] = place
        return True

    def append(self, body: bytes, event: Event, number: int) -> bool:
        """Append a record of that binary XML; `False` if there is no room for it."""
        start = CHUNK_HEADER_BYTES + len(self._records)
        size = 24 + len(body) + 4
        size += -size % 8
        if start + size > CHUNK_BYTES:
            return False
        record = struct.pack("<4sIQQ", b"**\0\0", size, number, _ticks(event)) + body
        self._records += record.ljust(size - 4, b"\0") + struct.pack("<I", size)
        self._last, self._last_at = number, start
        return True

    def sealed(self) -> bytes:
        """Return the chunk with its check sums, filled up to its full size."""
        free = CHUNK_HEADER_BYTES + len(self._records)
        numbers = self._first, self._last, self._first, self._last
        head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", *numbers, 128, self._last_at, free, zlib.crc32(self._records))
        head = head.ljust(120, b"\0")
        tables = bytes(CHUNK_HEADER_BYTES - 128)
        head += struct.pack("<II", 0, zlib.crc32(head + tables)) + tables
        return (head + self._records).ljust(CHUNK_BYTES, b"\0")


def _template(shape: tuple[str, ...], at: int) -> bytes:
    """Return the definition of a template that stands at `at` in its chunk."""
    system = (
        _element("Provider", attributes=(("Name", _hole(0, _STRING)),)),
        _element("EventID", children=(_leaf(_hole(1, _U16)),)),
        _element("TimeCreated", attributes=(("SystemTime", _hole(2, _FILETIME)),)),
        _element("EventRecordID", children=(_leaf(_hole(3, _U64)),)),
        _element("Channel", children=(_leaf(_hole(4, _STRING)),)),
        _element("Computer", children=(_leaf(_hole(5, _STRING)),)),
    )
    data = tuple(
        _element("Data", attributes=(("Name", _text(name)),), children=(_leaf(_hole(hole, _STRING)),))
        for hole, name in enumerate(shape, start=6)
    )
    parts = _element("System", children=system), _element("EventData", children=data)
    body = _FRAGMENT + _element("Event", children=parts)(at + 24 + len(_FRAGMENT)) + b"\0"
    return struct.pack("<I16sI", 0, bytes(range(16)), len(body)) + body


def _values(event: Event, number: int) -> bytes:
    """Return what fills the holes of the template, in their order."""
    texts = event.channel, event.computer, *event.data.values()
    values = [
        (_STRING, event.provider.encode("utf-16-le")),
        (_U16, struct.pack("<H", event.event_id)),
        (_FILETIME, struct.pack("<Q", _ticks(event))),
        (_U64, struct.pack("<Q", number)),
        *((_STRING, text.encode("utf-16-le")) for text in texts),
    ]
    heads = b"".join(struct.pack("<HBB", len(value), kind, 0) for kind, value in values)
    return struct.pack("<I", len(values)) + heads + b"".join(value for _, value in values)


def _element(name: str, *, attributes: tuple[tuple[str, bytes], ...] = (), children: tuple[_Node, ...] = ()) -> _Node:
    """Return what writes the element, told where in the chunk it stands."""

    def write(at: int) -> bytes:
        out = bytearray(struct.pack("<BHI", 0x41 if attributes else 0x01, 0xFFFF, 0))
        out += _name(at + len(out), name)
        if attributes:
            begin = len(out)
            out += bytes(4)
            for left, (key, value) in zip(range(len(attributes), 0, -1), attributes, strict=True):
                out.append(0x46 if left > 1 else 0x06)
                out += _name(at + len(out), key) + value
            struct.pack_into("<I", out, begin, len(out) - begin - 4)
        out.append(0x02)
        for child in children:
            out += child(at + len(out))
        out.append(0x04)
        struct.pack_into("<I", out, 3, len(out) - 7)
        return bytes(out)

    return write


def _leaf(written: bytes) -> _Node:
    """Return what writes the same wherever it stands."""
    return lambda _: written


def _name(at: int, text: str) -> bytes:
    """Return a name that is defined where it is used, at `at`."""
    digest = 0
    for unit in text.encode("utf-16-le")[::2]:
        digest = (digest * 65_599 + unit) & 0xFFFF
    return struct.pack("<IIHH", at + 4, 0, digest, len(text)) + text.encode("utf-16-le") + b"\0\0"


def _hole(number: int, kind: int) -> bytes:
    return struct.pack("<BHB", 0x0D, number, kind)


def _text(text: str) -> bytes:
    return struct.pack("<BBH", 0x05, _STRING, len(text)) + text.encode("utf-16-le")


def _ticks(event: Event) -> int:
    """Return the time in units of 100 ns since 1601."""
    return (event.time - _EPOCH) // timedelta(microseconds=1) * 10
