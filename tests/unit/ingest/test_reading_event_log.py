"""Windows event logs: whole, grown, cut, damaged and hostile."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
from collections import Counter
from collections.abc import Callable, Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import Item, RawRecord, RejectedRecord, Source, read
from aurora.ingest.reading.event_log import EventLog
from aurora.ingest.reading.event_log_process import Decoder, DecoderDied
from tests.unit.ingest.alert_fixtures import ALERT_ID
from tests.unit.ingest.evtx_file import CHUNK_BYTES, CHUNK_HEADER_BYTES, HEADER_BYTES, Event, bomb, evtx, file_of

FIRST = HEADER_BYTES + CHUNK_HEADER_BYTES
"""Where the first record of a file starts."""
SMALLEST = 100
"""No event of these logs has fewer bytes."""


def _events(count: int) -> list[Event]:
    return [Event(event_id=number % 20, data={"Image": "C:\\lab.exe", "n": str(number)}) for number in range(count)]


ONE_CHUNK = evtx(_events(12))
THREE_CHUNKS = evtx(_events(500))


def _read(content: bytes, *, limit: int = 1 << 20) -> list[Item]:
    return list(read(Source(name="f", size_bytes=len(content), stream=io.BytesIO(content)), max_record_bytes=limit))


def _records(items: list[Item]) -> list[RawRecord]:
    return [item for item in items if isinstance(item, RawRecord)]


def _rejects(items: list[Item]) -> list[RejectedRecord]:
    return [item for item in items if isinstance(item, RejectedRecord)]


def _numbers(items: list[Item]) -> list[str]:
    return [record.document["Event"]["EventData"]["n"] for record in _records(items)]


def _with(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def _start_of(content: bytes, number: int) -> int:
    """Return where the record of that number (from 0) starts."""
    return next(record.offset for record in _records(_read(content)) if record.line == number + 1)


def test_each_event_becomes_a_record_with_its_place() -> None:
    items = _read(THREE_CHUNKS)

    assert len(THREE_CHUNKS) == HEADER_BYTES + 3 * CHUNK_BYTES
    assert _numbers(items) == [str(number) for number in range(500)]
    assert [item.line for item in items] == list(range(1, 501))
    assert len({item.key for item in items}) == 500
    for record in _records(items):
        magic, _, number = struct.unpack_from("<4sIQ", THREE_CHUNKS, record.offset)
        assert (magic, number) == (b"**\0\0", record.document["Event"]["System"]["EventRecordID"])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_compressed_log_gives_the_same_records(pack: Callable[[bytes], bytes]) -> None:
    assert _read(pack(THREE_CHUNKS)) == _read(THREE_CHUNKS)


def test_records_of_a_log_that_has_grown_are_known_again() -> None:
    before, after = _read(evtx(_events(200))), _read(evtx(_events(300)))

    assert [item.key for item in before] == [item.key for item in after[:200]]


def test_the_same_events_in_another_order_are_other_records() -> None:
    forwards, backwards = _read(evtx(_events(3))), _read(evtx(_events(3)[::-1]))

    assert not {item.key for item in forwards} & {item.key for item in backwards}


def test_all_bytes_of_the_file_are_reported_as_read() -> None:
    source = Source(name="f", size_bytes=len(THREE_CHUNKS), stream=io.BytesIO(THREE_CHUNKS))
    told: list[int] = []

    list(read(source, on_progress=told.append))

    assert sum(told) == len(THREE_CHUNKS)


def test_an_event_of_a_log_is_recognised_and_a_detection_is_an_alert() -> None:
    detection = Event(
        event_id=1116,
        provider="Microsoft-Windows-Windows Defender",
        channel="Microsoft-Windows-Windows Defender/Operational",
        data={"Threat Name": "Virus:DOS/Lab_Test", "Threat ID": "2147519003", "Path": "file:_C:\\lab.exe"},
    )

    other, found = (record.document for record in _records(_read(evtx([Event(), detection]))))

    windows = Formats().detect(found)
    assert windows is not None
    assert (windows.id, windows.context(other), windows.context(found)) == ("windows", "sysmon", None)
    assert windows.normalise(found, id=ALERT_ID).rule == "defender/2147519003"


def test_a_damaged_event_costs_itself_only() -> None:
    start = _start_of(ONE_CHUNK, 5)

    items = _read(_with(ONE_CHUNK, start + 30, b"\xff" * 8))

    assert _numbers(items) == [str(number) for number in range(12) if number != 5]
    (reject,) = _rejects(items)
    assert (reject.reason, reject.offset, reject.line) == ("damaged_event", start, 6)
    assert reject.size_bytes == _start_of(ONE_CHUNK, 6) - start == len(reject.raw)


@pytest.mark.parametrize(
    ("at", "new"), [(0, bytes(4)), (4, bytes(4)), (4, struct.pack("<I", 0xFFFFFFF0)), (0, bytes(16))]
)
def test_an_event_of_which_only_the_frame_is_damaged_is_read(at: int, new: bytes) -> None:
    items = _read(_with(ONE_CHUNK, _start_of(ONE_CHUNK, 5) + at, new))

    assert _numbers(items) == [str(number) for number in range(12)]
    assert _rejects(items) == []


def test_a_last_event_without_a_frame_is_rejected() -> None:
    start = _start_of(ONE_CHUNK, 11)

    items = _read(_with(ONE_CHUNK, start, bytes(8)))

    assert len(_numbers(items)) == 11
    assert [(reject.reason, reject.offset) for reject in _rejects(items)] == [("damaged_chunk", start)]


def test_a_chunk_that_does_not_start_like_one_is_rejected_whole_and_the_next_is_read() -> None:
    items = _read(_with(THREE_CHUNKS, HEADER_BYTES + CHUNK_BYTES, b"\xff" * 8))

    (reject,) = _rejects(items)
    assert (reject.reason, reject.offset, reject.size_bytes) == (
        "damaged_chunk",
        HEADER_BYTES + CHUNK_BYTES,
        CHUNK_BYTES,
    )
    numbers = _numbers(items)
    assert (numbers[0], numbers[-1]) == ("0", "499")
    assert len(numbers) == 500 - Counter(record.offset // CHUNK_BYTES for record in _records(_read(THREE_CHUNKS)))[1]


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (8, b"\xff" * 24),
        (24, struct.pack("<QQ", 1, 3)),
        (48, bytes(4)),
        (48, b"\xff" * 4),
        (48, struct.pack("<I", CHUNK_HEADER_BYTES + 1)),
        (52, b"\xff" * 4),
        (124, b"\xff" * 4),
        (128, struct.pack("<I", 196) * 96),
    ],
)
def test_a_stale_or_damaged_header_of_a_chunk_costs_nothing(at: int, new: bytes) -> None:
    items = _read(_with(ONE_CHUNK, HEADER_BYTES + at, new))

    assert _numbers(items) == [str(number) for number in range(12)]
    assert _rejects(items) == []


def test_a_damaged_header_of_the_file_costs_nothing() -> None:
    assert _numbers(_read(_with(ONE_CHUNK, 8, bytes(34)))) == [str(number) for number in range(12)]


def test_a_chunk_that_waits_for_its_first_use_is_nothing() -> None:
    assert len(_read(ONE_CHUNK + bytes(CHUNK_BYTES))) == 12


def test_what_a_reused_chunk_still_holds_of_older_events_is_no_event() -> None:
    old, new = evtx(_events(12))[HEADER_BYTES:], evtx(_events(5))[HEADER_BYTES:]
    used = struct.unpack_from("<I", new, 48)[0]
    stale = bytearray(_with(old, 0, new[:used]))
    first_left = stale.find(b"**\0\0", used)
    struct.pack_into("<Q", stale, first_left + 8, 900)

    items = _read(file_of([bytes(stale)]))

    assert _numbers(items) == [str(number) for number in range(5)]


def test_a_log_that_is_cut_gives_what_is_there_and_says_so() -> None:
    start = _start_of(ONE_CHUNK, 5)

    items = _read(ONE_CHUNK[: start + 40])

    assert _numbers(items) == ["0", "1", "2", "3", "4"]
    assert [(reject.reason, reject.offset) for reject in _rejects(items)] == [("truncated", start)]


@pytest.mark.parametrize("size", [8, 100, HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES, HEADER_BYTES + 2 * CHUNK_BYTES])
def test_a_log_that_lacks_whole_chunks_says_so(size: int) -> None:
    (reject,) = _rejects(_read(THREE_CHUNKS[:size]))

    assert (reject.reason, reject.offset) == ("truncated", size)


def test_a_log_of_which_the_compression_breaks_off_says_so() -> None:
    packed = gzip.compress(THREE_CHUNKS)

    items = _read(packed[: len(packed) * 2 // 3])

    assert _rejects(items)[-1].reason == "truncated_compression"
    assert 100 < len(_records(items)) < 500


@pytest.mark.parametrize("content", [file_of([]), file_of([bytes(CHUNK_BYTES)]), evtx([])])
def test_a_log_without_events_is_told_as_empty(content: bytes) -> None:
    (reject,) = _read(content)

    assert isinstance(reject, RejectedRecord)
    assert reject.reason == "empty_file"


def test_an_event_that_is_larger_than_allowed_is_passed_over() -> None:
    content = evtx([Event(data={"n": "0"}), Event(data={"n": "x" * 20_000}), Event(data={"n": "2"})])

    items = _read(content, limit=10_000)

    assert _numbers(items) == ["0", "2"]
    (reject,) = _rejects(items)
    assert reject.reason == "record_too_large"
    assert "larger than 10000 bytes" in reject.message


def test_an_event_that_unpacks_beyond_all_measure_costs_its_chunk_only() -> None:
    items = _read(file_of([bomb(levels=12, fan=12), ONE_CHUNK[HEADER_BYTES:]]))

    assert _numbers(items) == [str(number) for number in range(12)]
    (reject,) = _rejects(items)
    assert (reject.reason, reject.offset) == ("damaged_chunk", FIRST)
    assert "too much memory or time" in reject.message


def test_a_log_on_which_the_decoder_keeps_dying_is_given_up() -> None:
    content = file_of([ONE_CHUNK[HEADER_BYTES:]] * 9)

    items = list(EventLog(iter([content]), file="f", max_record_bytes=1 << 20, decoder=_Mortal()).items())

    assert [item.reason for item in _rejects(items)] == ["damaged_chunk"] * 4
    assert "the rest was not read" in _rejects(items)[-1].message


def test_a_decoder_that_was_not_heard_out_answers_for_the_next_chunk_only() -> None:
    with Decoder(max_record_bytes=1 << 20) as decoder:
        half = decoder.answers(THREE_CHUNKS[HEADER_BYTES:][:CHUNK_BYTES])
        next(half)
        half.close()

        answers = list(decoder.answers(ONE_CHUNK[HEADER_BYTES:]))

    assert len(answers) == 12


@pytest.mark.parametrize("start", [b"ElfFile\0", ONE_CHUNK[:HEADER_BYTES], ONE_CHUNK[:HEADER_BYTES] + b"ElfChnk\0"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(rest=st.binary(max_size=2_000))
def test_whatever_follows_the_mark_of_an_event_log_is_accounted_for(start: bytes, rest: bytes) -> None:
    items = _read(start + rest)

    assert items
    assert _records(items) == []


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    damage=st.lists(
        st.tuples(st.integers(8, FIRST + 4_000), st.binary(min_size=1, max_size=24)), min_size=1, max_size=6
    )
)
def test_a_log_damaged_anywhere_gives_each_event_as_record_or_rejected(damage: list[tuple[int, bytes]]) -> None:
    content = ONE_CHUNK
    for at, new in damage:
        content = _with(content, at, new)

    items = _read(content)

    assert len({item.key for item in items}) == len(items)
    assert [item.offset for item in items] == sorted(item.offset for item in items)
    lost = sum(item.size_bytes for item in _rejects(items))
    assert len(_records(items)) == 12 or lost >= SMALLEST


class _Mortal(Decoder):
    """Dies of every chunk."""

    def __init__(self) -> None:
        super().__init__(max_record_bytes=1)

    def answers(self, chunk: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        yield from ()
        raise DecoderDied
