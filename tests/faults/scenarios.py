"""One fault a function: it breaks something while tasks run, heals it, and has the trial judged."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from multiprocessing.process import BaseProcess

from sqlalchemy import make_url

from tests.faults.process import Place
from tests.faults.proxy import Proxy
from tests.faults.servers import Server
from tests.faults.table import Row
from tests.faults.trial import Trial, opened

TASKS = 40
"""Of one trial: two seconds of work for two workers."""

LEASE_S = 10.0

DISTURBANCES = ("half-open connection", "delay of 1.5 s", "resets")

Break = Callable[[Trial, list[BaseProcess]], Awaitable[None]]


async def under(name: str, place: Place, breaks: Break, *, workers: int = 2, tasks: int = TASKS) -> Row:
    """Run one trial: workers at work, a fault in the middle of it, and the judgement once all is quiet.

    The recovery is the time from the beginning of the fault to the end of each task that was not settled by then.
    """
    row = Row(fault=name, where=place.label, trials=1)
    async with opened(place) as trial:
        crew = [trial.worker() for _ in range(workers)]
        trial.producer(tasks, pause_s=0.03)
        await _under_way(trial, tasks // 4)
        began = time.time()
        await breaks(trial, crew)
        found = await trial.judge(row)
        row.recoveries_s = [at - began for at in found.finished.values() if at > began]
        if gone := [
            each.exitcode for each in crew if not each.is_alive() and each.exitcode not in {0, -signal.SIGKILL}
        ]:
            row.faults.append(f"workers ended by themselves, exit codes {gone}")
    return row


async def _under_way(trial: Trial, count: int) -> None:
    until = time.monotonic() + 60
    while trial.accepted() < count:
        if time.monotonic() > until:
            raise RuntimeError("no task was accepted within a minute; see the logs of the processes")
        await asyncio.sleep(0.02)


async def stopped(place: Place) -> Row:
    """SIGSTOP for longer than the lease, then SIGCONT: the owner wakes up late and must not write."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        os.kill(crew[0].pid or 0, signal.SIGSTOP)
        await asyncio.sleep(LEASE_S + 2.5)
        os.kill(crew[0].pid or 0, signal.SIGCONT)

    return await under("SIGSTOP longer than the lease, SIGCONT", place, breaks)


async def drained(place: Place) -> Row:
    """SIGTERM under load: what runs ends or is handed back, and the process says so."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        os.kill(crew[0].pid or 0, signal.SIGTERM)
        trial.worker()

    return await under("SIGTERM under load", place, breaks)


async def outage(place: Place, server: Server, name: str, *, wiped: bool = False, away_s: float = 3.0) -> Row:
    """A server is killed, perhaps wiped, and comes back."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        if wiped:
            server.wipe()
        else:
            server.kill()
        await asyncio.sleep(away_s)
        server.start()

    return await under(f"{name} {'wiped' if wiped else 'killed, restarted'}", place, breaks)


async def forever(place: Place, server: Server, name: str) -> Row:
    """A broker is killed and stays away: tasks go on within five seconds."""
    row = Row(fault=f"{name} killed, stays away", where=place.label, trials=1)
    async with opened(place) as trial:
        for _ in range(2):
            trial.worker()
        trial.producer(5)
        await _under_way(trial, 5)
        server.kill()
        try:
            began = time.time()
            trial.producer(10)
            found = await trial.judge(row)
        finally:
            server.start()
        row.recoveries_s = [at - began for at in found.finished.values() if at > began]
    return row


async def network(place: Place, proxy: Proxy, kind: str) -> Row:
    """Something stands between workers and their broker: nothing arrives, everything is late, or all is reset."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        if kind == DISTURBANCES[0]:
            proxy.stall()
        elif kind == DISTURBANCES[1]:
            proxy.delay_s = 1.5
        else:
            for _ in range(5):
                proxy.reset()
                await asyncio.sleep(0.3)
        await asyncio.sleep(4)
        proxy.heal()

    return await under(f"network: {kind}", place, breaks)


async def locked(place: Place, *, seconds: float = 20.0) -> Row:
    """Another process holds SQLite's write lock for longer than a lease."""
    file = str(make_url(place.database).database)

    def hold() -> None:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        await asyncio.to_thread(hold)

    return await under(f"SQLite locked for {seconds:g} s", place, breaks)


async def full(place: Place) -> Row:
    """The disk is full for the workers: no file may grow, then it may again."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        limits = [resource.prlimit(each.pid or 0, resource.RLIMIT_FSIZE) for each in crew]
        for each, (_, hard) in zip(crew, limits, strict=True):
            resource.prlimit(each.pid or 0, resource.RLIMIT_FSIZE, (4096, hard))
        await asyncio.sleep(4)
        for each, limit in zip(crew, limits, strict=True):
            resource.prlimit(each.pid or 0, resource.RLIMIT_FSIZE, limit)

    return await under("disk full", place, breaks)


async def shifted(place: Place, *, seconds: float) -> Row:
    """The wall clock of one worker jumps while it runs tasks."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        (place.folder / "w1.shift").write_text(str(seconds), encoding="ascii")
        await asyncio.sleep(4)
        (place.folder / "w1.shift").write_text("0", encoding="ascii")

    direction = "forward" if seconds > 0 else "back"
    return await under(f"clock of a worker {abs(seconds) / 60:g} min {direction}", place, breaks)


async def burst(place: Place) -> Row:
    """Ten times the usual number of tasks at once, from five producers."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        for _ in range(5):
            trial.producer(TASKS * 2)

    return await under("burst of 10 x", place, breaks)
