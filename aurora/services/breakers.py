"""The breakers of all processes: what they are like, and what people decide about them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from aurora.dispatch.circuit import CircuitState, Snapshot
from aurora.dispatch.circuits import Circuits
from aurora.kernel.clock import Clock
from aurora.kernel.errors import InputError
from aurora.kernel.untrusted import clean
from aurora.services.outcomes import Document, told
from aurora.storage.repositories.circuits import CircuitDecision, Decided
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage

TOLD = 100
"""Breakers that one process tells of in its heartbeat; those that do not rest are left out first."""

_KEY = re.compile(r"[a-z][a-z0-9_]*:[!-~]{1,100}")
"""As the code names dependencies: kind, colon, name."""

log = logging.getLogger(__name__)


def breakers_document(circuits: Circuits) -> Document:
    """Return the breakers of this process by key, as `workers.details["breakers"]` has them.

    Of each: `state`, `calls`, `failures` and `slow` (in its window), `openings` (since it last came to rest),
    `admitted` and `refused` (since the start), `wait_s` (until a call may be admitted; `None`: when a person
    has released it). To be called on the event loop of the breakers, not on that of the heartbeat.
    """
    found = sorted(circuits.snapshots().items(), key=lambda item: (item[1].state is CircuitState.CLOSED, item[0]))
    return {key: _snapshot(each) for key, each in sorted(found[:TOLD])}


def apply_decisions(circuits: Circuits, decisions: Iterable[CircuitDecision]) -> int:
    """Carry out what people decided, each decision once; return how many that were.

    A process asks `transaction.circuits.decisions(circuits.obeyed)` with every heartbeat and hands them in. When
    it starts, that is all decisions that stand, so a breaker that was opened stays open; a reset that is older
    than the process has nothing to reset. To be called on the event loop of the breakers.
    """
    begins = circuits.obeyed == 0
    carried_out = 0
    for decision in sorted(decisions, key=lambda each: each.serial):
        if decision.serial <= circuits.obeyed:
            continue
        circuits.obeyed = decision.serial
        if decision.state is Decided.FORCED_OPEN:
            circuits.force_open(decision.key)
        elif decision.state is Decided.DISABLED:
            circuits.disable(decision.key)
        elif begins:
            continue
        else:
            circuits.reset(decision.key)
        carried_out += 1
        log.info(
            "circuit.decided",
            extra={"circuit": decision.key, "state": decision.state.value, "by": clean(decision.decided_by)},
        )
    return carried_out


async def decide_breaker(
    storage: Storage, key: str, state: Decided, *, reason: str, by: str, clock: Clock
) -> tuple[CircuitDecision, int, list[str]]:
    """Write what a person decided; return it, how many live processes will obey, and the breakers that they have.

    They obey with their next heartbeat.

    Raises:
        InputError: no breaker can have that key, or the reason is too long.
    """
    if not _KEY.fullmatch(key):
        raise InputError(
            f"no breaker is called {clean(key)[:100]!r}: names are such as broker:redis or model:openai; "
            "`aurora breakers list` shows those that are in use"
        )
    if len(reason) > 500:
        raise InputError("the reason has more than 500 characters")
    now = clock.now()
    async with storage.writing() as transaction:
        decision = await transaction.circuits.decide(key, state, reason=reason, by=by[:128], now=now)
        live = await transaction.workers.live(now)
    return decision, len(live), sorted({known for worker in live for known in _told_of(worker)})


async def list_breakers(storage: Storage, *, clock: Clock) -> list[Document]:
    """Return every breaker that a live process has, or that a person decided about, by key.

    Of each: `breaker`; `decision`, or `None`; and `workers`, a list with what each process tells of it.
    """
    async with storage.reading() as transaction:
        live = await transaction.workers.live(clock.now())
        decisions = await transaction.circuits.decisions()
    found: dict[str, Document] = {}
    for decision in decisions:
        found[decision.key] = {"breaker": decision.key, "decision": _decision(decision), "workers": []}
    for worker in live:
        for key, told_of in _told_of(worker).items():
            entry = found.setdefault(key, {"breaker": key, "decision": None, "workers": []})
            entry["workers"].append(
                {"worker": worker.id, "kind": worker.kind, "host": worker.host, "pid": worker.pid, **told_of}
            )
    return [found[key] for key in sorted(found)]


def _told_of(worker: Presence) -> dict[str, Document]:
    """Return what a process tells of its breakers; one of another version may tell something else."""
    breakers = worker.details.get("breakers")
    if not isinstance(breakers, Mapping):
        return {}
    return {str(key): _read(each) for key, each in breakers.items() if isinstance(each, Mapping)}


_COUNTS = ("calls", "failures", "slow", "openings", "admitted", "refused")


def _read(told_of: Mapping[str, Any]) -> Document:
    read: Document = {"state": str(told_of.get("state", "unknown"))}
    for name in _COUNTS:
        value = told_of.get(name)
        read[name] = value if isinstance(value, int) else 0
    wait = told_of.get("wait_s")
    read["wait_s"] = wait if isinstance(wait, int | float) else None
    read["failure_share"] = round(read["failures"] / read["calls"], 4) if read["calls"] > 0 else None
    return read


def _snapshot(snapshot: Snapshot) -> Document:
    return {
        "state": snapshot.state.value,
        **{name: getattr(snapshot, name) for name in _COUNTS},
        "wait_s": None if snapshot.wait is None else round(snapshot.wait.total_seconds(), 3),
    }


def _decision(decision: CircuitDecision) -> Document:
    return {
        "state": decision.state.value,
        "reason": decision.reason,
        "by": decision.decided_by,
        "at": told(decision.decided_at),
        "serial": decision.serial,
    }
