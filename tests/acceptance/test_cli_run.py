"""`aurora run`: any graph on any input, durably."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from aurora.cli.run import _why
from aurora.kernel.ids import RunId
from aurora.kernel.models import TaskState
from aurora.services.graph_runs import GraphRun
from tests.command import ROOT, aurora, finish, start, until

GRAPH = '''
"""counting: a graph that can wait, fail and count."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from aurora.sdk import GraphSpec, RunContext


class CountingState(TypedDict, total=False):
    text: str
    times: int
    mode: Literal["plain", "wait", "fail", "need"]
    place: str
    seen: list[str]
    words: int


async def read(state: CountingState) -> CountingState:
    """Note that it ran."""
    if "place" in state:
        with Path(state["place"], "log").open("a") as log:
            log.write("read ")
    return {"seen": state.get("text", "").split()}


async def count(state: CountingState) -> CountingState:
    """Count."""
    while state.get("mode") == "wait" and not Path(state["place"], "go").exists():
        await asyncio.sleep(0.01)
    if state.get("mode") == "fail":
        raise ValueError("counted \\x1b[31mwrong")
    if state.get("mode") == "need":
        return {"words": state["times"]}
    return {"words": len(state["seen"]) * state.get("times", 1)}


def build() -> Any:
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(CountingState, context_schema=RunContext)
    graph.add_node("read", read)
    graph.add_node("count", count)
    graph.add_edge(START, "read")
    graph.add_edge("read", "count")
    graph.add_edge("count", END)
    return graph


COUNTING = GraphSpec(
    id="counting", version="3", title="Counting", description="Counts.", build=build, state=CountingState,
    nodes=("read", "count"), outcome=lambda state: "many" if state["words"] > 1 else "few",
)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Path:
    """An installed and trusted plugin with the graph `counting`."""
    folder = tmp_path / "plugin"
    for name, text in {
        "counting_soc/__init__.py": "",
        "counting_soc/graphs/__init__.py": "",
        "counting_soc/graphs/counting.py": GRAPH,
        "counting_soc-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: counting-soc\nVersion: 1\n",
        "counting_soc-1.dist-info/entry_points.txt": "[aurora.content]\ncounting = counting_soc\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("AURORA_CONTENT__TRUSTED_PLUGINS", "counting")
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("counting_soc"):
            del sys.modules[name]


@pytest.fixture
def run(plugin, tmp_path):
    """Run `aurora run counting` on a database of this test."""

    def run(*arguments: object, stdin: bytes = b""):
        return aurora("run", "counting", *arguments, "--db", f"sqlite:///{tmp_path}/runs.db", stdin=stdin)

    return run


def tasks(tmp_path: Path) -> int:
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        return connection.execute("SELECT count(*) FROM tasks").fetchone()[0]


def test_pairs_fill_the_state_and_its_last_form_is_printed(run):
    result = run("text=one two three", "times=2", "--json")

    (document,) = result.documents
    assert result.status == 0
    assert (document["graph"], document["graph_version"], document["task"]) == ("counting", "3", "succeeded")
    assert document["outcome"] == "many"
    assert document["state"] == {"text": "one two three", "times": 2, "seen": ["one", "two", "three"], "words": 6}


@pytest.mark.parametrize("way", ["json", "file", "stdin"])
def test_json_fills_the_state_from_wherever_it_comes(run, tmp_path, way):
    text = json.dumps({"text": "a b", "times": 5})
    (tmp_path / "input.json").write_text(text, encoding="utf-8")
    words = {"json": [text], "file": [f"@{tmp_path}/input.json"], "stdin": ["-"]}[way]

    result = run(*words, "--json", stdin=text.encode())

    assert result.documents[0]["state"]["words"] == 10


def test_people_read_the_outcome_the_state_and_on_request_the_steps(run):
    result = run("text=one two", "--watch")

    assert result.out.startswith("counting 3: many  run ")
    assert "\nwords\n  2\n" in result.out
    assert [line.split()[1] for line in result.err.splitlines()] == ["read", "count"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["textt=a"], "'textt' is no key of its state, which has mode, place, seen, text, times, words"),
        (["times=many"], "'times' must be a whole number, but is text"),
        (["times=1.5"], "'times' must be a whole number, but is a number"),
        (["mode=quick"], '\'mode\' must be one of "plain", "wait", "fail", "need", but is text'),
        (['{"text": 7}'], "'text' must be text, but is a whole number"),
        (['{"seen": ["a", 1]}'], "'seen' must be a list; at seen[1]: input should be a valid string"),
        (["[1]"], "'[1]' is no input: give key=value pairs, JSON text, @file.json, or - for standard input"),
        (['{"text": '], "the argument is no JSON at line 1, column 10"),
        (["@nowhere.json"], "nowhere.json: no such file or directory"),
        (["text=a", "text=b"], "'text' is given twice"),
        (["text=\udcff"], "cannot be kept as JSON"),
    ],
)
def test_input_that_does_not_fit_is_told_and_nothing_is_submitted(run, tmp_path, words, told):
    result = run(*words)

    assert result.status == 2
    assert told in result.err
    assert result.out == ""
    assert tasks(tmp_path) == 0


def test_all_faults_of_an_input_are_told_at_once(run):
    result = run("textt=a", "times=many")

    assert result.err.count("\n- ") == 2


def test_a_graph_that_is_not_there_is_told_with_those_that_are(plugin, tmp_path):
    result = aurora("run", "counter", "--db", f"sqlite:///{tmp_path}/runs.db")

    assert result.status == 1
    assert "there is no graph 'counter'; there are counting, triage" in result.err


def test_the_same_key_is_the_same_run(run, tmp_path):
    first = run("text=a b", "--key", "mail-1", "--json")
    again = run("text=a b", "--key", "mail-1", "--json")
    without = run("text=a b", "--json")
    other = run("text=something else", "--key", "mail-1")

    assert again.documents == first.documents
    assert without.documents[0]["run_id"] != first.documents[0]["run_id"]
    assert other.status == 1
    assert "the key 'mail-1' belongs to a run of graph 'counting' with another input" in other.err
    assert tasks(tmp_path) == 2


def test_a_run_that_fails_says_where_and_exits_1(run, plugin):
    result = run("mode=fail", "--json")

    assert result.status == 1
    assert result.documents[0]["task"] == "failed"
    assert result.documents[0]["error"] == "ValueError"
    assert result.documents[0]["state"]["seen"] == []
    complaint = result.err.splitlines()[-1]
    assert "the run failed: ValueError: counted \\u001b[31mwrong" in complaint
    assert f"{plugin}/counting_soc/graphs/counting.py:" in complaint


def test_a_run_that_misses_a_key_of_its_input_says_which(run):
    result = run("mode=need")

    assert result.status == 1
    assert "the run failed: it needs 'times': aurora run counting times=…" in result.err


@pytest.mark.parametrize(
    ("state", "error", "reason", "told"),
    [
        (TaskState.CANCELLED, None, None, "the run was cancelled by a person; what is done is kept; aurora runs show "),
        (TaskState.FAILED, "ValueError", "rotten", "the run failed: ValueError: rotten; aurora runs show "),
        (TaskState.DEAD, None, None, "the run is dead: nothing is known of why; aurora runs show "),
    ],
)
def test_a_run_that_a_worker_ended_says_how_and_where_to_look(state, error, reason, told):
    ended = GraphRun(
        run_id=RunId(UUID(int=7)),
        graph="counting",
        version="1",
        state=state,
        outcome=None,
        error=error,
        reason=reason,
        values={},
    )

    assert _why(ended, []).startswith(told)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_run_again_with_its_key_it_goes_on_after_the_last_step(plugin, tmp_path, number):
    command = ["run", "counting", "text=a b c", "mode=wait", f"place={tmp_path}", "--key", "k", "--json"]
    command += ["--db", f"sqlite:///{tmp_path}/runs.db"]
    path = f"{plugin}:{ROOT}"
    process = start(*command, PYTHONPATH=path)
    assert until(process, tmp_path / "runs.db", "SELECT count(*) > 2 FROM checkpoints")

    process.send_signal(number)
    stopped = finish(process)
    (tmp_path / "go").touch()
    again = finish(start(*command, PYTHONPATH=path))

    assert stopped.status == (-9 if number is signal.SIGKILL else 143)
    assert again.status == 0, again.err
    assert again.documents[0]["state"]["words"] == 3
    assert (tmp_path / "log").read_text() == "read ", "the first step was durable, so it is not repeated"
    assert tasks(tmp_path) == 1
