"""The real client against a server on loopback that speaks the real protocol and misbehaves in each way."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from aurora.kernel.clock import SystemClock
from aurora.llm.open import Models, open_models
from aurora.llm.request import ModelRequest
from aurora.settings import ModelSettings
from tests.llm_kit import ALONE, ANALYST, CALLED, GOOD, MemoryJournal, agents_of
from tests.llm_server import (
    Behaviour,
    completion,
    drips,
    fails,
    floods,
    hangs,
    refuses,
    resets,
    says,
    scripted_server,
)

pytestmark = pytest.mark.integration

DATA = {"alert": "f1"}
ANSWERS = says(completion(json.dumps(GOOD)))


@asynccontextmanager
async def model_at(url: str, **settings: Any) -> Any:
    given = {"deadline": timedelta(seconds=5), "attempts": 1} | settings
    async with open_models(ModelSettings(name="openai:scripted", url=url, **given), clock=SystemClock()) as models:
        yield models


async def asked(*behaviours: Behaviour, agent: Any = ALONE, **settings: Any) -> tuple[Any, Any, MemoryJournal]:
    """Ask an agent on a server that behaves so; return the answer, the server and the journal."""
    journal = MemoryJournal()
    async with scripted_server(*behaviours) as server, model_at(server.url, **settings) as models:
        answer = await agents_of(models.model, journal).ask(agent, DATA)
    return answer, server, journal


async def outcome_of(models: Models, *, left: timedelta = timedelta(seconds=5)) -> Any:
    assert models.model is not None
    request = ModelRequest(messages=[{"role": "user", "text": "hello"}])
    return await models.model.line.ask(request, left=left, generator=random.Random(7))


async def test_a_server_that_behaves_is_asked_in_its_protocol() -> None:
    answer, server, _ = await asked(says(completion("Harmless.")), ANSWERS)

    assert answer.value.label == "benign"
    assert (answer.use.input_tokens, answer.use.output_tokens) == (200, 40)
    assert answer.use.cost_usd == 0
    think, final = server.requests
    assert [each["role"] for each in think["messages"]] == ["system", "user"]
    assert [each["role"] for each in final["messages"]] == ["system", "user", "assistant", "user"]
    assert final["response_format"]["json_schema"]["strict"] is True
    assert think["temperature"] == 0.0
    assert think["max_tokens"] == 1500
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (fails(500), "unavailable"),
        (fails(529), "unavailable"),
        (fails(429), "busy"),
        (resets, "unavailable"),
        (hangs, "timeout"),
        (drips, "timeout"),
        (floods, "too_long"),
        (says(completion("x" * 10_000_000)), "too_long"),
        (says({"error": {"message": "y" * 10_000_000}}, status=500), "too_long"),
        (fails(401), "key"),
        (fails(403), "key"),
        (fails(404), "not_found"),
        (fails(400, "this model's maximum context length is 4096 tokens"), "context"),
        (fails(418), "request"),
        (says(b"", status=307, Location="http://127.0.0.1:9/elsewhere"), "not_found"),
        (says(b"not json"), "garbled"),
        (says(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "garbled"),
        (says(b"<html>login</html>", content_type="text/html"), "garbled"),
        (says(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"), "garbled"),
        (says({}), "garbled"),
        (says([]), "garbled"),
        (says(b"null"), "garbled"),
        (says(completion() | {"choices": []}), "garbled"),
        (says(completion() | {"choices": [{}]}), "garbled"),
        (says(completion() | {"choices": 7}), "garbled"),
        (says(completion(7)), "garbled"),
        (says(completion(usage=("many", "more"))), "garbled"),
        (says(b"[" * 100_000), "garbled"),
        (says(completion(None, refusal="I will not")), "refused"),
        (says(completion("no " * 20)), "garbled"),
        (says(completion(json.dumps(GOOD | {"confidence": 1_000_000}))), "garbled"),
        (says(completion("")), "garbled"),
        (says(completion(None)), "garbled"),
    ],
)
async def test_whatever_a_server_does_ends_in_a_reason_in_time_and_little_memory(
    behaviour: Behaviour, code: str
) -> None:
    tracemalloc.start()
    try:
        answer, server, journal = await asked(says(completion()), behaviour, deadline=timedelta(seconds=0.7))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.value is None
    assert answer.failure == f"aurora.model.{code}"
    assert not answer.exhausted
    assert len(server.requests) <= 7
    assert peak < 60 * 2**20
    assert "y" * 100 not in json.dumps(journal.entries)


async def test_an_endless_body_is_left_after_a_bounded_part_of_it() -> None:
    _, server, _ = await asked(floods, max_answer_bytes=4096)

    assert server.written < 8 * 2**20, "what the sockets hold, and no more"


@pytest.mark.parametrize("usage", [None, (-5, -5), (None, None)])
async def test_a_server_that_tells_no_usable_number_of_tokens_is_charged_an_estimate(usage: Any) -> None:
    answer, _, _ = await asked(says(completion(json.dumps(GOOD), usage=usage)))

    assert answer.value is not None
    assert answer.use.input_tokens > 300
    assert answer.use.output_tokens > 20


async def test_tools_are_called_over_the_wire_and_strange_calls_are_told_back() -> None:
    CALLED.clear()
    calls = [("seen_before", '{"value": "web-1"}'), ("format_disk", "{}"), ("seen_before", "{broken"), ("", "[]")]
    answer, server, _ = await asked(says(completion(None, calls=calls)), says(completion()), ANSWERS, agent=ANALYST)

    assert answer.value is not None
    assert [each.id for each in answer.findings] == ["t1"]
    turn = server.requests[1]["messages"][2]
    results = server.requests[1]["messages"][3:]
    assert [each["id"] for each in turn["tool_calls"]] == ["call-1", "call-2", "call-3", "call-4"]
    assert [each["function"]["name"] for each in turn["tool_calls"]][:2] == ["seen_before", "unknown_tool"]
    assert [each["tool_call_id"] for each in results] == ["call-1", "call-2", "call-3", "call-4"]
    assert server.requests[0]["tools"][0]["function"]["name"] == "seen_before"


async def test_of_five_thousand_calls_a_few_are_carried_out() -> None:
    CALLED.clear()
    calls = [("seen_before", json.dumps({"value": f"web-{n}"})) for n in range(2000)]
    answer, server, _ = await asked(
        says(completion(None, calls=calls)), says(completion()), ANSWERS, agent=ANALYST, max_answer_bytes=2**20
    )

    assert answer.value is not None
    assert len(CALLED) == 8
    assert "1,992 more calls" in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize("feature", ["tools", "response_format", "temperature"])
async def test_what_a_server_refuses_is_learnt_once_and_done_without(feature: str) -> None:
    async with (
        scripted_server(refuses(feature, completion(json.dumps(GOOD)))) as server,
        model_at(server.url) as models,
    ):
        first = await agents_of(models.model, MemoryJournal()).ask(ANALYST, DATA)
        refused = sum(feature in each for each in server.requests)
        second = await agents_of(models.model, MemoryJournal()).ask(ANALYST, DATA)

    assert first.value == second.value is not None
    assert refused >= 1
    assert sum(feature in each for each in server.requests) == refused, "it was asked again for what it refuses"
    assert first.use.calls == 2


async def test_llama_cpp_without_a_template_for_tools_is_done_without_them() -> None:
    words = "tools param requires --jinja flag"
    answer, server, _ = await asked(fails(500, words), says(completion()), ANSWERS, agent=ANALYST)

    assert answer.value is not None
    assert "tools" not in server.requests[1]


async def test_a_failing_server_does_not_teach_that_it_has_no_tools() -> None:
    async with scripted_server(fails(500), ANSWERS) as server, model_at(server.url) as models:
        await agents_of(models.model, MemoryJournal()).ask(ANALYST, DATA)
        await agents_of(models.model, MemoryJournal()).ask(ANALYST, DATA)

    assert "tools" in server.requests[1]


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_server_that_says_when_to_come_back_is_obeyed(status: int, form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2.9), usegmt=True)
    pause = fails(status, Retry_After="1" if form == "seconds" else later)
    async with scripted_server(pause, ANSWERS) as server, model_at(server.url, attempts=3) as models:
        outcome = await outcome_of(models, left=timedelta(seconds=20))

    assert outcome.reply is not None
    assert outcome.took >= timedelta(seconds=1)
    assert outcome.attempts == 2


async def test_nobody_waits_for_a_server_longer_than_the_run_may_take() -> None:
    async with scripted_server(fails(429, Retry_After="3600")) as server, model_at(server.url, attempts=3) as models:
        outcome = await outcome_of(models)

    assert outcome.error.code == "aurora.model.busy"
    assert outcome.took < timedelta(seconds=2)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_another_try_cannot_mend_is_tried_once(status: int) -> None:
    async with scripted_server(fails(status)) as server, model_at(server.url, attempts=3) as models:
        await outcome_of(models)

    assert len(server.requests) == 1


async def test_a_breaker_spares_a_server_that_keeps_failing() -> None:
    async with scripted_server(fails(500)) as server, model_at(server.url) as models:
        outcomes = [await outcome_of(models) for _ in range(8)]

    assert [each.error.code for each in outcomes[5:]] == ["aurora.model.resting"] * 3
    assert len(server.requests) == 5


async def test_no_more_requests_are_under_way_than_are_allowed() -> None:
    under_way = peak = 0

    async def counts(body: Any, write: Any) -> None:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        await ANSWERS(body, write)

    async with scripted_server(counts) as server, model_at(server.url, concurrency=2) as models:
        outcomes = await asyncio.gather(*(outcome_of(models) for _ in range(8)))

    assert all(each.reply for each in outcomes)
    assert peak == 2


async def test_the_providers_own_key_goes_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: sk-canary")
    monkeypatch.setenv("OPENAI_ORG_ID", "sk-canary")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "sk-canary")
    monkeypatch.setenv("LANGSMITH_GATEWAY", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "sk-canary")

    answer, server, journal = await asked(ANSWERS)

    assert answer.value is not None
    assert "sk-canary" not in json.dumps([server.headers, server.requests, journal.entries])


async def test_a_key_that_is_set_is_sent_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with scripted_server(fails(401)) as server, model_at(server.url, api_key="sk-canary") as models:
        outcome = await outcome_of(models)
        shown = repr([models.model.settings, models.model.built, models.model.built.chat, outcome])

    assert server.headers[0]["authorization"] == "Bearer sk-canary"
    assert "sk-canary" not in shown + str(outcome.error) + caplog.text


async def test_prompts_are_sent_to_no_tracing_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_server(says({})) as tracing:
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", "x")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", tracing.url)
        answer, _, _ = await asked(ANSWERS)
        await asyncio.sleep(0.3)

    assert answer.value is not None
    assert tracing.requests == []
