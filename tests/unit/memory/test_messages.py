"""Messages are read by their shape: LangChain's own, and dicts as they travel."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import MagicMock

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage

from memory import SlidingWindow
from memory.messages import answers, calls, role


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("x"), "system"),
        (HumanMessage("x"), "human"),
        (AIMessage("x"), "ai"),
        (AIMessageChunk("x"), "ai"),
        (ToolMessage("x", tool_call_id="a"), "tool"),
        ({"role": "system"}, "system"),
        ({"role": "developer"}, "system"),
        ({"role": "user"}, "human"),
        ({"role": "assistant"}, "ai"),
        ({"role": "tool"}, "tool"),
        ({"type": "human"}, "human"),
        ({"role": "SYSTEM"}, ""),
        ({"role": ["system"]}, ""),
        ({}, ""),
        (MagicMock(), ""),
        ("text", ""),
        (None, ""),
    ],
    ids=repr,
)
def test_the_role_of_a_message(message, expected):
    assert role(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            AIMessage("", tool_calls=[{"id": "a", "name": "f", "args": {}}, {"id": "b", "name": "f", "args": {}}]),
            {"a", "b"},
        ),
        (AIMessage("", invalid_tool_calls=[{"id": "a", "name": "f", "args": "{", "error": "cut off"}]), {"a"}),
        (AIMessage("", tool_calls=[{"id": None, "name": "f", "args": {}}]), set()),
        ({"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}, {"a"}),
        ({"role": "assistant", "tool_calls": "a"}, set()),
        ({"role": "assistant", "tool_calls": [7, None, {"id": 7}, {"id": ""}]}, set()),
        (MagicMock(), set()),
    ],
    ids=repr,
)
def test_the_calls_of_a_message(message, expected):
    assert calls(message) == expected


def test_the_call_that_a_result_answers():
    assert answers(ToolMessage("x", tool_call_id="a")) == "a"
    assert answers({"role": "tool", "tool_call_id": "a"}) == "a"
    assert answers(HumanMessage("x")) is None
    assert answers(MagicMock()) is None


def test_an_exchange_of_langchain_messages_goes_as_one():
    window = SlidingWindow(max_messages=3)
    system, question = SystemMessage("weigh"), HumanMessage("next")
    for message in (
        system,
        AIMessage("", tool_calls=[{"id": "a", "name": "f", "args": {}}]),
        ToolMessage("x", tool_call_id="a"),
        question,
    ):
        window.add(message)

    assert window.get_all() == [system, question]


def test_memory_does_not_import_a_chat_library():
    code = "import memory, sys; print([each for each in sys.modules if each.startswith(('langchain', 'langgraph'))])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
