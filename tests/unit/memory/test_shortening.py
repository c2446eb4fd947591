"""What does not fit loses its middle, says so, and never shows half an address."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from memory.messages import calls, role
from memory.shortening import MARK_TOKENS, shortened, shortened_message, smallest
from memory.tokens import ESTIMATE, TokenCounter

COUNT = TokenCounter()
ADDRESSES = [f"203.0.{third}.{fourth}" for third in range(20) for fourth in range(20)]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=3000), tokens=st.integers(0, 200), encoding=st.sampled_from(["cl100k_base", ESTIMATE]))
def test_a_shortened_text_has_at_most_so_many_tokens(text, tokens, encoding):
    count = TokenCounter(encoding)

    assert count.count(shortened(text, tokens=tokens, count=count)) <= max(tokens, MARK_TOKENS)


def test_a_text_that_fits_is_left_alone():
    assert shortened("a few words", tokens=50, count=COUNT) == "a few words"


@pytest.mark.parametrize("tokens", range(30, 400, 37))
@pytest.mark.parametrize("between", [" ", ", ", '","', "\n"], ids=repr)
def test_no_address_is_cut_in_two(tokens, between):
    done = shortened(between.join(ADDRESSES), tokens=tokens, count=COUNT)

    head, _, rest = done.partition(" […")
    left_out, _, tail = rest.partition("…] ")
    shown = [each.strip(' ",\n') for each in (head + between + tail).split(between)]
    assert {each for each in shown if each} <= set(ADDRESSES)
    assert int(left_out.split()[0]) == len(between.join(ADDRESSES)) - len(head) - len(tail)


def test_the_longest_text_of_a_message_is_cut_and_the_short_ones_stay():
    message = {
        "role": "assistant",
        "content": "I write the report.",
        "tool_calls": [{"id": "a", "name": "write", "args": {"path": "/tmp/report", "text": "word " * 5000}}],
    }

    done = shortened_message(message, tokens=300, count=COUNT)

    assert COUNT.count_message(done) <= 300
    assert done["content"] == "I write the report."
    assert done["tool_calls"][0]["args"]["path"] == "/tmp/report"
    assert "characters left out" in done["tool_calls"][0]["args"]["text"]
    assert message["tool_calls"][0]["args"]["text"] == "word " * 5000, "the original is nobody's to change"


def test_arguments_that_are_json_in_a_string_stay_json():
    arguments = json.dumps({"text": 'a "quoted" word ' * 500})
    message = {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": arguments}}]}

    done = shortened_message(message, tokens=100, count=COUNT)

    assert "characters left out" in json.loads(done["tool_calls"][0]["function"]["arguments"])["text"]
    assert COUNT.count_message(done) <= 100


@pytest.mark.parametrize("tokens", [60, 200])
def test_langchain_messages_stay_what_they_are(tokens):
    message = AIMessage("word " * 900, id="m1", tool_calls=[{"id": "a", "name": "f", "args": {"q": "word " * 900}}])

    done = shortened_message(message, tokens=tokens, count=COUNT)

    assert isinstance(done, AIMessage)
    assert (done.id, calls(done), role(done)) == ("m1", {"a"}, "ai")
    assert COUNT.count_message(done) <= tokens


def test_images_go_before_words():
    message = HumanMessage([{"type": "image", "base64": "A" * 50}, {"type": "text", "text": "what is it?"}])

    done = shortened_message(message, tokens=100, count=COUNT)

    assert done.content == [{"type": "text", "text": "[… left out …]"}, {"type": "text", "text": "what is it?"}]


def test_what_cannot_be_made_so_short_is_none_and_the_smallest_form_is_marks():
    message = {"role": "user", "content": "word " * 500}

    assert shortened_message(message, tokens=5, count=COUNT) is None
    assert smallest(message, count=COUNT)["content"] == "[…2500 characters left out…]"
