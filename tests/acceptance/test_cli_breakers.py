"""`aurora breakers`: which dependencies rest, and a person's hand on them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from aurora.kernel.clock import SystemClock
from aurora.storage.engine import open_engine
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage
from tests.command import aurora

BREAKER = {"state": "closed", "calls": 8, "failures": 2, "slow": 0, "openings": 0, "admitted": 9, "refused": 0}
OPEN = {**BREAKER, "state": "open", "failures": 8, "openings": 3, "refused": 1234, "wait_s": 41.2}


@pytest.fixture
def db(tmp_path, monkeypatch):
    """Return the URL of a database that has the schema."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/aurora.db"
    assert aurora("db", "upgrade", "--db", url).status == 0
    return url


def _beat(db: str, *, pid: int, ago: float = 0.0, **details: Any) -> None:
    """Write a worker's heartbeat."""

    async def write() -> None:
        now = SystemClock().now() - timedelta(seconds=ago)
        presence = Presence(
            id=f"soc-1:{pid}",
            kind="worker",
            host="soc-1\x1b[2J",
            pid=pid,
            version="1",
            started_at=now,
            seen_at=now,
            details=details,
        )
        url = db.replace("sqlite:", "sqlite+aiosqlite:")
        async with open_engine(url) as engine, Storage(engine).writing() as transaction:
            await transaction.workers.seen(presence)

    asyncio.run(write())


def test_the_breakers_of_every_process_that_works_are_listed(db):
    _beat(db, pid=17, breakers={"broker:redis": OPEN, "model:openai": {**BREAKER, "wait_s": 0.0}})
    _beat(db, pid=18, breakers={"broker:redis": {**BREAKER, "wait_s": 0.0}})
    _beat(db, pid=19, ago=60, breakers={"broker:nats": OPEN})

    documents = aurora("breakers", "list", "--json", "--db", db).documents
    human = aurora("breakers", "list", "--db", db)

    assert [each["breaker"] for each in documents] == ["broker:redis", "model:openai"]
    (first, second) = documents[0]["workers"]
    assert {**first, "failure_share": 1.0, **OPEN} == first
    assert (first["pid"], second["pid"], second["failure_share"]) == (17, 18, 0.25)
    assert documents[0]["decision"] is None
    assert "17@soc-1" in human.out
    assert "100% of 8" in human.out
    assert "open, 41 s" in human.out
    assert "\x1b" not in human.out


def test_a_process_that_tells_something_else_is_read_as_far_as_it_goes(db):
    _beat(db, pid=17, breakers={"broker:redis": {"state": "sleepy\x1b[1m", "calls": "many"}, "broker:nats": 7})
    _beat(db, pid=18, breakers=["none"])
    _beat(db, pid=19)

    (document,) = aurora("breakers", "list", "--json", "--db", db).documents
    human = aurora("breakers", "list", "--db", db)

    assert (document["workers"][0]["calls"], document["workers"][0]["wait_s"]) == (0, None)
    assert (human.status, "sleepy" in human.out, "\x1b" in human.out) == (0, True, False)


def test_where_nobody_works_that_is_told(db):
    result = aurora("breakers", "list", "--db", db)

    assert (result.status, result.out.strip()) == (0, "no process that works now has a breaker")


def test_a_person_opens_a_breaker_is_told_how_to_undo_it_and_closes_it(db):
    _beat(db, pid=17, breakers={"broker:redis": {**BREAKER, "wait_s": 0.0}})

    opened = aurora("breakers", "open", "broker:redis", "--reason", "Until \x1b[31m noon", "--db", db)
    listed = aurora("breakers", "list", "--db", db)
    (document,) = aurora("breakers", "list", "--json", "--db", db).documents
    closed = aurora("breakers", "close", "broker:redis", "--db", db)
    (after,) = aurora("breakers", "list", "--json", "--db", db).documents

    assert opened.status == closed.status == 0
    assert (
        "broker:redis is open: 1 process obeys with the next heartbeat; those that start later obey too" in opened.out
    )
    assert "to undo it: aurora breakers close broker:redis" in opened.out
    assert document["decision"]["state"] == "forced_open"
    assert document["decision"]["by"]
    assert "What people decided" in listed.out
    assert "noon" in listed.out
    assert "\x1b" not in listed.out
    assert "broker:redis is closed" in closed.out
    assert "to undo" not in closed.out
    assert (after["decision"]["state"], after["decision"]["serial"]) == ("reset", 2)


def test_a_breaker_that_nobody_has_yet_can_be_decided_about(db):
    (document,) = aurora("breakers", "disable", "model:openai", "--reason", "x", "--json", "--db", db).documents

    assert document == {"breaker": "model:openai", "state": "disabled", "serial": 1, "live_processes": 0}
    assert "no process works" in aurora("breakers", "open", "model:openai", "--reason", "x", "--db", db).out


def test_one_that_no_process_has_may_be_a_slip_and_is_not_shown_once_it_is_closed(db):
    _beat(db, pid=17, breakers={"broker:redis": BREAKER})

    opened = aurora("breakers", "open", "broker:radis", "--reason", "x", "--db", db)
    shown = aurora("status", "--db", db).out
    aurora("breakers", "close", "broker:radis", "--db", db)

    assert opened.status == 0
    assert opened.err == "no process that works now has a breaker broker:radis; they have broker:redis\n"
    assert "broker:radis" in shown
    assert "broker:radis" not in aurora("status", "--db", db).out


@pytest.mark.parametrize("key", ["redis", "Broker:redis", "broker:", "broker:a b", "broker:\x1b[2J", "b:" + "x" * 101])
def test_what_no_breaker_can_be_called_is_refused(db, key):
    result = aurora("breakers", "open", key, "--reason", "x", "--db", db)

    assert result.status == 2
    assert "no breaker is called" in result.err
    assert "\x1b" not in result.err


def test_a_reason_is_asked_for(db):
    assert aurora("breakers", "open", "broker:redis", "--db", db).status == 2
    assert aurora("breakers", "disable", "broker:redis", "--reason", "x" * 501, "--db", db).status == 2
