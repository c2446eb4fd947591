"""What protects an effect on the world: nothing, a fence, a fence and a ledger of effects. Whole schedules, simulated.

Three workers share four tasks, each of which changes the world once. A schedule is drawn from a seed: workers stop
for longer than a lease, are killed between any two steps, lose heartbeats, and have clocks that are off.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from uuid import UUID

import pytest

from aurora.kernel.models.task import TaskState
from tests.unit.dispatch.ledger_model import Held, LedgerModel, Row

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCHEDULES = 1000
WORKERS = 3
TASKS = 4
LEASE_S, BEAT_S, SELF_FENCE_S, POLL_S = 10.0, 3.0, 8.0, 2.0
LONG_S, SHORT_S = 4.0, 0.5
"""Longest time from one step to the next; around the effect it is short."""
STOPS, KILLS = 0.06, 0.03
"""In a second of work."""
QUIET_S = 40.0
"""From then on nothing goes wrong any more, and all must end."""
LONGEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands between a schedule and the world."""

    has_fence: bool = True
    has_effects: bool = True
    """An intent with a unique key is written before the effect, its result after it."""
    is_blind: bool = False
    """An intent without a result is simply carried out again, by whoever finds it."""


NOTHING = Protection(has_fence=False, has_effects=False)
FENCE = Protection(has_effects=False)
BLIND = Protection(is_blind=True)
FULL = Protection()


class Unfenced(LedgerModel):
    """What runs may be written by anybody who ever held it."""

    def stands(self, held: Held) -> bool:
        return self.rows[held.id].state is TaskState.RUNNING


@dataclass(slots=True)
class Worker:
    """One process. Killed, it starts again under another name and knows nothing of before."""

    name: str
    off_s: float = 0.0
    """Its clock says so much more than the time."""
    life: int = 0
    stopped_until: float = 0.0
    held: Held | None = None
    beaten_at: float = 0.0
    is_lost: bool = False
    """It was told, or has reason to think, that it does not hold its task any more."""


@dataclass(slots=True)
class Outcome:
    """What came of one schedule."""

    happened: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    lost: int = 0
    """Tasks that did not end, or say that they succeeded when nothing was done."""
    unknown: int = 0
    """Tasks that say: look whether it was done."""


class Schedule:
    """One run of the world, from a seed."""

    def __init__(self, seed: int, protection: Protection, *, faults: bool) -> None:
        self._random = random.Random(seed)
        self._protection = protection
        self._quiet = QUIET_S if faults else 0.0
        self._ledger = LedgerModel() if protection.has_fence else Unfenced()
        self._intents: dict[UUID, str] = {}
        self._world: Counter[UUID] = Counter()
        self._outcome = Outcome()
        self._now = 0.0
        self._order = count()
        self._steps: list[tuple[float, int, Worker, int, Iterator[float]]] = []
        for number in range(TASKS):
            self._ledger.submit(Row(id=UUID(int=number + 1), run_at=START))
        self._workers = [Worker(f"w{number}") for number in range(WORKERS)]
        for worker in self._workers:
            if faults and self._chance(0.3):
                worker.off_s = self._random.choice([-30.0, -5.0, 5.0, 30.0])
            self._start(worker, after=self._random.random())

    def play(self) -> Outcome:
        """Let it run until all is settled and no worker holds anything, in its own opinion."""
        while self._now < LONGEST_S and not self._is_over():
            self._now, _, worker, life, process = heapq.heappop(self._steps)
            if life != worker.life:
                continue  # what it was doing when it was killed
            if worker.stopped_until > self._now:
                self._at(worker.stopped_until + self._random.random() / 100, worker, process)
                continue
            if self._now >= self._quiet:
                worker.off_s = 0.0
            pause = next(process)
            if life == worker.life:
                self._at(self._now + pause, worker, process)
        return self._told()

    def _is_over(self) -> bool:
        settled = all(not row.state.is_open for row in self._ledger.rows.values())
        return settled and all(worker.held is None for worker in self._workers)

    def _told(self) -> Outcome:
        came = self._outcome
        for id_, row in self._ledger.rows.items():
            done, is_unknown = self._world[id_], self._intents.get(id_) in {"intent", "unknown"}
            came.twice += done > 1
            came.unknown += is_unknown
            came.lost += row.state.is_open or (row.state is TaskState.SUCCEEDED and not done)
            came.lost += row.state is not TaskState.SUCCEEDED and row.attempt <= row.max_attempts and not is_unknown
        return came

    # --- what goes wrong

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _window(self, worker: Worker, *, at_most: float) -> Iterator[float]:
        """The time between two steps: the longer, the more goes wrong in it. Only SQL says afterwards what is so."""
        length = self._random.uniform(0.0, at_most)
        if self._now < self._quiet:
            if self._chance(STOPS * length):
                self._outcome.happened["stopped"] += 1
                worker.stopped_until = self._now + self._random.uniform(0.0, 3 * LEASE_S)
            elif self._chance(KILLS * length):
                self._outcome.happened["killed"] += 1
                self._start(worker, after=self._random.uniform(0.0, 2 * LEASE_S))
        yield length

    def _start(self, worker: Worker, *, after: float) -> None:
        worker.life += 1
        worker.held, worker.is_lost, worker.stopped_until = None, False, 0.0
        self._at(self._now + after, worker, self._works(worker))
        self._at(self._now + after, worker, self._beats(worker))

    def _at(self, moment: float, worker: Worker, process: Iterator[float]) -> None:
        heapq.heappush(self._steps, (moment, next(self._order), worker, worker.life, process))

    def _clock(self, worker: Worker) -> datetime:
        return START + timedelta(seconds=self._now + worker.off_s)

    def _lease(self, worker: Worker) -> datetime:
        return self._clock(worker) + timedelta(seconds=LEASE_S)

    # --- a worker

    def _works(self, worker: Worker) -> Iterator[float]:
        while True:
            now = self._clock(worker)
            self._outcome.happened["lapsed"] += self._ledger.reap(now)
            if due := self._ledger.due(now):
                name = f"{worker.name}.{worker.life}"
                (worker.held,) = self._ledger.claim([due[0].id], owner=name, lease_until=self._lease(worker))
                worker.is_lost, worker.beaten_at = False, self._now
                yield from self._window(worker, at_most=SHORT_S)
                yield from self._runs(worker, worker.held)
                worker.held = None
            yield POLL_S * (0.5 + self._random.random())

    def _beats(self, worker: Worker) -> Iterator[float]:
        while True:
            yield BEAT_S
            if worker.held is None:
                continue
            if self._now >= self._quiet or not self._chance(0.3):
                kept, _ = self._ledger.beat([worker.held], lease_until=self._lease(worker))
                worker.beaten_at = self._now
                worker.is_lost |= not kept
            else:
                self._outcome.happened["beats lost"] += 1
            worker.is_lost |= self._now - worker.beaten_at > SELF_FENCE_S

    def _runs(self, worker: Worker, held: Held) -> Iterator[float]:
        if held.attempt > self._ledger.rows[held.id].max_attempts:
            self._settle(worker, held, TaskState.DEAD)
            return
        if self._protection.has_fence and not self._ledger.begin(held):
            return
        for _ in range(self._random.randrange(2, 6)):  # steps before the one with the effect
            yield from self._window(worker, at_most=LONG_S)
        if worker.is_lost:
            return
        state = yield from self._acts(worker, held)
        yield from self._window(worker, at_most=SHORT_S)
        if state is not None and not worker.is_lost:
            self._settle(worker, held, state)

    def _acts(self, worker: Worker, held: Held) -> Iterator[float]:
        """Change the world once; return how the task ends, or `None` if it is another's."""
        may = self._may_act(held)
        if may is not TaskState.RUNNING:
            return may
        yield from self._window(worker, at_most=SHORT_S)
        self._world[held.id] += 1
        yield from self._window(worker, at_most=SHORT_S)
        if self._protection.has_effects:
            if not self._ledger.stands(held):
                return None
            self._intents[held.id] = "done"
        return TaskState.SUCCEEDED

    def _may_act(self, held: Held) -> TaskState | None:
        """One transaction, and the last before the effect; `RUNNING`: go on."""
        if self._protection.has_fence and not self._ledger.stands(held):
            return None
        if self._protection.has_effects:
            before = self._intents.get(held.id)
            if before == "done":
                return TaskState.SUCCEEDED
            if before is not None and not self._protection.is_blind:
                self._intents[held.id] = "unknown"
                return TaskState.FAILED
            self._intents[held.id] = "intent"
        return TaskState.RUNNING

    def _settle(self, worker: Worker, held: Held, state: TaskState) -> None:
        is_another = self._ledger.rows[held.id].epoch != held.epoch
        if self._ledger.settle(held, state, now=self._clock(worker)):
            self._outcome.happened["settled for another"] += is_another


@cache
def outcome_of(protection: Protection, *, schedules: int = SCHEDULES, faults: bool = True) -> Outcome:
    """Add up what came of all schedules; of `twice` and `lost`, the schedules in which that was so."""
    total = Outcome()
    for seed in range(schedules):
        came = Schedule(seed, protection, faults=faults).play()
        total.happened += came.happened
        total.twice += came.twice > 0
        total.lost += came.lost > 0
        total.unknown += came.unknown
    return total


@pytest.mark.parametrize("protection", [NOTHING, FENCE, BLIND, FULL])
def test_without_faults_every_effect_happens_once(protection):
    came = outcome_of(protection, schedules=50, faults=False)

    assert (came.twice, came.lost, came.unknown) == (0, 0, 0)
    assert came.happened["lapsed"] == 0


def test_the_schedules_hold_what_they_promise():
    happened = outcome_of(FULL).happened

    for fault in ("stopped", "killed", "beats lost", "lapsed"):
        assert happened[fault] > SCHEDULES / 4, fault


def test_without_a_fence_much_is_done_twice_and_others_tasks_are_settled():
    came = outcome_of(NOTHING)

    assert came.twice > SCHEDULES / 4
    assert came.happened["settled for another"] > 0


def test_a_fence_alone_leaves_the_time_between_effect_and_settlement():
    came = outcome_of(FENCE)

    assert 0 < came.twice < outcome_of(NOTHING).twice
    assert came.happened["settled for another"] == 0


def test_an_intent_that_is_blindly_carried_out_again_is_no_better_than_a_fence():
    came = outcome_of(BLIND)

    assert came.twice > outcome_of(FENCE).twice / 2


def test_with_a_fence_and_intents_no_effect_happens_twice_and_no_task_is_lost():
    came = outcome_of(FULL)

    assert (came.twice, came.lost) == (0, 0)
    assert came.unknown > 0, "no schedule needed the intents"
    assert came.happened["settled for another"] == 0
