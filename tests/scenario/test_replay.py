"""A run again from its journal: byte-equal, or the step is named at which it differs."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, select, update

from aurora.bootstrap import open_runtime
from aurora.discovery import Content, discover_content
from aurora.dispatch.recorded import NotReplayable
from aurora.ingest.reading import Source
from aurora.settings import load_settings
from aurora.storage.models import JournalModel, TaskModel
from aurora.testing import Calls, ScriptedChatModel
from tests.scenario.running import replays, triage

ALERT = {
    "title": "Encoded PowerShell command",
    "severity": "high",
    "source": "edr",
    "rule": "r-1",
    "host": "ws-1",
    "command_line": "powershell -enc SQBFAFgA \u202e\x00 \\ud800 {{ data }}",
    "iocs": ["203.0.113.9"],
}
OPINION = {
    "label": "malicious",
    "confidence": 0.8,
    "summary": "An encoded command was run.",
    "claims": [{"text": "encoded", "evidence": ["f1"], "speaks_for": "malicious", "strength": "moderate"}],
}
LOOKS_UP = Calls(("warning_list", {"value": "203.0.113.9"}), ("technique", {"id": "T1059.001"}))


def source(*documents: Mapping[str, Any]) -> list[Source]:
    return [Source("-", None, stream=io.BytesIO(b"".join(orjson.dumps(each) + b"\n" for each in documents)))]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'aurora.db'}"


@pytest.fixture
async def ended(database: str) -> dict[str, Any]:
    """A triaged alert whose run called tools, was told to mend its answer, and then answered."""
    with ScriptedChatModel([LOOKS_UP, "I have seen enough.", {"label": "maybe"}, OPINION]) as chat:
        (document,) = await triage(database, source(ALERT), chat=chat)
    assert (document["decided_by"], document["degraded"]) == ("model", False)
    return document


async def rows(database: str, statement: Any) -> list[Any]:
    settings = load_settings(environ={}, database={"url": database})
    async with open_runtime(settings) as runtime, runtime.storage.writing() as transaction:
        result = await transaction.connection.execute(statement)
        return list(result.all()) if result.returns_rows else []


async def replayed(database: str, document: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    (found,) = await replays(database, [document], **given)
    return found


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(_messages: Any) -> Any:
    raise Killed


class TestEqual:
    async def test_a_run_with_a_model_and_tools_ends_byte_equal(self, database, ended) -> None:
        found = await replayed(database, ended)

        assert (found["equal"], found["difference"]) == (True, "")
        assert [each["node"] for each in found["steps"] if not each["from_record"]] == [
            "observables",
            "enrich",
            "assess",
            "verify",
            "decide",
        ]
        assert found["answers"] == 6  # four of the model, two of tools

    async def test_a_run_without_a_model_ends_byte_equal(self, database) -> None:
        (document,) = await triage(database, source(ALERT))

        found = await replayed(database, document)

        assert (found["equal"], found["answers"]) == (True, 0)

    async def test_a_degraded_run_ends_byte_equal(self, database) -> None:
        with ScriptedChatModel(["", "rubbish", "rubbish", "rubbish"]) as chat:
            (document,) = await triage(database, source(ALERT), chat=chat)
        assert (document["decided_by"], document["degraded"]) == ("rules", True)

        assert (await replayed(database, document))["equal"]

    async def test_a_replay_writes_nothing_and_asks_no_model(self, database, ended, tmp_path) -> None:
        before = await rows(database, select(JournalModel.answer_sha256)), digest_of(tmp_path)

        with ScriptedChatModel([]) as chat:
            await replayed(database, ended, chat=chat)

        assert (await rows(database, select(JournalModel.answer_sha256)), digest_of(tmp_path)) == before

    async def test_a_run_that_was_stopped_between_two_answers_asks_only_for_what_is_missing(self, database) -> None:
        with pytest.raises(BaseException, match="Killed|unhandled"):
            await triage(database, source(ALERT), chat=ScriptedChatModel([LOOKS_UP, "Enough.", killed]))
        with ScriptedChatModel([OPINION]) as rest:
            (document,) = await triage(database, source(ALERT), chat=rest, seed=8)

        assert document["decided_by"] == "model"
        assert (await replayed(database, document))["equal"]

    async def test_a_run_that_is_taken_up_without_the_model_it_began_with_ends_by_the_rules(self, database) -> None:
        with pytest.raises(BaseException, match="Killed|unhandled"):
            await triage(database, source(ALERT), chat=ScriptedChatModel([LOOKS_UP, "Enough.", killed]))

        (document,) = await triage(database, source(ALERT), seed=8)

        assert (document["decided_by"], document["degraded"]) == ("rules", False)
        found = await replayed(database, document)
        assert (found["equal"], found["answers"]) == (True, 0)


class TestDifferent:
    async def test_a_rule_that_is_gone_is_found_at_the_step_where_it_spoke(self, database, ended) -> None:
        content = discover_content()
        fewer = {id_: rule for id_, rule in content.rules.items() if not id_.startswith("severity")}

        found = await replayed(database, ended, content=replace(content, rules=fewer))

        assert not found["equal"]
        assert "6.assess/triage asks model scripted:model something else than the run did" in found["difference"]
        assert [each["node"] for each in found["steps"]][-1] == "correlate"

    async def test_another_prompt_is_found(self, database, ended, tmp_path) -> None:
        content = discover_content()
        prompt = content.agents["triage"].instructions
        folder = tmp_path / "other"
        folder.mkdir()
        (folder / "triage.md").write_text(f"---\nid: triage\nversion: 2\n---\n{prompt.text}\nBe kind.\n")

        found = await replayed(database, ended, content=with_prompt(content, folder / "triage.md"))

        assert not found["equal"]
        assert "/messages/0/text" in found["difference"]

    async def test_an_answer_that_was_changed_is_refused(self, database, ended) -> None:
        forged = zlib.compress(json.dumps(OPINION).encode())
        await rows(database, update(JournalModel).where(JournalModel.number == 4).values(answer=forged))

        with pytest.raises(NotReplayable, match="entry 4 of 6.assess/triage .* was changed"):
            await replayed(database, ended)

    async def test_an_answer_that_was_changed_with_its_hash_is_found_at_its_step(self, database, ended) -> None:
        (last,) = await rows(
            database, select(JournalModel.answer, JournalModel.number).order_by(JournalModel.number.desc()).limit(1)
        )
        lie = zlib.decompress(last.answer).replace(b"moderate", b"strong")
        changed = {"answer": zlib.compress(lie), "answer_sha256": hashlib.sha256(lie).digest()}
        await rows(database, update(JournalModel).where(JournalModel.number == last.number).values(**changed))

        found = await replayed(database, ended)

        assert found["difference"].startswith("step 6, node assess: /contributions/")

    async def test_an_answer_that_is_missing_is_found(self, database, ended) -> None:
        await rows(database, delete(JournalModel).where(JournalModel.number == 6))

        assert "once more than the run did" in (await replayed(database, ended))["difference"]

    async def test_an_answer_that_nobody_asks_for_is_found(self, database) -> None:
        (document,) = await triage(database, source(ALERT), chat=ScriptedChatModel(["Enough.", OPINION]))
        await rows(
            database,
            JournalModel.__table__.insert().from_select(
                [column.name for column in JournalModel.__table__.columns],
                select(
                    *[
                        (column + 10).label("number") if column.name == "number" else column
                        for column in JournalModel.__table__.columns
                    ]
                ).where(JournalModel.number == 1),
            ),
        )

        found = await replayed(database, document)

        assert found["difference"] == (
            "the run asked model scripted:model in 6.assess/triage, call 11; the replay did not"
        )

    async def test_a_graph_that_cannot_be_built_any_more_is_a_difference(self, database, ended) -> None:
        def broken() -> Any:
            raise RuntimeError("the password is hunter2")

        content = discover_content()
        graphs = {**content.graphs, "triage": replace(content.graphs["triage"], build=broken)}

        found = await replayed(database, ended, content=replace(content, graphs=graphs))

        assert found["difference"] == "the graph of today cannot be built: RuntimeError"

    async def test_a_run_that_has_not_ended_is_not_replayed(self, database, ended) -> None:
        await rows(database, update(TaskModel).values(state="running"))

        with pytest.raises(NotReplayable, match="only a run that came to its end"):
            await replayed(database, ended)

    async def test_a_difference_shows_no_text_from_outside(self, database, ended) -> None:
        content = discover_content()
        fewer = {id_: rule for id_, rule in content.rules.items() if not id_.startswith("severity")}

        found = await replayed(database, ended, content=replace(content, rules=fewer))

        assert not found["equal"]
        assert "powershell" not in found["difference"].lower()


def with_prompt(content: Content, path: Path) -> Content:
    """Return content whose triage analyst has another prompt; the graph holds the agent itself, so it is swapped."""
    agent = content.agents["triage"]
    from aurora.sdk.prompt import read_prompt

    agent.__dict__["instructions"] = read_prompt(path)
    return content


@pytest.fixture(autouse=True)
def own_prompt():
    yield
    discover_content().agents["triage"].__dict__.pop("instructions", None)


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "aurora.db").read_bytes()).hexdigest()
