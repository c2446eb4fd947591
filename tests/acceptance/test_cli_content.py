"""`aurora content show`: one thing in full."""

from __future__ import annotations

import hashlib

import pytest

from agents import triage
from tests.command import ROOT, aurora


def test_an_agent_is_shown_with_its_prompt_its_tools_and_the_form_of_its_answer():
    (document,) = aurora("content", "show", "triage", "--kind", "agent", "--json").documents
    human = aurora("content", "show", "triage", "--kind", "agent")

    digest = hashlib.sha256((ROOT / "agents" / "prompts" / "triage.md").read_bytes()).hexdigest()
    assert document["prompt"] == f"triage@{triage.TRIAGE.instructions.version}#{digest[:12]}"
    assert [each["id"] for each in document["tools"]] == list(triage.TRIAGE.tools)
    assert set(document["answer"]["properties"]) >= {"label", "confidence", "claims"}
    assert document["prompt"] in human.out
    assert "You are a triage analyst" in human.out


def test_a_tool_is_shown_with_the_arguments_that_models_are_shown():
    (document,) = aurora("content", "show", "past_alerts", "--json").documents
    human = aurora("content", "show", "past_alerts")

    assert list(document["arguments"]["properties"]) == ["entity", "value", "days"]
    assert document["arguments"]["additionalProperties"] is False
    assert document["agents"] == ["triage"]
    assert document["doc"] in " ".join(human.out.split())


@pytest.mark.parametrize(
    ("kind", "key"),
    [("graph", "nodes"), ("rule", "doc"), ("enricher", "doc"), ("tool", "arguments"), ("format", "doc")],
)
def test_everything_that_is_listed_can_be_shown(kind, key):
    for item in aurora("content", "list", "--kind", kind, "--json").documents[:2]:
        (document,) = aurora("content", "show", item["id"], "--kind", kind, "--json").documents

        assert {name: document[name] for name in item} == item
        assert document[key]


def test_an_id_of_two_kinds_asks_which():
    result = aurora("content", "show", "triage")

    assert result.status == 1
    assert "choose one with --kind (graph, agent)" in result.err


def test_what_is_not_there_is_told():
    result = aurora("content", "show", "nosuch\x1b[31m", "--kind", "tool")

    assert result.status == 1
    assert "there is no tool 'nosuch\\x1b[31m'; `aurora content list` shows what there is" in result.err
