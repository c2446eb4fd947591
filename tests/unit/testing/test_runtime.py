"""The runtime for tests: real parts, nothing of the machine, nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, ValidationError

from aurora.kernel.errors import ContentInvalid, InputError, NotFound
from aurora.sdk import AgentSpec, GiveUp, GraphSpec, RunContext
from aurora.sdk.agents import Agents
from aurora.testing import Calls, ManualClock, RunFailed, ScriptBroken, ScriptedChatModel, open_runtime
from tests.command import alert


class NoteState(TypedDict, total=False):
    text: str
    note: str


class Note(BaseModel):
    """What the agent of these tests answers with."""

    note: str


@pytest.fixture
def noter(tmp_path) -> AgentSpec:
    """An agent whose prompt is in the folder of the test."""
    prompt = tmp_path / "noter.md"
    prompt.write_text("---\nid: noter\nversion: 3\n---\nYou take notes.\n", encoding="utf-8")
    return AgentSpec(id="noter", version="1", title="Noter", prompt=str(prompt), answer=Note, tools=("technique",))


def graph(node: Any, *, id: str = "noting") -> GraphSpec:
    def build() -> Any:
        from langgraph.graph import END, START, StateGraph

        built: Any = StateGraph(NoteState, context_schema=RunContext)
        built.add_node("note", node)
        built.add_edge(START, "note")
        built.add_edge("note", END)
        return built

    return GraphSpec(
        id=id, version="1", title="Noting", description="Notes.", build=build, state=NoteState, nodes=("note",)
    )


async def shout(state: NoteState) -> NoteState:
    return {"note": state["text"].upper()}


async def test_a_graph_of_the_test_runs_to_its_end() -> None:
    async with open_runtime(content=[graph(shout)]) as runtime:
        ended = await runtime.run("noting", {"text": "quiet"})

    assert ended.values == {"text": "quiet", "note": "QUIET"}
    assert ended.outcome == "done"


async def test_the_same_key_is_the_same_run() -> None:
    async with open_runtime(content=[graph(shout)]) as runtime:
        first = await runtime.run("noting", {"text": "a"}, key="k")
        again = await runtime.run("noting", {"text": "a"}, key="k")

    assert again.run_id == first.run_id


async def test_what_a_node_raises_is_the_cause_of_the_failure() -> None:
    async with open_runtime(content=[graph(shout)]) as runtime:
        with pytest.raises(RunFailed, match="'noting' ended as failed: KeyError") as caught:
            await runtime.run("noting")

    assert isinstance(caught.value.__cause__, KeyError)


async def test_input_and_graphs_that_are_not_there_are_refused() -> None:
    async with open_runtime(content=[graph(shout)]) as runtime:
        with pytest.raises(InputError, match="'txt' is no key"):
            await runtime.run("noting", {"txt": "a"})
        with pytest.raises(NotFound, match="there are noting, triage"):
            await runtime.run("nothing")


async def test_content_with_a_fault_is_refused() -> None:
    with pytest.raises(ContentInvalid, match="must be lower-case words"):
        async with open_runtime(content=[graph(shout, id="Not An Id")]):
            pass


async def test_an_agent_is_asked_with_its_tools_and_its_prompt(noter) -> None:
    model = ScriptedChatModel([Calls(("technique", {"id": "T1059"})), "Noted.", {"note": "it is a shell"}])

    async with open_runtime(model=model, content=[noter]) as runtime:
        answer = await runtime.ask(noter, {"text": "powershell"})

    assert answer.value == Note(note="it is a shell")
    assert [each.kind for each in answer.findings] == ["technique"]
    assert answer.use.prompt.startswith("noter@3#")


async def test_a_script_that_is_left_over_fails_the_test(noter) -> None:
    model = ScriptedChatModel(["Noted.", {"note": "a"}, "one too many"])

    with pytest.raises(ScriptBroken, match="1 of 3 replies"):
        async with open_runtime(model=model, content=[noter]) as runtime:
            await runtime.ask(noter, {})


async def test_a_script_that_ran_out_fails_the_test_even_where_the_graph_goes_on(noter) -> None:
    async def careless(state: NoteState, runtime: Any) -> NoteState:
        agents: Agents = runtime.context.agents
        answer = await agents.ask(noter, {})
        return {"note": "none" if answer.value is None else answer.value.note}

    with pytest.raises(ScriptBroken):
        async with open_runtime(model=ScriptedChatModel(["Noted."]), content=[noter, graph(careless)]) as runtime:
            await runtime.run("noting", {"text": "a"})


async def test_a_tool_is_called_as_a_model_calls_it() -> None:
    async with open_runtime() as runtime:
        technique = runtime.runtime.content.tools["technique"]
        past_alerts = runtime.runtime.content.tools["past_alerts"]

        (found,) = await runtime.look_up(technique, id="T1059")
        with pytest.raises(ValidationError, match="pattern"):
            await runtime.look_up(technique, id="1059")
        with pytest.raises(GiveUp):
            await runtime.look_up(past_alerts, entity="host", value="web-1")

    assert found.attributes["name"] == "Command and Scripting Interpreter"


async def test_records_are_triaged_as_if_they_stood_in_a_file() -> None:
    async with open_runtime() as runtime:
        one, two = await runtime.triage([alert(1), alert(2)])

    assert (one["title"], one["format"], one["verdict"]) == ("Encoded command 1", "aurora", "malicious")
    assert two["line"] == 2


async def test_time_is_the_clock_of_the_test_and_stands_still() -> None:
    moments: list[datetime] = []

    async def look(state: NoteState, runtime: Any) -> NoteState:
        moments.append(runtime.context.clock.now())
        return {}

    clock = ManualClock(datetime(2030, 5, 1, tzinfo=UTC))
    async with open_runtime(content=[graph(look)], clock=clock) as runtime:
        await runtime.run("noting")
        clock.advance(timedelta(days=1))
        await runtime.run("noting")

    assert moments == [datetime(2030, 5, 1, tzinfo=UTC), datetime(2030, 5, 2, tzinfo=UTC)]


async def test_two_runtimes_draw_the_same_ids_and_share_nothing() -> None:
    async with open_runtime(content=[graph(shout)]) as one, open_runtime(content=[graph(shout)]) as two:
        first, second = await asyncio.gather(one.run("noting", {"text": "a"}), two.run("noting", {"text": "b"}))

    assert first.run_id == second.run_id
    assert (first.values["note"], second.values["note"]) == ("A", "B")


async def test_nothing_of_the_machine_is_read_and_nothing_is_left(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AURORA_DATABASE__URL", f"sqlite:///{tmp_path}/mine.db")
    monkeypatch.setenv("AURORA_MODEL__NAME", "openai:expensive")
    monkeypatch.setenv("AURORA_CONTENT__TRUSTED_PLUGINS", "nosuch")

    async with open_runtime(triage__jobs=3) as opened:
        settings = opened.runtime.settings
        folder = Path(settings.database.dsn.partition("///")[2]).parent
        assert folder.exists()

    assert settings.triage.jobs == 3
    assert settings.model.name is None
    assert list(tmp_path.iterdir()) == []
    assert not folder.exists()


async def test_the_fixtures_are_the_same_things(aurora_clock, aurora_runtime, scripted_model, noter) -> None:
    async with aurora_runtime(
        model=scripted_model("Noted.", {"note": "a"}), content=[noter], clock=aurora_clock
    ) as runtime:
        answer = await runtime.ask(noter, {})

    assert answer.value.note == "a"
    assert aurora_clock.now() == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("replies", "told"),
    [('"Noted."', "1 of 1 replies of the model were not asked for"), ("", "1 passed")],
)
def test_the_fixture_fails_a_test_that_leaves_its_script_over(tmp_path, replies, told) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["aurora.testing.fixtures"]\n', encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        f"def test_it(scripted_model):\n    scripted_model({replies})\n", encoding="utf-8"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert told in done.stdout


def test_a_clock_costs_nothing_but_a_clock() -> None:
    program = (
        "import sys; from aurora.testing import ManualClock; "
        "print([each for each in ('langchain_core', 'langgraph', 'sqlalchemy', 'pydantic') if each in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
