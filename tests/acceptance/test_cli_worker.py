"""`aurora worker`: a process that works for everybody, says how it is, and goes when it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aurora.cli._options import broker_url
from aurora.kernel.errors import SettingsInvalid
from aurora.settings import load_settings
from tests.command import alert, aurora, finish, start, until, write_lines


class Running:
    """A worker of its own process, as far as it has spoken."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.started = self.next_event()

    def next_event(self) -> dict[str, Any]:
        """Return what it says next."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line, f"it ended with {self.process.wait(30)}"
        return json.loads(line)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, dict[str, Any]]:
        """Signal it; return its exit status and the last thing it said."""
        self.process.send_signal(number)
        ended = finish(self.process)
        return ended.status, json.loads(ended.err.splitlines()[-1])

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of a health check."""
        try:
            with urllib.request.urlopen(self.started["health"] + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextmanager
def worker(*args: object, **environ: str) -> Iterator[Running]:
    """Start a worker, and end it whatever happens."""
    process = start("worker", "--log-json", *args, **environ)
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/aurora.db"


def test_a_worker_does_the_work_of_a_command_and_the_status_shows_it(tmp_path, database):
    file = write_lines(tmp_path / "a.jsonl", [alert(n) for n in range(20)])

    with worker("--db", database) as running:
        seen = until(running.process, tmp_path / "aurora.db", "SELECT count(*) FROM workers")
        result = aurora("triage", file, "--json", "--db", database)
        (status,) = aurora("status", "--json", "--db", database).documents
        ended, last = running.stop()

    assert seen
    assert result.status == 0
    assert all(each["verdict"] for each in result.documents)
    (found,) = [each for each in status["workers"] if each["worker"] == running.started["worker"]]
    assert (found["state"], found["kind"], found["lanes"]) == ("active", "worker", running.started["lanes"])
    assert status["tasks"]["succeeded"] == 20
    assert (ended, last["event"], last["reason"], last["signal"]) == (0, "worker.stopped", "drained", "SIGTERM")


@pytest.mark.integration
def test_its_health_checks_say_what_it_did(tmp_path, database):
    file = write_lines(tmp_path / "a.jsonl", [alert(n) for n in range(5)])

    with worker("--db", database, "--health-port", 0) as running:
        until(running.process, tmp_path / "aurora.db", "SELECT count(*) FROM workers")
        assert aurora("triage", file, "--db", database).status == 0
        live, ready, metrics = (running.ask(path) for path in ("/livez", "/readyz", "/metrics"))

    assert live == (200, '{"status": "live"}\n')
    assert ready[0] == 200, ready
    assert json.loads(ready[1])["checks"]["database"]["status"] == "up"
    assert 'aurora_tasks_settled_total{state="succeeded"} 5.0' in metrics[1].splitlines()


@pytest.mark.integration
def test_a_stopped_process_answers_no_check_and_one_that_goes_on_tells_the_truth_again(tmp_path, database):
    with worker("--db", database, "--health-port", 0) as running:
        until(running.process, tmp_path / "aurora.db", "SELECT count(*) FROM workers")
        os.kill(running.process.pid, signal.SIGSTOP)
        with pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(running.started["health"] + "/livez", timeout=0.2)
        os.kill(running.process.pid, signal.SIGCONT)

        assert running.ask("/livez")[0] == 200


def test_it_signs_off_when_it_goes(tmp_path, database):
    with worker("--db", database) as running:
        until(running.process, tmp_path / "aurora.db", "SELECT count(*) FROM workers")
        running.stop(signal.SIGINT)

    (status,) = aurora("status", "--json", "--db", database).documents
    assert status["workers"] == []


def test_people_are_told_in_sentences(database):
    process = start("worker", "--queues", "high,critical", "--concurrency", 3, "--scheduler", "--db", database)
    assert process.stderr is not None
    first = process.stderr.readline().decode()
    process.terminate()
    result = finish(process)

    assert f":{process.pid} serves high, critical: " in first
    assert "; 3 at once; " in first
    assert "; broker local://; fires schedules" in first
    assert result.status == 0
    assert result.err.splitlines()[-1] == "stopped by SIGTERM"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--queues", "urgent"], 2, "must be some of critical, high, normal, bulk"),
        (["--graphs", "triage,nothing"], 2, "there is no graph nothing"),
        (["--graphs", " ,"], 2, "--graphs names no graph"),
        (["--drain-timeout", "soon"], 2, "must be a number with its unit"),
        (["--broker", "kafka"], 2, "there is no broker «kafka»; give local, redis, nats, or a URL"),
        (["--health-host", "192.0.2.1", "--health-port", "0"], 2, "take another --health-port or --health-host"),
        (["--db", f"sqlite:///{Path(__file__).parent}"], 3, "the database cannot be opened"),
    ],
)
def test_what_it_cannot_begin_with_is_said_with_its_exit_status(database, args, status, message):
    result = finish(start("worker", "--db", database, *args))

    assert result.status == status, result.err
    assert message in result.err


def test_programs_are_told_why_it_could_not_begin():
    result = finish(start("worker", "--log-json", "--db", f"sqlite:///{Path(__file__).parent}"))

    told = json.loads(result.err.splitlines()[0])
    assert (told["event"], told["reason"], told["error"]) == ("worker.stopped", "failed", "aurora.storage.unavailable")


def test_a_password_in_a_url_is_not_shown(database):
    broker = "redis://:hunter2@127.0.0.1:1/0"

    with worker("--db", database, "--broker", broker) as running:
        assert running.started["broker"] == "redis://:***@127.0.0.1:1/0"
        _, last = running.stop()

    assert "hunter2" not in json.dumps([running.started, last])


@pytest.mark.parametrize(
    ("name", "configured", "second", "url"),
    [
        ("redis", "local://", None, "redis://127.0.0.1:6379/0"),
        ("nats", "local://", None, "nats://127.0.0.1:4222"),
        ("redis", "rediss://q.corp.example/1", None, "rediss://q.corp.example/1"),
        ("nats", "redis://a", "tls://n.corp.example", "tls://n.corp.example"),
        ("local", "redis://a", None, "local://"),
        ("nats://b:1", "nats://a", None, "nats://b:1"),
    ],
)
def test_a_broker_that_is_named_is_the_configured_one_where_there_is_one(tmp_path, name, configured, second, url):
    more = {} if second is None else {"dispatch__second_broker": second}
    settings = load_settings(environ={}, directory=tmp_path, dispatch__broker=configured, **more)

    assert broker_url(name, settings) == url


def test_a_broker_of_no_known_name_is_refused(tmp_path):
    with pytest.raises(SettingsInvalid, match="local, redis, nats"):
        broker_url("kafka", load_settings(environ={}, directory=tmp_path))
