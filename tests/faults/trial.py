"""One place under faults: its tasks, its processes, and the judgement at the end."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.bootstrap import open_runtime
from aurora.storage.checkpoints.tables import CheckpointModel
from aurora.storage.models import RunModel, TaskModel
from tests.faults.effects import Account, World, account
from tests.faults.graph import NODES
from tests.faults.process import Crew, Place, Role, content, ended, produce, schedule, work
from tests.faults.table import Row

QUIET_S = 60.0
"""How long all tasks may take to come to their end after the last fault; a storm leaves leases of ten seconds."""

MOST_BYTES = 512 * 2**20
"""Of memory that a process under test may hold; it begins with 150 MiB of imports."""

SETTLED = ("succeeded", "failed", "dead", "cancelled")


@dataclass(slots=True)
class Trial:
    """An open place with its processes."""

    place: Place
    crew: Crew
    engine: AsyncEngine
    world: World
    count: int = 0
    names: int = 0
    producers: list[BaseProcess] = field(default_factory=list)
    hit: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """When a fault found which task at work, by key: moment and fault."""

    def worker(self, **options: Any) -> BaseProcess:
        """Start a worker on a host of its own."""
        self.names += 1
        return self.crew.start(work, Role(place=self.place, name=f"w{self.names}", **options))

    def scheduler(self, **options: Any) -> BaseProcess:
        """Start a scheduler."""
        self.names += 1
        return self.crew.start(schedule, Role(place=self.place, name=f"s{self.names}", **options))

    def producer(self, count: int, *, prefix: str = "t", **options: Any) -> BaseProcess:
        """Start a process that submits `count` new tasks."""
        self.names += 1
        keys = tuple(f"{prefix}{self.count + number}" for number in range(count))
        self.count += count
        process = self.crew.start(produce, Role(place=self.place, name=f"p{self.names}", keys=keys, **options))
        self.producers.append(process)
        return process

    async def states(self) -> dict[str, int]:
        """Return how many tasks are in each state, as SQL says."""
        query = select(TaskModel.state, func.count()).group_by(TaskModel.state)
        async with self.engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(query)}

    async def held_by(self, pid: int) -> list[str]:
        """Return the keys of the tasks that a process holds, or held when it died."""
        query = select(TaskModel.idempotency_key).where(
            TaskModel.state == "running", TaskModel.owner.contains(f":{pid}:")
        )
        async with self.engine.connect() as connection:
            return [row[0].removeprefix("run:") for row in await connection.execute(query)]

    async def note(self, fault: str, keys: Sequence[str], *, at: float | None = None) -> None:
        """Remember that a fault found these tasks at work."""
        for key in keys:
            self.hit.setdefault(key, []).append((at or time.time(), fault))

    def accepted(self) -> int:
        """Return how many tasks producers know to be accepted."""
        return len(account(self.world.deeds(), nodes=NODES).accepted)

    async def settled(self, count: int, *, within_s: float = QUIET_S) -> bool:
        """Wait until so many tasks are settled."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            states = await self.states()
            if sum(states.get(state, 0) for state in SETTLED) >= count:
                return True
            await asyncio.sleep(0.1)
        return False

    def _too_large(self) -> list[str]:
        """Return which processes take more memory than a worker may."""
        found = []
        for pid in self.crew.pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
                if (size := pages * resource.getpagesize()) > MOST_BYTES:
                    found.append(f"process {pid} takes {size / 2**20:.0f} MiB")
        return found

    async def judge(self, row: Row, *, but: Mapping[str, int] | None = None) -> Account:
        """Hold what happened against the invariants; add it to a row of the table.

        Waits for all tasks first: what is not settled by then counts as lost, and so does what ended otherwise than
        in success, except for as many as `but` says of each state.
        """
        if not await ended(self.producers, within_s=QUIET_S):
            row.faults.append("a producer did not come to its end")
        if failed := [each.exitcode for each in self.producers if each.exitcode not in {0, -signal.SIGKILL}]:
            row.faults.append(f"producers failed, exit codes {failed}")
        found = account(self.world.deeds(), nodes=NODES)
        if not await self.settled(len(found.accepted)):
            row.faults.append(f"I9: not quiet after {QUIET_S:g} s: {await self.states()}")
        found = account(self.world.deeds(), nodes=NODES)
        async with self.engine.connect() as connection:
            rows = (
                await connection.execute(
                    select(TaskModel.idempotency_key, TaskModel.state, TaskModel.tenant, RunModel.tenant).join_from(
                        TaskModel, RunModel, RunModel.id == TaskModel.run_id, isouter=True
                    )
                )
            ).all()
            forks = (
                await connection.execute(
                    select(CheckpointModel.thread_id, CheckpointModel.checkpoint_ns, CheckpointModel.parent_id)
                    .group_by(CheckpointModel.thread_id, CheckpointModel.checkpoint_ns, CheckpointModel.parent_id)
                    .having(func.count() > 1)
                )
            ).all()
        states = {key.removeprefix("run:"): state for key, state, _, _ in rows}
        row.tasks += len(found.accepted)
        ends = Counter(states.get(key, "gone") for key in found.accepted)
        row.lost += (ends - Counter({"succeeded": ends["succeeded"], **(but or {})})).total()
        row.twice += found.twice
        row.again += found.again
        row.unknown += len(found.unknown)
        row.faults += [f"finished work ran again: {each}" for each in found.repeated]
        if missing := [key for key, state in states.items() if state == "succeeded" and key not in found.finished]:
            row.faults.append(f"I3: succeeded without having run: {missing[:5]}")
        without = [
            (key, node)
            for key in found.finished
            for node in NODES
            if (key, node) not in found.unknown and not found.effects[key, node]
        ]
        if without:
            row.faults.append(f"I2: neither done nor visibly unknown: {without[:5]}")
        if forks:
            row.faults.append(f"I5: threads with two lineages: {[each[0] for each in forks][:5]}")
        row.faults += [f"I11: {each}" for each in self._too_large()]
        if any(tenant != other for _, _, tenant, other in rows):
            row.faults.append("I10: a run of another tenant than its task's, or none")
        return found


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Trial]:
    """Open a place: its schema is made, and its processes are gone at the end."""
    place.folder.mkdir(parents=True, exist_ok=True)
    async with open_runtime(place.settings(), content=content()) as runtime:
        with Crew() as crew:
            yield Trial(place, crew, runtime.storage.engine, World(place.folder))
