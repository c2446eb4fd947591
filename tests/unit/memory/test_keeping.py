"""What is kept of a message: JSON that both databases take and chat libraries read, without its secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, convert_to_messages

from memory.guard import redact
from memory.keeping import MAX_CHARS, UnreadableMessage, kept
from memory.messages import answers, calls, role

SECRET = "AKIAIOSFODNN7EXAMPLQ"  # the shape of an access key; no such key exists
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)


def test_langchain_reads_what_was_kept_of_its_messages():
    thread = [
        SystemMessage("weigh", id="m0"),
        HumanMessage("look", id="m1", name="ada"),
        AIMessage("", id="m2", tool_calls=[{"id": "a", "name": "lookup", "args": {"ip": "203.0.113.77"}}]),
        ToolMessage("nothing known", id="m3", tool_call_id="a", status="error"),
        AIMessage([{"type": "text", "text": "benign"}], id="m4"),
    ]

    again = convert_to_messages([kept(each, redact) for each in thread])

    assert again == thread


def test_the_spelling_of_openai_is_read_as_well():
    call = {"id": "a", "type": "function", "function": {"name": "lookup", "arguments": '{"ip": "203.0.113.77"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}

    done = kept(message, redact)

    assert done == message | {"content": ""}
    assert convert_to_messages([done])[0].tool_calls[0]["args"] == {"ip": "203.0.113.77"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": f"my key is {SECRET}"},
        {"role": "user", "content": [{"type": "text", "text": f"my key is {SECRET}"}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "name": "f", "args": {"deep": [{"key": SECRET}]}}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": f'{{"k": "{SECRET}"}}'}}]},
        {"role": "assistant", "invalid_tool_calls": [{"id": "a", "args": f"{{{SECRET}"}]},
        {"role": "user", "content": "x", "name": SECRET},
        {"role": "user", "content": "word " * MAX_CHARS + SECRET},
        {"role": "user", "content": "x" * (MAX_CHARS // 2 - 10) + " " + SECRET + " " + "x" * MAX_CHARS},
    ],
    ids=["text", "part", "arguments", "openai", "unreadable", "name", "end of long", "cut of long"],
)
def test_no_secret_is_kept_wherever_it_stands(message):
    done = json.dumps(kept(message, redact))

    assert SECRET not in done
    assert SECRET[:12] not in done
    assert "[redacted:" in done or "left out" in done


def test_ids_stay_even_if_they_look_like_secrets():
    call = {"role": "assistant", "tool_calls": [{"id": SECRET, "name": "f", "args": {}}], "id": SECRET}
    result = {"role": "tool", "tool_call_id": SECRET, "content": "x"}

    assert calls(kept(call, redact)) == {answers(kept(result, redact))} == {SECRET}
    assert kept(call, redact)["id"] == SECRET


@settings(max_examples=150, deadline=None)
@given(content=ANYTHING, arguments=ANYTHING)
def test_whatever_it_holds_becomes_json_that_both_databases_take(content, arguments):
    call = {"id": "a", "name": "f", "args": arguments}

    done = kept({"role": "assistant", "content": content, "tool_calls": [call]}, redact)

    text = json.dumps(done, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert json.loads(text) == done
    assert isinstance(done["content"], str | list)


def test_a_nest_without_end_is_cut():
    nest: dict[str, object] = {}
    nest["again"] = nest

    done = kept({"role": "assistant", "tool_calls": [{"id": "a", "name": "f", "args": nest}]}, redact)

    assert "nested too deep" in json.dumps(done)


def test_an_image_that_is_too_large_is_left_out_whole():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * MAX_CHARS}}

    assert kept({"role": "user", "content": [part]}, redact)["content"] == [
        {"type": "text", "text": "[… left out: too large to be kept …]"}
    ]


def test_a_long_text_loses_its_middle_and_says_so():
    done = kept({"role": "user", "content": "a" * MAX_CHARS + "b" * MAX_CHARS}, redact)["content"]

    assert done.startswith("a" * 100)
    assert done.endswith("b" * 100)
    assert f"{MAX_CHARS} characters left out" in done


@pytest.mark.parametrize(
    "message", [None, "text", {}, {"role": "owner"}, MagicMock(), datetime(2026, 1, 1, tzinfo=UTC)]
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(UnreadableMessage, match="role"):
        kept(message, redact)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "user", "id": "x" * 201}, "id"),
        ({"role": "tool", "tool_call_id": "x" * 201}, "tool_call_id"),
        ({"role": "assistant", "tool_calls": [{"id": "x" * 201}]}, "tool_calls.id"),
    ],
)
def test_an_id_that_is_too_long_is_refused_by_name(message, field):
    with pytest.raises(UnreadableMessage) as refused:
        kept(message, redact)

    assert refused.value.context["field"] == field


def test_roles_survive():
    for spelling in ("system", "developer", "human", "user", "ai", "assistant", "tool"):
        assert role(kept({"role": spelling, "content": "x"}, redact)) == role({"role": spelling})
