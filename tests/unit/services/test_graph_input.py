"""Input of a graph: read from words, held against the type of its state."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal, TypedDict

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kernel.errors import ContentInvalid, InputError
from aurora.sdk import GraphSpec
from aurora.services.graph_input import check_input, read_input


class State(TypedDict, total=False):
    text: str
    count: int
    share: float
    flag: bool
    tags: Annotated[list[str], lambda left, right: left + right]
    either: str | int
    maybe: int | None
    size: Literal["small", "large"]
    anything: Any


def spec(state: type = State) -> GraphSpec:
    return GraphSpec(id="g", version="1", title="G", description="G.", build=lambda: None, state=state, nodes=("a",))


def read(*words: str, stdin: bytes = b"") -> dict[str, Any]:
    return read_input(words, spec=spec(), stdin=io.BytesIO(stdin), limit_bytes=1000)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=7", "7"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("count=7", 7),
        ("share=1", 1),
        ("share=0.5", 0.5),
        ("flag=true", True),
        ('tags=["a"]', ["a"]),
        ("either=7", "7"),
        ("maybe=null", None),
        ("size=small", "small"),
        ("anything=[1]", [1]),
        ("anything=plain words", "plain words"),
    ],
)
def test_a_pair_is_text_where_the_key_takes_text_and_json_elsewhere(word, value) -> None:
    assert read(word) == {word.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"count": "7"}, "'count' must be a whole number, but is text"),
        ({"count": True}, "'count' must be a whole number, but is true or false"),
        ({"flag": 1}, "'flag' must be true or false, but is a whole number"),
        ({"text": None}, "'text' must be text, but is null"),
        ({"tags": "a"}, "'tags' must be a list, but is text"),
        ({"tags": ["a", 2]}, r"'tags' must be a list; at tags\[1\]: input should be a valid string"),
        ({"either": 1.5}, "'either' must be text or a whole number, but is a number"),
        ({"maybe": "x"}, "'maybe' must be a whole number or null, but is text"),
        ({"size": "huge"}, '\'size\' must be one of "small", "large", but is text'),
        ({"other": 1}, "'other' is no key of its state, which has anything, count, either, flag, maybe, share"),
        ({"anything": 2**70}, "'anything' cannot be kept as JSON"),
        ({"anything": {1}}, "'anything' cannot be kept as JSON"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(value, told) -> None:
    with pytest.raises(InputError, match=told):
        check_input(spec(), value)


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["-"], b"[1]", "must hold a JSON object, not a list"),
        (["-"], b"{} trailing", "is no JSON at line 1, column 4"),
        (["-"], b"{" * 5000, "longer than 1000 bytes"),
        (["-"], b'{"a":' * 150, "is no JSON"),
        (["=x"], b"", "is no input"),
    ],
)
def test_what_is_no_object_is_refused(words, stdin, told) -> None:
    with pytest.raises(InputError, match=told):
        read(*words, stdin=stdin)


def test_a_state_whose_types_cannot_be_found_is_told_with_its_file() -> None:
    class Broken(TypedDict):
        text: Missing  # noqa: F821 - that is the fault

    with pytest.raises(
        ContentInvalid, match=r"test_graph_input\.py: graph 'g': the types of its state cannot be found"
    ):
        check_input(spec(Broken), {})


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_typed_is_read_or_refused_and_what_is_read_is_json(words) -> None:
    try:
        found = read_input(words, spec=spec(), stdin=None, limit_bytes=1000)
    except InputError:
        return

    assert orjson.loads(orjson.dumps(found)) == found


@given(st.sampled_from(list(State.__annotations__)), st.text(max_size=30))
def test_text_survives_a_pair_and_nothing_else_is_made_of_it(key, text) -> None:
    try:
        found = read(f"{key}={text}")
    except InputError:
        return

    assert found[key] == text or found[key] == orjson.loads(text)
