"""Alerts as acceptance writes them, for contracts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import insert

from aurora.dispatch.ledger import Ledger
from aurora.ingest.accept import Acceptor
from aurora.ingest.accepted import Accepted
from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import Source
from aurora.kernel.ids import AlertId, TaskId, Uuid7Factory
from aurora.kernel.models import Task
from aurora.kernel.models.work import Scope
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock


def source(documents: Sequence[dict[str, Any]], *, name: str = "-") -> Source:
    """Return a source of JSON lines."""
    content = b"".join(orjson.dumps(document) + b"\n" for document in documents)
    return Source(name, None, stream=io.BytesIO(content))


def acceptor(storage: Storage, ids: Uuid7Factory, clock: ManualClock) -> Acceptor:
    """Return an acceptor with every format."""
    return Acceptor(storage=storage, formats=Formats(), clock=clock, ids=ids, graph="triage")


def alert(number: int = 0, *, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """Return an alert in Aurora's own format; each number is another host."""
    document = {
        "title": "Odd logon",
        "severity": "medium",
        "source": "edr",
        "rule": "r-1",
        "host": f"ws-{number}",
        **changes,
    }
    return document if at is None else {**document, "time": at.isoformat()}


async def accept(
    storage: Storage, ids: Uuid7Factory, clock: ManualClock, documents: Sequence[dict[str, Any]], *, name: str = "-"
) -> Accepted:
    """Accept JSON lines as one input."""
    return await acceptor(storage, ids, clock).accept([source(documents, name=name)])


async def accepted_alerts(
    storage: Storage, ids: Uuid7Factory, clock: ManualClock, *, count: int, severity: str = "medium"
) -> list[AlertId]:
    """Accept `count` alerts on hosts of their own and return their ids, in order."""
    mark = hashlib.sha256(str(ids()).encode()).hexdigest()[:8]
    documents = [
        alert(number, host=f"{mark}-{number}", severity=severity, at=clock.now() - timedelta(minutes=number))
        for number in range(count)
    ]
    accepted = await accept(storage, ids, clock, documents)
    return [alert_id for _, alert_id, _ in accepted.records()]


async def begin(storage: Storage, task: Task) -> None:
    """Write the first checkpoint of a task's run."""
    async with storage.writing() as transaction:
        row = {"thread_id": task.thread_id, "checkpoint_ns": "", "checkpoint_id": "1", "data": b"", "details": {}}
        await transaction.connection.execute(insert(CheckpointModel).values(**row))


async def claim(
    storage: Storage,
    clock: ManualClock,
    *,
    alerts: Sequence[AlertId] = (),
    tasks: Sequence[TaskId] = (),
    owner: str = "w",
) -> list[Task]:
    """Claim given tasks, or those of given alerts, whose leases have run out included."""
    graphs = {"triage": "1.0", "greet": "1.0"}
    ledger = Ledger(storage, owner=owner, clock=clock)
    await ledger.reap()
    return list((await ledger.turn((), limit=64, scope=Scope(graphs=graphs, alerts=alerts, tasks=tasks))).claimed)
