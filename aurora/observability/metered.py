"""The ledger with a counter beside it: what a worker settles and claims, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aurora.kernel.clock import Clock
from aurora.kernel.models import TaskState
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.observability.vitals import Count, Sign, Took, Vitals


class WorkLedger(Protocol):
    """What of the ledger a worker needs."""

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        """Settle what ended and claim up to `limit` tasks, in one transaction."""

    async def reap(self) -> int:
        """Queue again what nobody holds any more."""


class MeteredLedger:
    """Passes everything on and notes it in the vitals of the worker. An error is passed on uncounted.

    Args:
        ledger: Does the work.
        vitals: Of the worker.
        clock: Times the transactions.
    """

    def __init__(self, ledger: WorkLedger, vitals: Vitals, clock: Clock) -> None:
        self._ledger = ledger
        self._vitals = vitals
        self._clock = clock

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        vitals = self._vitals
        vitals.show(Sign.LOOK)  # to try is to be alive; whether the database answers is another question
        began = self._clock.monotonic()
        turn = await self._ledger.turn(endings, limit=limit, scope=scope)
        took = self._clock.monotonic() - began
        if endings:
            vitals.took(Took.SETTLE, took)
        if limit:
            vitals.took(Took.CLAIM, took)
        for ending in endings:
            if ending.task.id not in turn.settled:
                vitals.count(Count.LEASES_LOST)
            elif ending.state is TaskState.QUEUED:
                vitals.count(Count.RETRIED, label=ending.event or "retried")
            else:
                vitals.count(Count.SETTLED, label=ending.state.value)
        if turn.claimed:
            vitals.count(Count.CLAIMED, len(turn.claimed))
            vitals.count(Count.REDELIVERED, sum(task.epoch > 1 for task in turn.claimed))
        return turn

    async def reap(self) -> int:
        return await self._ledger.reap()
