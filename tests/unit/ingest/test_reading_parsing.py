"""One piece of text becomes a document, or the exact reason why not."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurora.ingest.reading.parsing import MAX_DEPTH, exact_fault, parse
from aurora.ingest.reading.records import Fault

# Few different characters, and those that matter to the check: collisions become likely.
_text = st.text(alphabet='ab":\\ \t\n,{}[]é', max_size=5)
_scalar = st.one_of(
    _text, st.integers(-(2**66), 2**66), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
_blank = st.sampled_from(["", "", "", " ", "\t", "\n", "\r\n", "  "])


def _write_string(text: str, escaped: list[bool]) -> str:
    """Write `text` as JSON, some characters as `\\uXXXX`, as other products do."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    if not any(escaped):
        return f'"{quoted}"'
    parts = []
    for n, char in enumerate(text):
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        parts.append(f"\\u{ord(char):04x}" if escaped[n % len(escaped)] else plain)
    return '"' + "".join(parts) + '"'


@st.composite
def _json_text(draw: st.DrawFn, depth: int = 3) -> str:
    kind = draw(st.sampled_from(["object", "list", "scalar"] if depth < 3 else ["object"])) if depth else "scalar"
    if kind == "scalar":
        value = draw(_scalar)
        return _write_string(value, draw(_escapes)) if isinstance(value, str) else json.dumps(value)
    size = draw(st.integers(0, 4))
    if kind == "list":
        return "[" + ",".join(draw(_json_text(depth - 1)) for _ in range(size)) + "]"
    members = []
    for _ in range(size):
        key = _write_string(draw(_text), draw(_escapes))
        members.append(f"{draw(_blank)}{key}{draw(_blank)}:{draw(_blank)}{draw(_json_text(depth - 1))}{draw(_blank)}")
    return "{" + ",".join(members) + "}"


_escapes = st.one_of(st.just([False]), st.lists(st.booleans(), min_size=1, max_size=3))


@settings(max_examples=600, deadline=None)
@given(_json_text())
@example('{"a":1,"a":2,"b":"\\"\\u003a"}')
@example('{"a":1,"a" :2}')
@example('{"a":1,"\\u0061":2}')
@example('{"a\\\\":1,"a\\\\":2}')
@example('{"x":"\\":","a\\\\":1,"a\\\\":2}')
@example('{"x":"\\" :","a\\\\" :1,"a\\\\" :2}')
@example('{"a":":x","b":{"c":"::1","c":1}}')
@example('{"a":1,"a":2,"b\\\\":3}')
@example('{"a" :1,"a" :2,"b\\\\" :3}')
@example('{"a":1,"a" :2,"b":"\\":"}')
@example('{"a":18446744073709551616,"b":[-9223372036854775809]}')
def test_the_fast_check_refuses_exactly_what_the_slow_one_refuses(text: str) -> None:
    raw = text.encode("utf-8")

    result = parse(raw)

    slow = exact_fault(raw)
    assert result == (slow or orjson.loads(raw))


@settings(max_examples=300, deadline=None)
@given(_json_text())
def test_the_slow_check_finds_a_repeated_key_just_when_reading_loses_one(text: str) -> None:
    lost = []

    def count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        lost.append(len(pairs) - len(dict(pairs)))
        return dict(pairs)

    json.loads(text, object_pairs_hook=count)

    fault = exact_fault(text.encode("utf-8"))

    assert (fault is not None and fault.reason == "duplicate_key") == any(lost)


def test_a_repeated_key_is_named_short_and_without_control_characters() -> None:
    key = "k\x1b" + "x" * 200
    raw = f"{{{json.dumps(key)}:1,{json.dumps(key)}:2}}".encode()

    fault = parse(raw)

    assert isinstance(fault, Fault)
    assert "k\\u001bxxx" in fault.message
    assert len(fault.message) < 150


@pytest.mark.parametrize(
    ("raw", "reason", "at"),
    [
        (b'{"a":18446744073709551616}', "number_out_of_range", None),
        (b'{"a":[-9223372036854775809]}', "number_out_of_range", None),
        (b'{"a":' + b"9" * 5000 + b"}", "number_out_of_range", 5),
        (b'{"a":1e999}', "number_out_of_range", 5),
        (b'{"a":NaN}', "not_a_number", 5),
        (b'{"a":-Infinity}', "not_a_number", None),
        (b'{"\xc3\xa9":Infinity}', "not_a_number", 6),
        (b'{"a":"\xff"}', "invalid_utf8", 6),
        (b"[1,2]", "not_object", None),
        (b"17", "not_object", None),
        (b"null", "not_object", None),
        (b'"text"', "not_object", None),
        (b'{"a":1},', "invalid_json", 7),
        (b'{"a":"\\ud800"}', "invalid_json", None),
        (b'{"a":1\x00}', "invalid_json", 6),
        (b"plain text", "invalid_json", 0),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep", None),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "too_deep", None),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "too_deep", None),
    ],
)
def test_what_is_wrong_gets_its_own_reason_and_place(raw: bytes, reason: str, at: int | None) -> None:
    fault = parse(raw)

    assert isinstance(fault, Fault)
    assert fault.reason == reason
    assert at is None or fault.at == at


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":18446744073709551615,"b":-9223372036854775808}',
        b'{"a":1e19,"b":-9.3e18,"c":"99999999999999999999"}',
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b'{"a":"' + b"{[" * 500 + b'"}',
        b"{}",
    ],
)
def test_what_is_only_unusual_is_accepted(raw: bytes) -> None:
    assert parse(raw) == json.loads(raw)
