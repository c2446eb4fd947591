"""Files of every shape and fault become records, and whatever is broken costs itself only."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from aurora.ingest.reading import Item, RawRecord, RejectedRecord, Source, read
from aurora.kernel.errors import SourceUnreadable


def _read(content: bytes, **options: Any) -> list[Item]:
    source = Source(name="-", size_bytes=len(content), stream=io.BytesIO(content))
    return list(read(source, **options))


def _documents(items: list[Item]) -> list[dict[str, Any]]:
    return [item.document for item in items if isinstance(item, RawRecord)]


def _rejects(items: list[Item]) -> list[tuple[str, int, int]]:
    return [(item.reason, item.line, item.offset) for item in items if isinstance(item, RejectedRecord)]


def _messages(items: list[Item]) -> list[str]:
    return [item.message for item in items if isinstance(item, RejectedRecord)]


def _numbers(items: list[Item]) -> list[int]:
    return [document["n"] for document in _documents(items)]


DOCUMENTS: list[dict[str, Any]] = [
    {"n": 1, "text": 'a "quoted", {brace} and [bracket] \\'},
    {"n": 2, "list": [{"n": 20}, {"n": 21, "x": []}], "empty": {}},
    {"n": 3, "é": "ü😀", "path": "C:\\dir\\"},
]
_lines = [json.dumps(document, ensure_ascii=False) for document in DOCUMENTS]
SHAPES: dict[str, str] = {
    "a line each": "\n".join(_lines) + "\n",
    "a line each, no last line end": "\n".join(_lines),
    "windows line ends and blank lines": "\r\n\r\n \t\r\n".join(_lines) + "\r\n\r\n",
    "all on one line": "".join(_lines),
    "over several lines": "\n".join(json.dumps(document, indent=2) for document in DOCUMENTS),
    "over several lines, glued": "".join(json.dumps(document, indent=4) for document in DOCUMENTS),
    "over several lines, not indented": "\n".join(json.dumps(document, indent=0) for document in DOCUMENTS),
    "one line, then several": "\n".join([_lines[0], json.dumps(DOCUMENTS[1], indent=2), _lines[2]]),
    "a list": "[" + ",".join(_lines) + "]",
    "a list with a line each": "[\n" + ",\n".join(_lines) + "\n]\n",
    "an indented list": json.dumps(DOCUMENTS, indent=2),
    "lists after each other": f"[{_lines[0]}]\n[{_lines[1]},{_lines[2]}]\n",
    "a Graph envelope": json.dumps({"@odata.context": "https://x/$metadata", "@odata.count": 3, "value": DOCUMENTS}),
    "an indented envelope with a next link": json.dumps({"value": DOCUMENTS, "nextLink": "https://x/?{]"}, indent=2),
    "a CloudTrail envelope": json.dumps({"Records": DOCUMENTS}),
    "an envelope a line": f'{{"records":[{_lines[0]}]}}\n{{"records":[{_lines[1]},{_lines[2]}]}}\n',
}
ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with mark": lambda text: text.encode("utf-8-sig"),
    "utf-16 little": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "utf-16 big": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "two gzip members": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]) + b"\0" * 512,
    "two xz streams": lambda data: lzma.compress(data[:50]) + b"\0" * 4 + lzma.compress(data[50:]),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_encoding_gives_the_same_records_with_their_place(shape: str, encoding: str) -> None:
    content = ENCODINGS[encoding](SHAPES[shape])

    items = _read(content)

    assert _documents(items) == DOCUMENTS
    assert _rejects(items) == []
    codec = {"utf-16 little": "utf-16-le", "utf-16 big": "utf-16-be"}.get(encoding, "utf-8")
    for item in items:
        own = item.raw.decode().encode(codec)
        assert content[item.offset : item.offset + len(own)] == own
        assert item.line == 1 + content[: item.offset].decode(codec).count("\n")
        assert item.key == hashlib.sha256(content[: item.offset + len(own)]).digest()


@pytest.mark.parametrize("packing", PACKINGS)
def test_compression_changes_nothing_but_the_size(packing: str) -> None:
    content = SHAPES["a line each"].encode()

    items = _read(PACKINGS[packing](content))

    assert items == _read(content)


def test_the_cut_into_blocks_changes_nothing() -> None:
    """Records of many sizes lie across the ends of blocks, in strings, escapes and indentation."""
    draw = random.Random(7)
    documents = [{"n": n, "x": ['\\"{' * draw.randrange(400)] * 3, "y": {"z": n}} for n in range(2500)]
    lines = "\n".join(map(json.dumps, documents)).encode()
    indented = "\n".join(json.dumps(document, indent=3) for document in documents).encode()
    listed = json.dumps(documents, indent=1).encode()
    assert len(lines) > 3 << 20

    for content in (lines, indented, listed, indented.decode().encode("utf-16")):
        items = _read(content)

        assert _documents(items) == documents
        assert _rejects(items) == []


def test_a_key_stays_when_the_file_grows_and_differs_for_the_same_record_elsewhere() -> None:
    before = _read(b'{"n":1}\n{"n":1}')
    after = _read(b'{"n":1}\n{"n":1}\n{"n":2}\n')

    assert [item.key for item in before] == [item.key for item in after[:2]]
    assert len({item.key for item in after}) == 3


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "cut in a string": (b'{"n":9,"s":"cut', "invalid_json"),
    "cut after a comma": (b'{"n":9,', "invalid_json"),
    "cut after a brace": (b'{"n":{', "invalid_json"),
    "cut after a bracket": (b'{"n":[', "invalid_json"),
    "cut after a colon": (b'{"n":', "invalid_json"),
    "text after the object": (b'{"n":9},', "invalid_json"),
    "a closing brace too much": (b'{"n":9}}', "invalid_json"),
    "no JSON": (b"2026-01-01 INFO started", "invalid_json"),
    "a log line in brackets": (b"[2026-01-01] started", "invalid_json"),
    "a list": (b"[1,2]", "not_object"),
    "a list of objects": (b'[{"n":9}]', "not_object"),
    "a number": (b"12", "not_object"),
    "latin-1": (b'{"n":"caf\xe9"}', "invalid_utf8"),
    "NUL bytes": (b"\0\0\0\0", "invalid_json"),
    "nested": (b'{"n":' * 3000 + b"9" + b"}" * 3000, "too_deep"),
    "a repeated key": (b'{"n":9,"n":9}', "duplicate_key"),
    "NaN": (b'{"n":NaN}', "not_a_number"),
    "a large integer": (b'{"n":99999999999999999999}', "number_out_of_range"),
}


@pytest.mark.parametrize("fault", BAD_LINES)
def test_a_bad_line_costs_itself_only(fault: str) -> None:
    bad, reason = BAD_LINES[fault]
    content = b'{"n":1}\n' + bad + b'\n{"n":2}\n{"n":3}\n'

    items = _read(content)

    assert _numbers(items) == [1, 2, 3]
    assert _rejects(items) == [(reason, 2, 8)]
    [rejected] = [item for item in items if isinstance(item, RejectedRecord)]
    assert (rejected.raw, rejected.size_bytes) == (bad, len(bad))
    assert rejected.key == hashlib.sha256(content[: 8 + len(bad)]).digest()


@pytest.mark.parametrize("fault", ["cut in a string", "cut after a comma", "no JSON", "a list", "a repeated key"])
def test_a_bad_first_line_costs_itself_only(fault: str) -> None:
    bad, reason = BAD_LINES[fault]

    items = _read(bad + b'\n{"n":1}\n{"n":2}\n')

    assert _numbers(items) == [1, 2]
    assert _rejects(items) == [(reason, 1, 0)]


@pytest.mark.parametrize("before", ["[\n  ", ""])
def test_a_broken_object_over_several_lines_is_one_reject(before: str) -> None:
    text = before + json.dumps({"n": 1}, indent=4)
    text += ("," if before else "") + '\n  {\n    "n": "no end,\n    "m": [\n      {"n": 8}\n    ]\n  }'
    text += ("," if before else "") + "\n  " + json.dumps({"n": 2}, indent=4) + ("]" if before else "")

    items = _read(text.encode())

    assert _numbers(items) == [1, 2]
    assert [reason for reason, _, _ in _rejects(items)] == ["invalid_json"]


def test_an_element_of_a_list_that_is_no_object_costs_itself_only() -> None:
    items = _read(b'[{"n":1}, 7, "a,b]", null, [{"n":9}], {"n":2,"n":2},\n {"n":3}]')

    assert _numbers(items) == [1, 3]
    assert [reason for reason, _, _ in _rejects(items)] == ["not_object"] * 4 + ["duplicate_key"]


def test_an_object_with_a_list_of_its_own_called_value_is_one_record() -> None:
    documents = [{"n": 1, "value": [{"a": 1}]}, {"value": [1, 2]}, {"records": "three"}]

    items = _read("\n".join(map(json.dumps, documents)).encode())

    assert _documents(items) == documents


@pytest.mark.parametrize(
    ("content", "numbers", "place"),
    [
        (b'{"n":1}\n{"n":2,"s":"cu', [1], (2, 8)),
        (b'{"n":1}\n{"n":2', [1], (2, 8)),
        (b'{\n  "n": 1\n}\n{\n  "n": 2,\n  "s": [\n', [1], (4, 13)),
        (b'[{"n":1},\n{"n":2,', [1], (2, 10)),
        (b'[{"n":1},{"n":2}', [1, 2], (1, 16)),
        (b'{"value":[{"n":1},{"n":2}', [1, 2], (1, 25)),
        (b'{"value":[{"n":1},{"n":2}],"nextLink":"htt', [1, 2], (1, 26)),
    ],
)
def test_a_cut_file_gives_what_is_whole_and_says_where_it_was_cut(
    content: bytes, numbers: list[int], place: tuple[int, int]
) -> None:
    items = _read(content)

    assert _numbers(items) == numbers
    assert _rejects(items) == [("truncated", *place)]


def _many(count: int) -> bytes:
    draw = random.Random(3)
    return b"".join(b'{"n":%d,"x":"%x"}\n' % (n, draw.getrandbits(400)) for n in range(count))


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_a_cut_archive_gives_every_whole_record_and_one_reject(packing: str) -> None:
    content = _many(5000)
    packed = PACKINGS[packing](content)

    items = _read(packed[: len(packed) // 2])

    numbers = _numbers(items)
    [rejected] = [item for item in items if isinstance(item, RejectedRecord)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 2000
    assert rejected.reason == "truncated_compression"
    assert f"{len(packed) // 2} compressed bytes" in rejected.message
    assert content[rejected.offset : rejected.offset + len(rejected.raw)] == rejected.raw


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_a_damaged_archive_gives_the_records_before_the_damage(packing: str) -> None:
    content = _many(3000)
    packed = bytearray(PACKINGS[packing](content[:100_000]) + PACKINGS[packing](content[100_000:]))
    second = len(PACKINGS[packing](content[:100_000]))
    packed[second : second + 40] = b"\xee" * 40

    items = _read(bytes(packed))

    [rejected] = [item for item in items if isinstance(item, RejectedRecord)]
    assert _numbers(items) == list(range(content[:100_000].count(b"\n")))
    assert rejected.reason == "corrupt_compression"


def test_gzip_damaged_in_the_middle_of_a_block_gives_the_records_up_to_there() -> None:
    content = _many(8000)
    packed = bytearray(gzip.compress(content))
    middle = len(packed) // 2
    packed[middle : middle + 200] = b"\xff" * 200

    items = _read(bytes(packed))

    assert _numbers(items)[:3500] == list(range(3500))
    assert "corrupt_compression" in [reason for reason, _, _ in _rejects(items)]


def test_a_wrong_check_sum_is_told_after_the_records() -> None:
    packed = bytearray(gzip.compress(b'{"n":1}\n{"n":2}\n'))
    packed[-8] ^= 1

    items = _read(bytes(packed))

    assert _numbers(items) == [1, 2]
    assert "check sum" in _messages(items)[-1]
    assert _rejects(items) == [("corrupt_compression", 3, 16)]


@pytest.mark.parametrize("size", [1 << 20, 40 << 20])
def test_one_huge_line_is_passed_over_in_bounded_memory(size: int) -> None:
    huge = b'{"n":9,"s":"' + b"x" * size + b'"}'
    content = gzip.compress(b'{"n":1}\n' + huge + b'\n{"n":2}\n', compresslevel=1)
    del huge
    tracemalloc.start()

    items = _read(content, max_record_bytes=1 << 19)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    [rejected] = [item for item in items if isinstance(item, RejectedRecord)]
    assert _numbers(items) == [1, 2]
    assert (rejected.reason, rejected.line, rejected.offset) == ("record_too_large", 2, 8)
    assert rejected.size_bytes == size + 14
    assert f"of {size + 14} bytes" in rejected.message
    assert len(rejected.raw) == 64 * 1024
    assert peak < 12 << 20


def test_a_huge_object_over_several_lines_is_one_reject_and_the_next_is_read() -> None:
    huge = json.dumps({"n": 9, "list": [{"k": n} for n in range(30_000)]}, indent=2)
    content = json.dumps({"n": 1}, indent=2) + "\n" + huge + "\n" + json.dumps({"n": 2}, indent=2)

    items = _read(content.encode(), max_record_bytes=100_000)

    assert _numbers(items) == [1, 2]
    assert _rejects(items) == [("record_too_large", 4, 13)]


def test_a_list_is_streamed_however_long_it_is() -> None:
    content = b'{"value":[' + b",".join(b'{"n":%d}' % n for n in range(50_000)) + b"]}"

    items = _read(content, max_record_bytes=1000)

    assert _numbers(items) == list(range(50_000))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "no record"),
        (b"[]", "no record"),
        (b'{"value":[]}', "no record"),
        (gzip.compress(b""), "is empty"),
        (b"\xef\xbb\xbf", "no record"),
    ],
)
def test_a_file_without_records_says_so(content: bytes, said: str) -> None:
    [item] = _read(content)

    assert isinstance(item, RejectedRecord)
    assert item.reason == "empty_file"
    assert said in item.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (random.Random(1).randbytes(300_000), "binary"),
        (b"PK\x03\x04" + b"\0" * 5000, "ZIP"),
        (b"%PDF-1.7\n" + b"text\n" * 5000, "PDF"),
        (b"\0" * 200_000 + b'{"n":1}\n', "NUL"),
        ('{"n":1}\n'.encode("utf-16-le"), "without a byte order mark"),
        ('{"n":1}\n'.encode("utf-32"), "UTF-32"),
    ],
)
def test_a_file_that_is_no_text_is_one_reject(content: bytes, said: str) -> None:
    [item] = _read(content)

    assert isinstance(item, RejectedRecord)
    assert item.reason == "binary_file"
    assert said in item.message
    assert item.size_bytes == len(content)


@pytest.mark.parametrize("line", [b"time,src,dst\n", b'{"a":[\n'], ids=["csv", "never closed"])
def test_a_file_of_rubbish_is_given_up_and_the_rest_is_accounted_for(line: bytes) -> None:
    content = line * 100_000

    items = _read(content)

    assert len(items) == 101
    last = items[-1]
    assert isinstance(last, RejectedRecord)
    assert last.reason == "unrecognised_file"
    assert last.size_bytes == len(content) - last.offset
    assert f"{last.size_bytes} bytes of the file were not read" in last.message


def test_well_formed_records_that_are_all_rejected_do_not_end_the_reading() -> None:
    items = _read(b'{"n":1,"n":1}\n' * 500 + b'{"n":2}\n')

    assert _numbers(items) == [2]
    assert len(items) == 501


def test_half_a_surrogate_pair_in_utf16_costs_its_record_only() -> None:
    content = b"\xff\xfe" + '{"n":1}\n{"n":"\ud800"}\n{"n":2}\n'.encode("utf-16-le", "surrogatepass")

    items = _read(content)

    assert _numbers(items) == [1, 2]
    assert _rejects(items) == [("invalid_utf16", 2, 18)]
    assert "at byte 30" in _messages(items)[0]


def test_the_place_of_invalid_utf8_is_told_within_the_file() -> None:
    items = _read(b'{"n":1}\n{"n":"\xff"}\n')

    assert "at byte 14" in _messages(items)[0]


@pytest.mark.parametrize(
    "content", [b'{"n":1}\n' * 400_000, b"rubbish\n" * 400_000, b"\0" * 3_000_000], ids=["records", "rubbish", "binary"]
)
@pytest.mark.parametrize("packing", ["plain", "gzip", "xz"])
def test_progress_adds_up_to_the_size_of_the_file(packing: str, content: bytes) -> None:
    packed = PACKINGS[packing](content)
    steps: list[int] = []

    _read(packed, on_progress=steps.append)

    assert sum(steps) == len(packed)
    assert min(steps) > 0


def test_a_file_is_closed_when_its_reader_is_dropped(tmp_path: Path) -> None:
    opened: list[BinaryIO] = []

    class Watched(Source):
        @contextmanager
        def open(self) -> Iterator[BinaryIO]:
            with super().open() as stream:
                opened.append(stream)
                yield stream

    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n' * 10)
    items = read(Watched(name="a", size_bytes=None, path=path))
    next(items)
    assert not opened[0].closed

    del items  # the last reference: the generator closes what it holds

    assert opened[0].closed


def test_a_stream_that_fails_while_it_is_read_names_the_source() -> None:
    class Failing(io.RawIOBase):
        def read(self, _size: int = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    source = Source(name="disk.json", size_bytes=None, stream=Failing())  # type: ignore[arg-type]

    with pytest.raises(SourceUnreadable, match=r"disk\.json.*input/output error"):
        list(read(source))
