"""What goes through the ledger is counted as it was written, not as it was wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import RunId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.observability.metered import MeteredLedger
from aurora.observability.vitals import Count, Sign, Took, Vitals


class FakeLedger:
    """Answers as it is told, and takes its time."""

    def __init__(self, clock: Any) -> None:
        self.answer: Turn | Exception = Turn(frozenset(), ())
        self._clock = clock

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        self._clock.advance(timedelta(milliseconds=3))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def reap(self) -> int:
        return 7


@pytest.fixture
def metered(clock):
    vitals, ledger = Vitals(clock=clock), FakeLedger(clock)
    return MeteredLedger(ledger, vitals, clock), vitals, ledger


def _task(clock, ids, *, epoch: int = 1) -> Task:
    return Task(
        id=TaskId(ids()),
        tenant="default",
        run_id=RunId(ids()),
        graph="triage",
        thread_id="t",
        created_at=clock.now(),
        idempotency_key=str(ids()),
        epoch=epoch,
    )


async def test_endings_count_by_what_was_written_and_lost_ones_as_lost(metered, clock, ids):
    ledger, vitals, inner = metered
    done, dead, again, lost = (_task(clock, ids) for _ in range(4))
    inner.answer = Turn(frozenset({done.id, dead.id, again.id}), ())

    await ledger.turn(
        [
            Ending(task=done, state=TaskState.SUCCEEDED),
            Ending(task=dead, state=TaskState.DEAD, event="dead"),
            Ending(task=again, state=TaskState.QUEUED, event="handed_back"),
            Ending(task=lost, state=TaskState.SUCCEEDED),
        ],
        limit=0,
        scope=Scope(),
    )

    counts = vitals.counts()
    assert counts[Count.SETTLED] == {"succeeded": 1, "dead": 1}
    assert counts[Count.RETRIED] == {"handed_back": 1}
    assert counts[Count.LEASES_LOST] == {"": 1}
    assert sum(vitals.durations(Took.SETTLE).buckets) == 1
    assert sum(vitals.durations(Took.CLAIM).buckets) == 0


async def test_claimed_tasks_count_and_those_that_somebody_had_before_as_redelivered(metered, clock, ids):
    ledger, vitals, inner = metered
    inner.answer = Turn(frozenset(), [_task(clock, ids), _task(clock, ids, epoch=3)])

    assert (await ledger.turn((), limit=8, scope=Scope())) is inner.answer

    assert vitals.counts()[Count.CLAIMED] == {"": 2}
    assert vitals.counts()[Count.REDELIVERED] == {"": 1}
    assert vitals.durations(Took.CLAIM).sum_s == pytest.approx(0.003)


async def test_a_database_that_is_away_is_looked_at_and_nothing_is_counted(metered, clock):
    ledger, vitals, inner = metered
    inner.answer = StorageUnavailable("gone")
    clock.advance(timedelta(seconds=60))

    with pytest.raises(StorageUnavailable):
        await ledger.turn((), limit=8, scope=Scope())

    assert vitals.age(Sign.LOOK) == timedelta(milliseconds=3)
    assert not any(vitals.counts().values())
    assert sum(vitals.durations(Took.CLAIM).buckets) == 0


async def test_reaping_passes_through(metered):
    ledger, _, _ = metered

    assert await ledger.reap() == 7
