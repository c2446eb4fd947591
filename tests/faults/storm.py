"""kill -9 at every point of a task's life, again and again, while others work on."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from tests.faults.crash import POINTS
from tests.faults.process import Place
from tests.faults.table import Row
from tests.faults.trial import Trial, opened

SLOTS = 3
"""Workers at once; each of them is to die soon."""

PATIENCE_S = 20.0
"""A worker that has not reached its point by then had no work that leads there."""


async def storm(place: Place, *, cycles: int, seed: int) -> list[Row]:
    """Kill processes `cycles` times at each point, and return a row for each point.

    All points share one ledger and one world, so what one fault breaks another may show: losses and repetitions
    stand in a last row, of all points together.
    """
    rng = random.Random(seed)
    plan = [point for point in POINTS for _ in range(cycles)]
    rng.shuffle(plan)
    rows = {point: Row(fault=f"kill -9: {what}", where=place.label) for point, what in POINTS.items()}
    async with opened(place) as trial:
        await _kill_all(trial, plan, rows, rng)
        for _ in range(2):
            trial.worker()
        whole = Row(fault="all kills of this place", where=place.label)
        found = await trial.judge(whole)
    for key, hits in trial.hit.items():
        for at, point in hits:
            # From the kill until somebody else works on the task, or its work turns out to have been done.
            again = next((moment for moment in found.begun.get(key, ()) if moment > at), None)
            if again is not None:
                rows[point].recoveries_s.append(again - at)
    return [*rows.values(), whole]


async def _kill_all(trial: Trial, plan: list[str], rows: dict[str, Row], rng: random.Random) -> None:
    """Keep `SLOTS` workers and a producer going, each armed with the next point of the plan."""
    crew = _Crew(trial, rows, rng, [point for point in plan if point != "committed"])
    producers = plan.count("committed")
    while crew.is_needed or producers:
        is_armed = producers > 0
        options = {"point": "committed", "after": rng.randint(2, 12)} if is_armed else {}
        producer = trial.producer(40, pause_s=0.05, **options)
        while producer.is_alive():
            await crew.look()
            await asyncio.sleep(0.02)
        if is_armed and producer.exitcode == -signal.SIGKILL:
            rows["committed"].trials += 1
            producers -= 1


@dataclass(slots=True)
class _Crew:
    """Workers that are to die, and those that come after them."""

    trial: Trial
    rows: dict[str, Row]
    rng: random.Random
    points: list[str]
    """Still to come."""
    alive: dict[BaseProcess, tuple[str | None, float]] = field(default_factory=dict)
    """With the point that each is armed with, and since when it works."""

    @property
    def is_needed(self) -> bool:
        """Whether anybody is still to die."""
        return bool(self.points or self.alive)

    async def look(self) -> None:
        """Note who died, stop who does not, and fill the empty places."""
        for process, (point, since) in list(self.alive.items()):
            if not process.is_alive():
                await self._bury(process, point)
            elif point is not None and time.monotonic() - since > PATIENCE_S:
                process.terminate()
                self.points.insert(0, point)
                self.alive[process] = (None, time.monotonic())
        while self.points and len(self.alive) < SLOTS:
            point = self.points.pop()
            after = self.rng.randint(1, 2 if point == "beat" else 6)
            self.alive[self.trial.worker(point=point, after=after)] = (point, time.monotonic())

    async def _bury(self, process: BaseProcess, point: str | None) -> None:
        del self.alive[process]
        if process.exitcode == -signal.SIGKILL and point is not None:
            self.rows[point].trials += 1
            await self.trial.note(point, await self.trial.held_by(process.pid or 0))
        elif point is not None or process.exitcode != 0:
            self.rows["node"].faults.append(f"a worker ended by itself, exit code {process.exitcode}")
