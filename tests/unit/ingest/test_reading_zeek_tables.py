"""Zeek's tables of tab-separated values become the records that its JSON writer would have written."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import random
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import Item, RawRecord, RejectedRecord, Source, read
from aurora.ingest.reading.splitting import Splitter
from aurora.ingest.reading.window import Window
from aurora.kernel.errors import RecordRejected
from aurora.kernel.models import Alert
from tests.unit.ingest.alert_fixtures import ALERT_ID, FOLDER

HEAD = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tnotice\n"
    b"#fields\tts\tnote\tmsg\tp\tactions\n#types\ttime\tenum\tstring\tport\tset[enum]\n"
)
ROW = b"1795162500.5\tLab::A\tword\t80\tNotice::ACTION_LOG\n"


def _read(content: bytes, **options: Any) -> list[Item]:
    return list(read(Source(name="-", size_bytes=len(content), stream=io.BytesIO(content)), **options))


def _log(name: str) -> bytes:
    return (FOLDER / "zeek" / f"{name}.log").read_bytes()


def _documents(items: list[Item]) -> list[dict[str, Any]]:
    return [item.document for item in items if isinstance(item, RawRecord)]


def _rejects(items: list[Item]) -> list[tuple[str, int]]:
    return [(item.reason, item.line) for item in items if isinstance(item, RejectedRecord)]


def test_a_row_has_the_types_of_its_header_and_what_is_not_set_is_left_out() -> None:
    items = _read(_log("notice"))

    first, second = _documents(items)
    assert first == {
        "_path": "notice",
        "ts": 1795162500.123456,
        "uid": "CLab0000000000002",
        "id.orig_h": "192.0.2.10",
        "id.orig_p": 50123,
        "id.resp_h": "198.51.100.20",
        "id.resp_p": 443,
        "fuid": "FLab000000000000001",
        "proto": "tcp",
        "note": "SSL::Invalid_Server_Cert",
        "msg": "SSL certificate validation failed with (self signed certificate)",
        "sub": "CN=portal.example.net,O=Example,C=US",
        "src": "192.0.2.10",
        "dst": "198.51.100.20",
        "p": 443,
        "actions": ["Notice::ACTION_LOG"],
        "email_dest": [],
        "suppress_for": 3600.0,
    }
    assert (second["n"], second["actions"]) == (15, ["Notice::ACTION_EMAIL", "Notice::ACTION_LOG"])
    assert [item.line for item in items] == [9, 10]


def test_the_raw_record_is_the_object_that_pointers_lead_into() -> None:
    for item in _read(_log("conn")):
        assert isinstance(item, RawRecord)
        assert orjson.loads(item.raw) == item.document
        assert item.document["local_orig"] is True
        assert item.document["tunnel_parents"] == []


def test_escapes_are_resolved_after_the_columns_were_told_apart() -> None:
    (document,) = _documents(_read(_log("escapes")))

    assert document["msg"] == "tab\tcomma,newline\nnul\0byte\\xffumlautüdash"
    assert document["sub"] == "-", "a dash that is written escaped is a value"
    assert document["actions"] == ["Lab::A,B", "Lab::C"]
    assert document["peer_descr"] == ""


def test_each_header_speaks_for_the_rows_after_it() -> None:
    items = _read(_log("rotated"))

    assert _rejects(items) == []
    assert [(item.line, item.document["note"]) for item in items if isinstance(item, RawRecord)] == [
        (9, "SSL::Invalid_Server_Cert"),
        (18, "Scan::Address_Scan"),
        (28, "Scan::Port_Scan"),
    ]


def test_separators_and_what_stands_for_nothing_are_those_of_the_header() -> None:
    first, second = _documents(_read(_log("other_separators")))

    assert first["msg"] == "a|b, c"
    assert first["actions"] == ["Notice::ACTION_LOG", "Notice::ACTION_EMAIL"]
    assert "sub" not in first
    assert (second["msg"], second["actions"], second["sub"]) == ("", [], "-")


def test_a_row_with_the_wrong_number_of_columns_costs_itself_only() -> None:
    items = _read(HEAD + ROW + b"1795162500.5\tLab::B\n" + ROW[:-1] + b"\tmore\n" + ROW + b"#close\tx\n")

    assert [document["note"] for document in _documents(items)] == ["Lab::A", "Lab::A"]
    assert _rejects(items) == [("wrong_columns", 9), ("wrong_columns", 10)]
    rejected = items[1]
    assert isinstance(rejected, RejectedRecord)
    assert rejected.message == "the row has 2 columns, the #fields line names 5"
    assert rejected.offset == len(HEAD + ROW)
    assert rejected.raw == b"1795162500.5\tLab::B"


def test_values_that_are_not_of_their_type_stay_text() -> None:
    row = b"yesterday\tLab::A\tx\t99999999999999999999999\t-\n" + b"nan\tLab::A\tx\t-5\t(empty)\n"

    first, second = _documents(_read(HEAD + row))

    assert (first["ts"], first["p"]) == ("yesterday", "99999999999999999999999")
    assert (second["ts"], second["p"]) == ("nan", -5)


def test_a_killed_zeek_leaves_a_row_that_is_told_as_cut() -> None:
    items = _read(_log("killed"))

    assert len(_documents(items)) == 1
    assert _rejects(items) == [("truncated", 10)]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compression_changes_nothing(pack: Callable[[bytes], bytes]) -> None:
    assert _read(pack(_log("rotated"))) == _read(_log("rotated"))


def test_a_cut_archive_gives_every_whole_row_and_one_reject() -> None:
    draw = random.Random(3)
    noise = b"".join(b"1795162500.5\tLab::A\t%x\t80\t-\n" % draw.getrandbits(400) for _ in range(3000))

    items = _read(gzip.compress(HEAD + noise)[:-40_000])

    assert 1 < len(_documents(items)) < 3000
    assert [reason for reason, _ in _rejects(items)] == ["truncated_compression"]


def test_a_key_stays_when_the_log_grows_and_differs_for_the_same_row_elsewhere() -> None:
    before, after = _read(HEAD + ROW), _read(HEAD + ROW + ROW + b"#close\tx\n")

    assert before[0].key == after[0].key
    assert after[0].key != after[1].key


@pytest.mark.parametrize(
    "encode",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.replace(b"\n", b"\n\n"),
    ],
)
def test_line_ends_marks_and_encodings_change_no_value(encode: Callable[[bytes], bytes]) -> None:
    assert _documents(_read(encode(_log("rotated")))) == _documents(_read(_log("rotated")))


def test_objects_may_stand_before_among_and_after_the_rows() -> None:
    items = _read(b'{"n":1}\n' + HEAD + ROW + b'{"n":2}\n' + ROW + b"#close\tx\n" + b'{"n":3}\n{"n":\n4}\n')

    assert [document.get("n") for document in _documents(items)] == [1, None, 2, None, 3]
    assert [reason for reason, _ in _rejects(items)] == ["invalid_json", "invalid_json"]


@pytest.mark.parametrize(
    ("head", "rejected", "documents"),
    [
        (b"#separator \\x09\n#path\tx\n", [("bad_header", 3)], []),
        (b"#separator \\x09\n#fields\ta\ta\n", [("bad_header", 2), ("bad_header", 3)], []),
        (b"#separator \\x09\n#fields\ta\t\n", [("bad_header", 2), ("bad_header", 3)], []),
        (b"#separator \\x09\n#fields\ta\tb\n#types\tcount\n", [("bad_header", 3)], [{"a": "1", "b": "2"}]),
        (b"#separator \\x09\n#fields\ta\tb\n", [], [{"a": "1", "b": "2"}]),
        (b"#fields\ta\tb\n#types\tcount\tint\n", [], [{"a": 1, "b": 2}]),
        (b"#separator " + b"x" * 99 + b"\n#fields\ta\tb\n", [("bad_header", 1)], [{"a": "1", "b": "2"}]),
    ],
)
def test_a_faulty_header_is_told_and_costs_no_more_than_it_must(
    head: bytes, rejected: list[tuple[str, int]], documents: list[dict[str, Any]]
) -> None:
    items = _read(head + b"1\t2\n")

    assert _rejects(items) == rejected
    assert _documents(items) == documents


def test_a_hash_sign_without_a_header_is_no_table() -> None:
    items = _read(b"# just a comment\n" + b'{"n":1}\n')

    assert _rejects(items) == [("invalid_json", 1)]
    assert _documents(items) == [{"n": 1}]


def test_a_huge_row_is_passed_over_in_bounded_memory() -> None:
    size = 40 << 20
    content = gzip.compress(HEAD + ROW + b"1\tLab::A\t" + b"x" * size + b"\t80\t-\n" + ROW, compresslevel=1)
    tracemalloc.start()

    items = _read(content, max_record_bytes=1 << 19)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(_documents(items)) == 2
    assert _rejects(items) == [("record_too_large", 9)]
    assert peak < 12 << 20


def test_a_long_log_is_streamed() -> None:
    class Long(io.RawIOBase):
        blocks = iter([HEAD] + [b"1\tLab::A\t" + b"x" * 4000 + b"\t80\t-\n"] * 6000)

        def read(self, size: int = -1) -> bytes:
            return b"".join(islice(self.blocks, 50))

    tracemalloc.start()
    rows = sum(1 for _ in read(Source(name="-", size_bytes=None, stream=Long())))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert rows == 6000
    assert peak < 4 << 20, "of 24 MB"


_PIECES = (b"\t", b"\n", b"#", b"-", b"(empty)", b"\\x", b"\\x09", b"\0", b"\xff", b"{", b'{"n":1}', b",", b"\r", b"")


def _items(content: bytes, *, limit: int, draw: random.Random | None = None) -> list[Item]:
    def blocks() -> Iterator[bytes]:
        at = 0
        while at < len(content):
            size = draw.choice((1, 2, 7, 30)) if draw else len(content)
            yield content[at : at + size]
            at += size

    return list(Splitter(Window(blocks(), restore=None), file="f", max_record_bytes=limit).items())


@pytest.mark.parametrize("seed", range(10))
def test_damage_loses_no_line_from_the_account_wherever_blocks_end(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(60):
        content, limit = HEAD + ROW * 3, draw.choice((60, 200, 1 << 20))
        for _ in range(draw.randrange(6)):
            start = draw.randrange(len(HEAD), len(content) + 1)
            content = content[:start] + draw.choice(_PIECES) + content[start + draw.choice((0, 0, 1, 5, 40)) :]

        items = _items(content, limit=limit)

        assert _items(content, limit=limit, draw=draw) == items, content
        rows = [number for number, line in enumerate(content.split(b"\n"), start=1) if number > 7 and line.strip()]
        assert [item.line for item in items if item.line > 7] == rows, content
        assert len({item.key for item in items}) == len(items)


_text = st.text(max_size=12) | st.sampled_from(
    ["-", "(empty)", "\\x09", "\\xff", "\\x", "a,b", "1e999", "-1", "T", "²"]
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    names=st.lists(st.sampled_from(["ts", "note", "msg", "id.orig_h", "seen.indicator", "uid"]) | _text, max_size=6),
    types=st.lists(
        st.sampled_from(["time", "count", "bool", "set[addr]", "vector[double]", "table[", "x"]), max_size=6
    ),
    rows=st.lists(st.lists(_text, max_size=6), max_size=4),
    path=st.sampled_from(["notice", "intel", "conn", "lab"]) | _text,
)
def test_any_table_gives_records_that_formats_answer(
    names: list[str], types: list[str], rows: list[list[str]], path: str
) -> None:
    lines = [["#separator \\x09"], ["#path", path], ["#fields", *names], ["#types", *types], *rows]
    content = "\n".join("\t".join(each) for each in lines).encode()
    zeek = Formats().by_id("zeek")

    for document in _documents(_read(content)):
        assert all(math.isfinite(each) for each in document.values() if isinstance(each, float))
        zeek.matches(document)
        if zeek.context(document) is None:
            answer = _answer(document)
            assert isinstance(answer, Alert) or answer.field


def _answer(document: dict[str, Any]) -> Alert | RecordRejected:
    try:
        return Formats().by_id("zeek").normalise(document, id=ALERT_ID)
    except RecordRejected as refused:
        return refused


@pytest.mark.parametrize("name", ["notice", "intel", "escapes", "rotated", "killed", "other_separators"])
def test_every_row_of_a_fixture_is_an_alert_of_zeek(name: str) -> None:
    formats = Formats()

    for document in _documents(_read(_log(name))):
        (chosen,) = [each for each in formats if each.matches(document)]
        assert chosen.id == "zeek"
        assert chosen.context(document) is None
        assert chosen.normalise(document, id=ALERT_ID).time is not None
