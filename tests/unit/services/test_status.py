"""What `aurora status` tells is what the ledger and the workers say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from aurora.kernel.models import TaskState
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import BrokerHealth
from aurora.services.status import describe_status, worker_documents
from aurora.storage.models import TaskModel
from aurora.storage.repositories.workers import LEASE, Lease, Presence
from aurora.storage.unit_of_work import Storage
from tests.contract.storage.rows import accepted_alerts


@pytest.fixture
def storage(engine_sqlite) -> Storage:
    return Storage(engine_sqlite)


def _presence(clock, id: str, **more: Any) -> Presence:
    told: dict[str, Any] = {
        "kind": "worker",
        "host": "h",
        "pid": 1,
        "version": "0",
        "started_at": clock.now(),
        "seen_at": clock.now(),
        **more,
    }
    return Presence(id=id, **told)


def test_workers_are_told_with_what_they_hold_live_ones_first(clock):
    seen = clock.now() - timedelta(seconds=3)
    workers = [
        _presence(clock, "gone", seen_at=clock.now() - LEASE * 2),
        _presence(clock, "drains", state="draining"),
        _presence(clock, "works", seen_at=seen, running=2, concurrency=8),
    ]
    leases = [Lease("works", 2, clock.now() + LEASE), Lease("gone", 5, clock.now() - LEASE)]

    documents = worker_documents(workers, leases, now=clock.now())

    assert [(each["worker"], each["state"], each["holds"]) for each in documents] == [
        ("works", "active", 2),
        ("drains", "draining", 0),
        ("gone", "gone", 5),
    ]
    assert documents[0]["heartbeat_s"] == 3.0


@pytest.mark.parametrize(("left", "state"), [(timedelta(seconds=1), "unknown"), (timedelta(), "gone")])
def test_who_holds_tasks_and_was_never_heard_of_is_not_hidden(clock, left, state):
    lease = Lease("laptop:99:1:ff", 3, clock.now() + left)

    (document,) = worker_documents([], [lease], now=clock.now())

    assert (document["state"], document["holds"], document["heartbeat_s"]) == (state, 3, None)


async def test_queues_tell_how_many_wait_and_for_how_long(storage, clock, ids):
    alerts = await accepted_alerts(storage, ids, clock, count=4)
    held, later, urgent, _ = alerts
    async with storage.writing() as transaction:
        rows = update(TaskModel)
        await transaction.connection.execute(rows.values(run_at=clock.now(), priority=5, batch_id=None))
        for alert, values in (
            (held, {"state": "running", "owner": "w", "lease_until": clock.now() + LEASE}),
            (later, {"run_at": clock.now() + timedelta(hours=1)}),
            (urgent, {"priority": 9}),
        ):
            await transaction.connection.execute(rows.where(TaskModel.alert_id == alert).values(**values))
    clock.advance(timedelta(seconds=40))

    status = await describe_status(storage, clock=clock)

    assert {state: number for state, number in status["tasks"].items() if number} == {"queued": 3, "running": 1}
    lanes = {each["lane"]: (each["queued"], each["oldest_s"]) for each in status["queues"]}
    assert lanes["critical"] == (1, 40.0)
    assert lanes["normal"] == (2, 40.0), "one of them is not due yet"
    assert lanes["bulk"] == (0, None)


async def test_every_state_is_told_also_where_there_is_nothing(storage, clock):
    status = await describe_status(storage, clock=clock)

    assert list(status["tasks"]) == list(TaskState)
    assert (status["workers"], status["breakers"], status["brokers"]) == ([], [], [])


async def test_brokers_are_told_as_they_answered_and_cleaned(storage, clock):
    brokers = {
        "redis": BrokerHealth(server="valkey\x1b[2J 9", pending={"a/b": 2}),
        "nats": Problem(code="aurora.broker.unavailable", reason="away"),
    }

    status = await describe_status(storage, clock=clock, brokers=brokers)

    assert status["brokers"][0]["server"] == "valkey\\u001b[2J 9"
    assert status["brokers"][1] == {
        "broker": "nats",
        "is_up": False,
        "error": "aurora.broker.unavailable",
        "reason": "away",
    }


async def test_breakers_are_told_over_all_processes(storage, clock):
    opened = {"broker:nats": {"state": "open"}}
    async with storage.writing() as transaction:
        for name, breakers in (("a", opened), ("b", opened), ("c", {"broker:nats": {"state": "closed"}})):
            await transaction.workers.seen(_presence(clock, name, details={"breakers": breakers}))

    status = await describe_status(storage, clock=clock)

    assert status["breakers"] == [{"breaker": "broker:nats", "states": {"open": 2, "closed": 1}, "decided": None}]
