"""Run all faults and print one table: `python -m tests.faults`.

`FAULT_CYCLES=n` (3 by default) is the number of kills at each of the eight points, in each of three places; of every
other fault there are a third as many trials, and one at least. Arguments choose faults by a part of their names. The
exit status is 1 if anything was lost or ran twice, or an invariant did not hold.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from rich.console import Console

from tests.faults import baseline_trial, health, hostile, scenarios, schedulers
from tests.faults.process import Place
from tests.faults.proxy import running_proxy
from tests.faults.servers import Postgres, Server, running_servers
from tests.faults.storm import storm
from tests.faults.table import Row, show, write
from tests.services import fresh_postgres_database

RESULTS = Path(__file__).parent / "results.json"
SEED = 20261122

Run = Callable[[], Awaitable[Sequence[Row]]]
Make = Callable[[], Awaitable[Any]]
"""Makes a place for one trial."""


class Ground:
    """Makes places: an empty database each, on the servers of this run."""

    def __init__(self, folder: Path, valkey: Server, nats: Server, postgres: Postgres, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.valkey, self.nats, self.postgres = valkey, nats, postgres

    async def on_sqlite(self) -> Place:
        """Return a place on a SQLite file, without a broker."""
        folder = self._new()
        return Place(folder=folder, database=f"sqlite+aiosqlite:///{folder}/a.db")

    async def on_postgres(self, broker: str = "local://", second: str | None = None) -> Place:
        """Return a place on PostgreSQL."""
        database = await self._stack.enter_async_context(fresh_postgres_database(self.postgres.url))
        return Place(folder=self._new(), database=database, broker=broker, second_broker=second)

    def _new(self) -> Path:
        folder = self._folder / uuid4().hex[:8]
        folder.mkdir()
        return folder


def all_faults(ground: Ground, cycles: int) -> Iterator[tuple[str, Run]]:
    """Yield every fault with its name, in the order of the table."""
    trial = partial(_times, max(1, cycles // 3))  # each takes as long as twenty kills
    places: list[Make] = [
        ground.on_sqlite,
        partial(ground.on_postgres, ground.nats.url, ground.valkey.url),
        partial(ground.on_postgres, ground.valkey.url),
    ]
    for number, place in enumerate(places):
        yield f"kill -9, place {number + 1}", partial(_stormy, place, cycles, SEED + number)
    for place in places[:2]:
        yield "SIGSTOP", trial(place, scenarios.stopped)
        yield "SIGTERM", trial(place, scenarios.drained)
        yield "schedulers", trial(place, schedulers.two_of_them)
    yield from _of_brokers(ground, trial)
    away = partial(scenarios.outage, server=ground.postgres, name="PostgreSQL", away_s=4)
    yield "PostgreSQL killed", trial(ground.on_postgres, away)
    yield "health", trial(ground.on_postgres, partial(health.truth, server=ground.postgres))
    yield "SQLite locked", trial(ground.on_sqlite, scenarios.locked)
    yield "disk full", trial(ground.on_sqlite, scenarios.full)
    for seconds in (3600.0, -3600.0):
        yield "clock", trial(ground.on_sqlite, partial(scenarios.shifted, seconds=seconds))
    yield "poison task", trial(ground.on_sqlite, hostile.poison)
    yield "burst", trial(ground.on_sqlite, scenarios.burst)


def _of_brokers(ground: Ground, trial: Callable[..., Run]) -> Iterator[tuple[str, Run]]:
    for name, server in (("Valkey", ground.valkey), ("NATS", ground.nats)):
        place = partial(ground.on_postgres, server.url)
        for wiped in (False, True):
            outage = partial(scenarios.outage, server=server, name=name, wiped=wiped)
            yield f"{name} {'wiped' if wiped else 'killed'}", trial(place, outage)
        yield f"{name} stays away", trial(place, partial(scenarios.forever, server=server, name=name))
        yield f"{name} hostile", trial(place, hostile.messages)
        for kind in scenarios.DISTURBANCES:
            yield f"{name} network {kind}", trial(partial(_now, server), partial(_behind_proxy, ground, kind=kind))


def _times(cycles: int, place: Make, work: Callable[[Any], Awaitable[Row]]) -> Run:
    """Return what runs a trial so many times, each in a place of its own, and adds them up."""

    async def run() -> Sequence[Row]:
        first = await work(await place())
        for _ in range(cycles - 1):
            first.add(await work(await place()))
        return [first]

    return run


async def _stormy(place: Make, cycles: int, seed: int) -> Sequence[Row]:
    rows = await storm(await place(), cycles=cycles, seed=seed)
    for row in rows:
        row.baseline = await baseline_trial.told(row.fault, cycles=cycles)
    return rows


async def _now(server: Server) -> Server:
    return server


async def _behind_proxy(ground: Ground, server: Server, *, kind: str) -> Row:
    parts = urlsplit(server.url)
    async with running_proxy(str(parts.hostname), int(parts.port or 0)) as proxy:
        place = await ground.on_postgres(f"{parts.scheme}://127.0.0.1:{proxy.port}")
        return await scenarios.network(place, proxy, kind)


async def _told(name: str, run: Run) -> Sequence[Row]:
    """Run a fault; one that cannot be run is a row of the table, and makes the whole fail."""
    try:
        return await run()
    except Exception as error:  # noqa: BLE001 - the other faults still have something to say
        traceback.print_exc()
        return [Row(fault=name, where="", faults=[f"could not be run: {type(error).__name__}: {error}"])]


async def main(chosen: Sequence[str]) -> int:
    """Run the faults; return the exit status."""
    cycles = int(os.environ.get("FAULT_CYCLES", "3"))
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows: list[Row] = []
    with running_servers() as (valkey, nats, postgres), TemporaryDirectory(prefix="aurora-faults-") as folder:
        async with AsyncExitStack() as stack:
            ground = Ground(Path(folder), valkey, nats, postgres, stack)
            for name, run in all_faults(ground, cycles):
                if chosen and not any(each.lower() in name.lower() for each in chosen):
                    continue
                console.print(f"[dim]{name} …[/]")
                rows += await _told(name, run)
    show(rows, console=console)
    if not chosen:
        write(rows, RESULTS)
    return 1 if any(row.lost or row.twice or row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
