"""What arrives that should not: everything five times, in the wrong order, rubbish between, a task that kills."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from multiprocessing.process import BaseProcess

from sqlalchemy import select

from aurora.dispatch.brokers.open import open_broker
from aurora.dispatch.envelope import Envelope, Signer
from aurora.kernel.clock import SystemClock
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Message
from aurora.storage.models import TaskModel
from aurora.storage.unit_of_work import Storage
from tests.faults.process import Place
from tests.faults.scenarios import under
from tests.faults.table import Row
from tests.faults.trial import Trial, opened

COPIES = 5
RUBBISH = (
    b"",
    b"\xff\xfe not text",
    b"{}",
    b"[" * 5000,
    b'{"v": 99}',
    b'{"v": 1, "task_id": "' + b"9" * 30_000 + b'"}',
    b"x" * 60_000,
)


async def messages(place: Place) -> Row:
    """Every wake-up five times and the last one first, with rubbish between them."""

    async def breaks(trial: Trial, crew: list[BaseProcess]) -> None:
        async with trial.engine.connect() as connection:
            ids = list((await connection.execute(select(TaskModel.id).order_by(TaskModel.id.desc()))).scalars())
        async with Storage(trial.engine).reading() as transaction:
            tasks = [await transaction.tasks.get(each) for each in ids]
        signer = Signer(None)
        async with open_broker(place.broker, clock=SystemClock()) as broker:
            for copy in range(COPIES):
                wakes = [_copy(signer.seal(Envelope.of(task)).data, copy) for task in tasks]
                await broker.wake(Lane.NORMAL, wakes)
                await broker.wake(Lane.NORMAL, [_copy(each, copy) for each in RUBBISH])

    return await under(f"duplicates x {COPIES}, reordered, rubbish between", place, breaks)


def _copy(data: bytes, number: int) -> Message:
    """Return a message that the broker takes for a new one."""
    return Message(hashlib.sha256(data + bytes([number])).hexdigest(), data)


async def poison(place: Place) -> Row:
    """One task kills every worker that takes it; it ends as a dead letter, and the others are done."""
    row = Row(fault="poison task, kills its worker", where=place.label, trials=1)
    async with opened(place) as trial:
        began = time.time()
        trial.producer(1, prefix="poison", attempts=3)
        trial.producer(10)
        crew = [trial.worker() for _ in range(2)]
        until = time.monotonic() + 120
        while time.monotonic() < until and not (await trial.states()).get("dead"):
            for number, process in enumerate(crew):
                if process.exitcode == -signal.SIGKILL:
                    crew[number] = trial.worker()
            await asyncio.sleep(0.1)
        found = await trial.judge(row, but={"dead": 1})
        row.recoveries_s = [at - began for at in found.finished.values()]
        if not (await trial.states()).get("dead"):
            row.faults.append("the poison task is not dead after two minutes")
    return row
