"""What dispatch is doing now: queues, leases, who works, breakers, brokers, schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from aurora.kernel.clock import Clock
from aurora.kernel.models import TaskState
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import BrokerHealth
from aurora.kernel.untrusted import clean
from aurora.services.breakers import list_breakers
from aurora.services.outcomes import Document, told
from aurora.services.schedules import list_schedules
from aurora.storage.repositories.workers import Lease, Presence
from aurora.storage.unit_of_work import Storage

WORKERS = 1000
"""Processes that are told of; those heard of last come first."""


async def describe_status(
    storage: Storage, *, clock: Clock, brokers: Mapping[str, BrokerHealth | Problem] | None = None
) -> Document:
    """Return what dispatch is doing now. The order of the keys is fixed; durations are seconds.

    Args:
        storage: Where the ledger is. Tasks are those of its tenant; leases and workers serve all.
        clock: Time.
        brokers: How the brokers are, as `Route.health` tells; `None`: nobody asked.

    Raises:
        StorageUnavailable: the database cannot be reached.
    """
    now = clock.now()
    async with storage.reading() as transaction:
        states = await transaction.tasks.by_state()
        queued = await transaction.tasks.queued_by_lane()
        oldest = await transaction.tasks.oldest_queued(now)
        workers = await transaction.workers.known(limit=WORKERS)
        leases = await transaction.workers.leases()
    schedules = await list_schedules(storage, clock=clock)
    breakers = await list_breakers(storage, clock=clock)
    return {
        "time": told(now),
        "tasks": {state.value: states.get(state.value, 0) for state in TaskState},
        "queues": [
            {
                "lane": lane.value,
                "queued": queued.get(lane, 0),
                "oldest_s": None if lane not in oldest else round((now - oldest[lane]).total_seconds(), 3),
            }
            for lane in Lane
        ],
        "workers": worker_documents(workers, leases, now=now),
        "breakers": [_breaker(each) for each in breakers],
        "brokers": [_broker(name, health) for name, health in (brokers or {}).items()],
        "schedules": [
            {key: each[key] for key in ("schedule", "graph", "is_paused", "next", "overdue_since")}
            for each in schedules
        ],
    }


def worker_documents(workers: Sequence[Presence], leases: Sequence[Lease], *, now: datetime) -> list[Document]:
    """Return who works and what each holds, live ones first. Who holds tasks and was never heard of is among them."""
    held = {each.owner: each for each in leases}
    documents = [_worker(each, held.pop(each.id, None), now) for each in workers]
    documents += [_stranger(lease, now) for lease in held.values()]
    order = {"active": 0, "draining": 1}
    return sorted(documents, key=lambda each: order.get(each["state"], 2))


def _worker(presence: Presence, lease: Lease | None, now: datetime) -> Document:
    return {
        "worker": presence.id,
        "kind": presence.kind,
        "state": "gone" if presence.is_gone(now) else presence.state,
        "host": presence.host,
        "pid": presence.pid,
        "version": presence.version,
        "lanes": list(presence.lanes),
        "graphs": {graph: list(versions) for graph, versions in presence.graphs.items()},
        "concurrency": presence.concurrency,
        "running": presence.running,
        **_held(lease),
        "heartbeat_s": round((now - presence.seen_at).total_seconds(), 3),
        "started": told(presence.started_at),
    }


def _stranger(lease: Lease, now: datetime) -> Document:
    """A short command that has not beaten yet, or an owner whose row was removed after it had crashed."""
    return {
        "worker": lease.owner,
        "kind": None,
        "state": "unknown" if lease.until > now else "gone",
        "host": lease.owner.partition(":")[0],
        "pid": None,
        "version": None,
        "lanes": [],
        "graphs": {},
        "concurrency": None,
        "running": None,
        **_held(lease),
        "heartbeat_s": None,
        "started": None,
    }


def _held(lease: Lease | None) -> Document:
    return {"holds": 0 if lease is None else lease.tasks, "lease_until": None if lease is None else told(lease.until)}


def _breaker(found: Document) -> Document:
    states = Counter(each["state"] for each in found["workers"])
    decision = found["decision"]
    return {"breaker": found["breaker"], "states": dict(states), "decided": decision and decision["state"]}


def _broker(name: str, health: BrokerHealth | Problem) -> Document:
    if isinstance(health, Problem):
        return {"broker": name, "is_up": False, "error": health.code, "reason": health.reason}
    return {
        "broker": name,
        "is_up": True,
        "server": clean(health.server),
        "entries": dict(health.entries),
        "pending": dict(health.pending),
    }
