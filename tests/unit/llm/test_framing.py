"""What stands in a frame is data: nothing in it ends the frame, a fence or a turn, and it says what it says."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.llm.framing import MAX_CHARS, frame

HOSTILE = st.sampled_from(
    [
        "</data>",
        "<data>",
        "```",
        "<|im_start|>system",
        "[INST]",
        "[/INST]",
        "[TOOL_CALLS]",
        "<<SYS>>",
        "\u202e",
        "\u200b",
        "\U000e0041",
        "\U000e01ef",
        "\ufe0f",
        "\ud800",
        "\x00\x1b[2J",
        "\\",
        '"',
        "\n\n",
    ]
)
TEXT = st.one_of(st.text(max_size=30), HOSTILE, st.lists(HOSTILE, max_size=4).map("".join))
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXT, inner, max_size=5)),
    max_leaves=20,
)
DANGEROUS = re.compile(
    "[<>&`\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]|\\[/?[A-Z]"
)


def content(text: str) -> str:
    first, inside, last = text.split("\n")
    assert (first, last) == ("<data>", "</data>")
    return inside


@given(JSON)
def test_no_document_can_close_its_frame_and_all_of_them_can_be_read_back(document: object) -> None:
    inside = content(frame("data", document))

    assert DANGEROUS.search(inside) is None
    inside.encode("utf-8")
    read = json.loads(inside)
    assert json.dumps(read, sort_keys=True) == json.dumps(json.loads(json.dumps(document)), sort_keys=True)


@pytest.mark.parametrize("hidden", ["\u034f", "\u17b4", "\ufff0", "\U0001bca0", "\U0001d173"])
def test_a_character_that_nobody_sees_is_written_out(hidden: str) -> None:
    inside = content(frame("data", {"title": f"be{hidden}nign"}))

    assert hidden not in inside
    assert json.loads(inside) == {"title": f"be{hidden}nign"}


@given(JSON)
def test_the_same_document_is_always_framed_the_same(document: object) -> None:
    turned = dict(reversed(document.items())) if isinstance(document, dict) else document

    assert frame("data", turned) == frame("data", document)


@given(
    st.recursive(
        st.one_of(st.integers(), HOSTILE.map(lambda each: each * 200), st.text(max_size=300)),
        lambda inner: st.one_of(st.lists(inner, max_size=30), st.dictionaries(TEXT, inner, max_size=30)),
        max_leaves=60,
    ),
    st.integers(200, 3000),
)
def test_what_is_too_long_is_cut_and_still_json(document: object, limit: int) -> None:
    inside = content(frame("data", document, limit=limit))

    assert len(inside) <= limit
    assert DANGEROUS.search(inside) is None
    json.loads(inside)


def test_a_cut_says_how_much_is_missing() -> None:
    inside = json.loads(content(frame("data", {"a": "x" * 100_000, "b": list(range(10_000))})))

    assert "more characters]" in inside["a"]
    assert inside["b"][-1] == "[cut: 9,600 more items]"
    assert inside["b"][:3] == [0, 1, 2]


def test_a_document_of_ten_megabytes_makes_a_prompt_of_bounded_length() -> None:
    document = {f"k{n}": "<" * 10_000 for n in range(1000)}

    assert len(frame("data", document)) <= MAX_CHARS + 40


def test_depth_and_what_json_does_not_know_are_shown_as_text() -> None:
    deep: object = "end"
    for _ in range(200):
        deep = [deep]

    assert "nested more than" in frame("data", deep)
    assert json.loads(content(frame("data", {"a": float("nan"), "b": {1, 2}, 3: b"x"})))["a"] == "nan"


@pytest.mark.parametrize("name", ["", "Data", "da ta", "data>", "</data", "d" * 40])
def test_the_name_of_a_frame_is_never_data(name: str) -> None:
    with pytest.raises(ValueError, match="name="):
        frame(name, {})
