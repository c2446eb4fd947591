"""Two schedulers that die between a slot and its task: every slot is fired once, and none is forgotten."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sqlalchemy import insert, select

from aurora.storage.models import ScheduleModel, ScheduleSlotModel, TaskModel
from tests.faults.effects import account
from tests.faults.graph import NODES
from tests.faults.process import Place
from tests.faults.table import Row
from tests.faults.trial import Trial, opened

SLOTS = 120
"""That are due when the schedulers start: they fire fifty in a transaction."""

KILLS = (1, 30, 60, 90)
"""After so many slots a scheduler dies, with the row of the slot written and its task not."""


async def two_of_them(place: Place) -> Row:
    """Start two schedulers where two hours of slots are due; kill them in the middle of firing, again and again."""
    row = Row(fault="two schedulers, kill -9 between slot and task", where=place.label)
    async with opened(place) as trial:
        began = time.time()
        await _schedule(trial)
        trial.worker(concurrency=16)
        for after in KILLS:
            crew = [trial.scheduler(point="fired", after=after + number) for number in range(2)]
            await asyncio.sleep(1.5)
            row.trials += sum(each.exitcode == -signal.SIGKILL for each in crew)
            for each in crew:
                each.kill()
        for _ in range(2):
            trial.scheduler()
        await _fired(trial)
        await _judge(trial, row, began)
    return row


async def _schedule(trial: Trial) -> None:
    now = datetime.now(UTC)
    async with trial.engine.begin() as connection:
        await connection.execute(
            insert(ScheduleModel).values(
                tenant="default",
                id="ticks",
                graph="fault",
                input={"folder": str(trial.place.folder)},
                priority=5,
                every_s=60,
                offset_s=0,
                timezone="UTC",
                catch_up="all",
                is_paused=False,
                created_at=now - timedelta(minutes=SLOTS),
                passed=now - timedelta(minutes=SLOTS),
            )
        )


async def _fired(trial: Trial) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and await _slots(trial) < SLOTS:
        await asyncio.sleep(0.1)


async def _slots(trial: Trial) -> int:
    async with trial.engine.connect() as connection:
        return len((await connection.execute(select(ScheduleSlotModel.slot))).all())


async def _judge(trial: Trial, row: Row, began: float) -> None:
    if not await trial.settled(SLOTS):
        row.faults.append(f"I9: not quiet: {await trial.states()}")
    async with trial.engine.connect() as connection:
        slots = list(
            (await connection.execute(select(ScheduleSlotModel.slot).order_by(ScheduleSlotModel.slot))).scalars()
        )
        tasks = [each.idempotency_key for each in await connection.execute(select(TaskModel.idempotency_key))]
    found = account(trial.world.deeds(), nodes=NODES)
    gaps = [one for one, following in pairwise(slots) if following - one != timedelta(minutes=1)]
    row.tasks = len(tasks)
    row.lost = max(0, SLOTS - len(slots)) + len(set(tasks) - set(found.finished))
    row.twice = found.twice + sum(count - 1 for count in Counter(tasks).values() if count > 1)
    row.again, row.unknown = found.again, len(found.unknown)
    row.recoveries_s = [at - began for at in found.finished.values()]
    if gaps or len(slots) != len(tasks):
        row.faults.append(f"I8: {len(slots)} slots, {len(tasks)} tasks, gaps after {gaps[:3]}")
