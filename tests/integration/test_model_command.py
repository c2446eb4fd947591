"""`aurora model`: what a model can do is found out by asking it, and told in words and as JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from aurora.kernel.clock import SystemClock
from aurora.llm.open import open_models
from aurora.llm.probe import Findings, probe
from aurora.settings import ModelSettings
from tests.command import aurora
from tests.llm_server import Behaviour, Body, Write, completion, fails, hangs, resets, says, scripted_server

pytestmark = pytest.mark.integration


async def capable(body: Body, write: Write) -> None:
    """Do whatever is asked, as a good model on a good server does."""
    if body.get("path", "").endswith("/models"):
        reply: Any = {"data": [{"id": "other"}, {"id": "scripted", "max_model_len": 32768}]}
    elif "tools" in body:
        reply = completion(None, calls=[("door_state", '{"door": "door-3"}')])
    elif "response_format" in body:
        reply = completion(json.dumps({"sky": "clear", "degrees": 20}))
    else:
        reply = completion(f"MERIDIAN {json.dumps({'sky': 'clear', 'degrees': 20})}")
    await says(reply)(body, write)


async def plain(body: Body, write: Write) -> None:
    """Know nothing but text, and write JSON when it is told to."""
    if "tools" in body or "response_format" in body:
        await fails(400)(body, write)
    else:
        await says(completion('{"sky": "cloudy", "degrees": 3}'))(body, write)


async def found(behaviour: Behaviour) -> Findings:
    settings = ModelSettings(name="openai:scripted", deadline=timedelta(seconds=1))
    async with scripted_server(behaviour) as server:
        given = settings.model_copy(update={"url": server.url})
        async with open_models(given, clock=SystemClock()) as models:
            assert models.model is not None
            return await probe(models.model)


def states(findings: Findings) -> dict[str, str]:
    return {each.id: each.state for each in findings.checks}


async def test_a_model_that_can_do_everything_is_used_for_everything() -> None:
    findings = await found(capable)

    assert findings.is_usable
    assert set(states(findings).values()) == {"yes"}
    assert findings.uses == ["answers held to a JSON schema", "tools"]
    assert findings.without == []
    assert next(each.detail for each in findings.checks if each.id == "context") == "32,768 tokens"


async def test_a_model_that_can_only_write_is_done_without_the_rest() -> None:
    findings = await found(plain)

    assert findings.is_usable
    assert states(findings)["json_schema"] == states(findings)["tools"] == states(findings)["system"] == "no"
    assert states(findings)["text"] == "yes"
    assert states(findings)["context"] == "unknown"
    assert findings.uses == []
    assert any(line.startswith("tools") for line in findings.without)


@pytest.mark.parametrize(
    ("behaviour", "reachable"), [(resets, "no"), (hangs, "no"), (fails(401), "yes"), (says(b"hello"), "yes")]
)
async def test_a_model_that_does_not_answer_leaves_the_rules_to_decide(behaviour: Behaviour, reachable: str) -> None:
    findings = await found(behaviour)

    assert not findings.is_usable
    assert states(findings)["reachable"] == reachable
    assert "written rules will decide" in findings.without[0]


async def test_a_model_that_writes_rubbish_is_not_usable() -> None:
    findings = await found(says(completion("\x1b[2J\u202e blah")))

    assert not findings.is_usable
    assert "written rules will decide" in findings.without[-1]


def test_a_server_that_is_not_there_is_told_in_one_line_and_by_the_exit_status() -> None:
    result = aurora("model", "check", "--model", "openai:some", "--model-url", "http://127.0.0.1:9/v1", "--json")

    assert result.status == 1
    assert result.documents[0]["is_usable"] is False
    assert "cannot be reached" in result.documents[0]["checks"][0]["detail"]


def test_the_providers_are_listed_with_what_they_lack() -> None:
    listed = {each["provider"]: each for each in aurora("model", "list", "--json").documents}

    assert listed["openai"]["installed"] is True
    assert listed["ollama"]["needs_key"] is False
    assert listed["anthropic"]["install"] == "pip install 'aurora-soc[anthropic]'"
    assert "sk-" not in json.dumps(listed)


@pytest.mark.parametrize(
    ("name", "words"), [("nobody:x", "ollama"), ("openai:gpt", "OPENAI_API_KEY"), ("plain", "model.name")]
)
def test_a_model_that_cannot_be_built_is_a_wrong_use(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    result = aurora("model", "check", "--model", name)

    assert result.status == 2
    assert words in result.err


def test_without_a_model_the_check_says_how_to_name_one() -> None:
    result = aurora("model", "check")

    assert result.status == 2
    assert "--model provider:name" in result.err
