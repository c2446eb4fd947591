"""How long work stands still when a worker is killed, or its broker: processes of their own, real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import func, select

import tests.faults.graph
from aurora.storage.models import WorkerModel
from tests.faults.effects import Deed
from tests.faults.process import Place, Role, work
from tests.faults.servers import Server
from tests.faults.table import Row
from tests.faults.trial import Trial, opened

IN_FLIGHT = 50
LONG_S = 3.0
"""Time of each of a task's three nodes: the whole crew is at the first when the worker is killed."""

WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a fault cost."""

    seconds: float
    """From the fault until the last task was taken (again)."""
    lost: int
    twice: int
    """Done twice to the world, or run again although it was finished."""


async def worker_killed(folder: Path) -> Recovered:
    """Kill a worker on another host that holds 50 tasks; one that is idle takes them when their leases have run out.

    Raises:
        RuntimeError: the trial itself went wrong.
    """
    place = Place(folder=folder, database=f"sqlite+aiosqlite:///{folder / 'aurora.db'}")
    row = Row(fault="worker killed", where=place.label, trials=1)
    async with opened(place) as trial:
        victim = _slow_worker(trial)
        trial.producer(IN_FLIGHT)
        await _until(lambda: len(_begun(trial, victim.pid)) == IN_FLIGHT, "the first worker did not begin all tasks")
        heir = _slow_worker(trial)
        await _until_ready(trial, 2)
        os.kill(victim.pid or 0, signal.SIGKILL)
        killed = time.time()
        await _until(lambda: len(_begun(trial, heir.pid)) == IN_FLIGHT, "the tasks were not taken again")
        taken = max(_begun(trial, heir.pid).values())
        await trial.judge(row)
    if row.faults:
        raise RuntimeError("; ".join(row.faults))
    return Recovered(taken - killed, row.lost, row.twice)


async def broker_killed(place: Place, server: Server) -> Recovered:
    """Kill the broker for good, then submit: the time until each task has begun, at its longest.

    Raises:
        RuntimeError: the trial itself went wrong.
    """
    row = Row(fault="broker killed", where=place.label, trials=1)
    async with opened(place) as trial:
        trial.worker()
        trial.producer(5)
        await _until(lambda: trial.accepted() == 5, "nothing was accepted")
        await _until_ready(trial, 1)
        server.kill()
        try:
            trial.producer(10, prefix="late")
            found = await trial.judge(row)
        finally:
            server.start()
        begun = _begun(trial, None)
        late = {key: at for key, at in found.accepted.items() if key.startswith("late")}
    if row.faults:
        raise RuntimeError("; ".join(row.faults))
    return Recovered(max(begun[key] - at for key, at in late.items()), row.lost, row.twice)


def slow_work(role: Role) -> None:
    """Be a worker whose tasks take long; called in a process of its own."""
    tests.faults.graph.TOOK_S = LONG_S
    work(role)


def _slow_worker(trial: Trial) -> BaseProcess:
    trial.names += 1
    return trial.crew.start(slow_work, Role(place=trial.place, name=f"w{trial.names}", concurrency=IN_FLIGHT))


def _begun(trial: Trial, pid: int | None) -> dict[str, float]:
    """Return when each task was begun, by one process or by any."""
    found: dict[str, float] = {}
    for deed in _entered(trial):
        if pid in {None, deed.pid}:
            found.setdefault(deed.key, deed.at)
    return found


def _entered(trial: Trial) -> Iterator[Deed]:
    return (deed for deed in trial.world.deeds() if deed.what == "enter")


async def _until_ready(trial: Trial, workers: int) -> None:
    """Wait until so many workers have shown themselves."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with trial.engine.connect() as connection:
                if await connection.scalar(select(func.count()).select_from(WorkerModel)) == workers:
                    return
            await asyncio.sleep(0.05)


async def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + WITHIN_S
    while not is_so():
        if time.monotonic() > until:
            raise RuntimeError(f"{otherwise}; see the logs of the processes")
        await asyncio.sleep(0.05)
