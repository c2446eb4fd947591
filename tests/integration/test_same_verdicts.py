"""Whoever carries the wake-ups and however many work: the verdicts of real alerts are the same."""

from __future__ import annotations

import contextlib
import json
import lzma
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import aurora, finish, start
from tests.scenario.open_data import open_data
from tests.services import NatsServer, fresh_postgres_database

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ALERTS = 250
"""Of real ones: enough to be split among four workers, few enough for a minute."""

WORKER_BORN_S = 60

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first alerts of two products."""
    path = tmp_path_factory.mktemp("alerts") / "alerts.jsonl"
    with path.open("wb") as out:
        for name in ("wazuh.jsonl.xz", "microsoft_sentinel_securityalert.jsonl.xz"):
            with lzma.open(open_data(f"alerts/{name}")) as lines:
                for _, line in zip(range(ALERTS // 2), lines, strict=False):
                    out.write(line)
    return path


@pytest.fixture(scope="module")
def reference(file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """What a command concludes that does all by itself, on SQLite."""
    folder = tmp_path_factory.mktemp("reference")
    return _by_line(aurora("triage", file, "--json", "--db", f"sqlite:///{folder}/a.db").documents)


@pytest.fixture
def broker_url(request: pytest.FixtureRequest) -> str:
    """The URL of the broker that a test names: a real server."""
    if request.param == "local":
        return "local://"
    if request.param == "redis":
        return str(request.getfixturevalue("valkey_url"))
    server: NatsServer = request.getfixturevalue("nats_server")
    return server.url


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("broker_url", ["local", "redis", "nats"], indirect=True)
async def test_verdicts_do_not_depend_on_brokers_or_on_how_many_work(
    broker_url: str, workers: int, file: Path, reference: dict[int, Any], postgres_url: str
) -> None:
    async with fresh_postgres_database(postgres_url) as database:
        with _crew(workers, database, broker_url) as crew:
            result = finish(start("triage", file, "--json", "--db", database, "--broker", broker_url))
            told = [each.poll() for each in crew]

    assert result.status == 0, result.err
    assert told == [None] * workers, "a worker ended by itself"
    assert _by_line(result.documents) == reference


@contextlib.contextmanager
def _crew(count: int, database: str, broker: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Have workers serve; they are told to stop at the end, and must say that they were."""
    upgraded = finish(start("db", "upgrade", "--db", database))
    assert upgraded.status == 0, upgraded.err
    crew = [start("worker", "--db", database, "--broker", broker, "--concurrency", "4") for _ in range(count)]
    try:
        _wait_for(count, database)
        yield crew
    finally:
        for each in crew:
            each.send_signal(signal.SIGTERM)
        ends = [finish(each) for each in crew]
    assert [each.status for each in ends] == [0] * count, [each.err for each in ends]
    assert all("SIGTERM" in each.err for each in ends)


def _wait_for(count: int, database: str) -> None:
    until = time.monotonic() + WORKER_BORN_S
    while time.monotonic() < until:
        status = finish(start("status", "--json", "--db", database))
        if status.status == 0 and len(json.loads(status.out.splitlines()[-1])["workers"]) == count:
            return
    pytest.fail(f"{count} workers did not come to work within {WORKER_BORN_S} s")


def _by_line(documents: list[dict[str, Any]]) -> dict[int, Any]:
    """Return all that is told of each record, but for ids, which every run draws anew, by its line."""
    return {each["line"]: _ID.sub("an id", json.dumps(each, sort_keys=True)) for each in documents}
