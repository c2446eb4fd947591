"""Bare LangGraph under the same kills: started again, it goes on with what its checkpoints know."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults import baseline
from tests.faults.crash import POINTS
from tests.faults.effects import World, account
from tests.faults.graph import NODES
from tests.faults.process import Crew, ended

TASKS = 5
"""Asked of one process at once; it is killed when the second of them reaches the point."""


async def told(fault: str, *, cycles: int) -> str:
    """Return what became of the tasks of bare LangGraph: `lost / twice of tasks`; empty where it has no such point."""
    point = next((name for name, what in POINTS.items() if fault.endswith(what)), None)
    if point not in baseline.PLACES:
        return ""
    lost, twice, tasks = await _trials(baseline.PLACES[point], cycles)
    return f"{lost} lost, {twice} twice of {tasks}"


async def _trials(place: str, cycles: int) -> tuple[int, int, int]:
    if (place, cycles) not in _known():
        lost = twice = 0
        for _ in range(cycles):
            with TemporaryDirectory(prefix="aurora-bare-") as folder, Crew() as crew:
                keys = tuple(f"t{number}" for number in range(TASKS))
                for arguments in ((folder, keys, place, 2), (folder, (), None, 0)):
                    process = crew.start(baseline.work, *arguments)
                    if not await ended([process], within_s=60):
                        raise RuntimeError("the baseline did not end")
                found = account(World(Path(folder)).deeds(), nodes=NODES)
                lost += TASKS - len(found.finished)
                twice += found.twice
        _known()[place, cycles] = (lost, twice, TASKS * cycles)
    return _known()[place, cycles]


@cache
def _known() -> dict[tuple[str, int], tuple[int, int, int]]:
    """Trials of this run: every storm is compared with the same."""
    return {}
