"""The real ledger on SQLite against its model: workers, producers and people in any order, time in between."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, event

from aurora.dispatch.fairness import UPSIDE_DOWN, Shares
from aurora.dispatch.ledger import LEASE, REMEMBERED, Ledger
from aurora.dispatch.owner import is_dead
from aurora.kernel.errors import Conflict, NotFound, QuotaExceeded
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models.task import Lane, Task, TaskState
from aurora.kernel.models.work import Ending, Scope
from aurora.storage.base import Base
from aurora.storage.engine import open_engine
from aurora.storage.models.task import HELD
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.unit.dispatch.ledger_model import Held, LedgerModel, Row

T = TypeVar("T")

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = 2**31
"""A process that does not exist: Linux gives no number that high."""
OWNERS = {"far:1:1:a": "1", "far:2:1:b": "2", f"{socket.gethostname()[:24]}:{NOBODY}:1:c": "1"}
"""Two on other machines, whose leases tell, and one of this machine that has ended. With the version they have."""
CAP = 2
SHARES = Shares(weights={"other": 2}, running={"other": CAP})
TENANTS = ("default", "other")
QUOTA = 3
STEPS = (
    *("worker_claims", "worker_claims", "worker_settles", "worker_settles", "worker_settles"),
    *("worker_beats", "worker_begins", "worker_reaps", "time_passes"),
    *("submits", "takes", "cancels", "cancels", "wakes", "wakes", "retries", "replays", "expires", "looks"),
)
"""Chosen by a seeded generator, as all the rest is. Hypothesis draws the seed: left to draw the steps it does the same
over and over, and what matters, such as a wake-up of what somebody wants to stop, hardly comes up."""
OF_ONE_TASK = {"cancel", "retry", "replay", "wake"}
COLUMNS = {
    "state": "state",
    "epoch": "epoch",
    "attempt": "attempt",
    "owner": "owner",
    "lease_until": "lease_until",
    "run_at": "run_at",
    "deadline": "deadline",
    "notified_at": "told_at",
    "finished_at": "finished_at",
    "graph_version": "version",
    "cancel_requested": "is_stopped",
    "woken": "is_woken",
}
"""With their names in the model."""
MOMENTS = {"lease_until", "run_at", "deadline", "notified_at", "finished_at"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")

PRIORITIES = (9, 8, 5, 4, 0)
LANES = (tuple(Lane), tuple(Lane), (Lane.CRITICAL, Lane.NORMAL), (Lane.BULK,))
GRAPHS = (("triage",), ("triage", "hunt"))
ENDINGS = (TaskState.WAITING, TaskState.QUEUED, *(state for state in TaskState if state is not TaskState.RUNNING))
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.001, 1.0, 4.0, 9.999, 10.0, 10.001, 60.0))


@cache
def empty_database() -> bytes:
    """Return a file with all tables."""
    engine = create_engine("sqlite://")
    try:
        Base.metadata.create_all(engine)
        with engine.connect() as connection:
            return connection.connection.driver_connection.serialize()
    finally:
        engine.dispose()


class LedgerMachine(RuleBasedStateMachine):
    """What a call may choose, such as the order of tenants, is checked and told to the model; the rest it foretells."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(prefix="aurora-ledger-")
        file = Path(self.folder.name) / "aurora.db"
        file.write_bytes(empty_database())
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        engine = self.run(self.stack.enter_async_context(open_engine(f"sqlite+aiosqlite:///{file}")))
        event.listen(engine.sync_engine, "connect", lambda dbapi, _: _forgo_syncs(dbapi))
        self.file = sqlite3.connect(file, isolation_level=None)
        self.clock = ManualClock(START)
        self.random = random.Random()
        self.ids = Uuid7Factory(clock=self.clock, generator=random.Random(7))
        self.storage = Storage(engine)
        self.ledgers = {
            owner: Ledger(self.storage, owner=owner, clock=self.clock, shares=SHARES, publishes=True)
            for owner in OWNERS
        }
        self.model = LedgerModel()
        self.held: dict[str, list[Task]] = {owner: [] for owner in OWNERS}
        """Every claim there ever was: a worker may come back to each of them, however late."""
        self.tasks: dict[UUID, Task] = {}
        self.replays: Counter[UUID] = Counter()
        self.accepted: Counter[str] = Counter()

    def teardown(self) -> None:
        self.file.close()
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def asked(self, name: str, tenant: str, *arguments: Any, **options: Any) -> Any:
        """Call `transaction.tasks` in a transaction of its own; one task is found by its own tenant only."""

        async def ask(tenant: str) -> Any:
            async with self.storage.of(tenant).writing() as transaction:
                return await getattr(transaction.tasks, name)(*arguments, **options)

        if name in OF_ONE_TASK and self.random.random() < 0.25:
            (other,) = set(TENANTS) - {tenant}
            with pytest.raises(NotFound):
                self.run(ask(other))
        return self.run(ask(tenant))

    # --- what may happen

    @initialize(seed=st.integers(0, 2**32 - 1))
    def there_is_work(self, seed: int) -> None:
        self.random = random.Random(seed)
        for number in range(self._pick(range(3, 9))):
            self._submit(self._pick(TENANTS), f"first {number}", priority=self._pick(PRIORITIES))

    @rule()
    def something_happens(self) -> None:
        what = self.random.choice(STEPS)
        note(f"--- {what}")
        getattr(self, f"_{what}")()

    def _pick(self, options: Sequence[T]) -> T:
        picked = self.random.choice(options)
        note(f"    {picked}")
        return picked

    def _sample(self, options: Sequence[T]) -> list[T]:
        picked = self.random.sample(options, k=min(len(options), self.random.randint(1, 5)))
        note(f"    {picked}")
        return picked

    def _time_passes(self) -> None:
        self.clock.advance(self._pick(PAUSES))

    # --- workers

    def _worker_claims(self) -> None:
        self._turn(self._pick(sorted(OWNERS)), (), limit=self._pick(range(1, 5)))

    def _worker_settles(self) -> None:
        """Settle some of all that a worker ever held, and claim again."""
        owner, held = self._some_held()
        endings = [self._ending(task) for task in held]
        self._turn(owner, endings, limit=self._pick(range(3)))

    def _turn(self, owner: str, endings: Sequence[Ending], *, limit: int) -> None:
        is_quick = self._pick((False, True))
        if not is_quick:
            self.clock.advance(REMEMBERED)
        scope = Scope(lanes=self._pick(LANES), graphs=dict.fromkeys(self._pick(GRAPHS), OWNERS[owner]))
        settled = self._settled(endings)

        turn = self.run(self.ledgers[owner].turn(endings, limit=limit, scope=scope))

        assert turn.settled == settled
        self._check_choice(owner, turn.claimed, limit=limit, scope=scope, is_quick=is_quick)
        self._claimed(owner, turn.claimed)

    def _worker_beats(self) -> None:
        owner, held = self._some_held()
        kept, stopped = self.model.beat(map(_held, held), lease_until=self.clock.now() + LEASE)

        beat = self.run(self.ledgers[owner].beat(held))

        assert (beat.kept, beat.cancelled) == (kept, stopped)

    def _worker_begins(self) -> None:
        """Leave the first checkpoint of a run, as the saver does: behind the fence."""
        for task in self._some_held()[1]:
            if self.model.begin(_held(task)):
                self.file.execute(
                    "INSERT OR IGNORE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, data, metadata) "
                    "VALUES (?, '', '1', x'', '{}')",
                    [task.thread_id],
                )

    def _worker_reaps(self) -> None:
        owner = self._pick(sorted(OWNERS))
        self.clock.advance(self._pick(PAUSES))
        expected = self.model.reap(self.clock.now(), is_dead=lambda each: each != owner and is_dead(each))

        assert self.run(self.ledgers[owner].reap()) == expected

    def _some_held(self) -> tuple[str, list[Task]]:
        """Draw claims of a worker, one for a task, of those that still stand and a few from before."""
        owner = self._pick([owner for owner in OWNERS if self.held[owner]] or sorted(OWNERS))
        claims = sorted(self.held[owner], key=lambda task: not self.model.stands(_held(task)))
        if not claims:
            return owner, []
        places = self._sample(range(min(len(claims), 8)))
        return owner, list({claims[place].id: claims[place] for place in sorted(places, reverse=True)}.values())

    def _ending(self, task: Task) -> Ending:
        state = self.random.choice(ENDINGS)
        is_queued = state is TaskState.QUEUED
        return Ending(
            task=task,
            state=state,
            event=self._pick([None, state.value]),
            run_at=self.clock.now() + timedelta(seconds=4) if is_queued and self._pick((False, True)) else None,
            is_free=state is TaskState.WAITING or (is_queued and self._pick((False, True))),
            graph_version=task.graph_version if self._pick((False, True)) else None,
            started_at=self.clock.now() if self._pick((False, True)) else None,
        )

    def _settled(self, endings: Sequence[Ending]) -> set[UUID]:
        now = self.clock.now()
        return {
            each.task.id
            for each in endings
            if self.model.settle(_held(each.task), each.state, now=now, run_at=each.run_at, is_free=each.is_free)
        }

    def _check_choice(self, owner: str, claimed: Sequence[Task], *, limit: int, scope: Scope, is_quick: bool) -> None:
        """As many as there are and may be; of each tenant the best; no lane before a better one has nothing left."""
        due = [
            row
            for row in self.model.due(self.clock.now())
            if row.graph in scope.graphs and Lane.of(row.priority) in scope.lanes
        ]
        running = sum(row.tenant == "other" and row.state is TaskState.RUNNING for row in self.model.rows.values())
        room = {"default": limit, "other": min(limit, max(0, CAP - running))}
        number = {tenant: min(room[tenant], sum(row.tenant == tenant for row in due)) for tenant in TENANTS}
        chosen = {task.id for task in claimed}
        assert chosen <= {row.id for row in due}
        assert len(claimed) == len(chosen) == min(limit, sum(number.values()))
        assert sum(task.tenant == "other" for task in claimed) <= room["other"]
        if is_quick or not claimed:
            return  # it may have learnt only afterwards what was brought within the last second
        assert [task.id for task in claimed] == [row.id for row in due if row.id in chosen], "not the most urgent first"
        lanes = sorted(scope.lanes, key=lambda lane: -lane.lowest)
        if self.ledgers[owner]._rounds._claims % UPSIDE_DOWN == 0:
            lanes.reverse()
        due.sort(key=lambda row: (lanes.index(Lane.of(row.priority)), -row.priority, row.run_at, row.id))
        for tenant in TENANTS:
            of = [row for row in due if row.tenant == tenant]
            took = [row.id for row in of if row.id in chosen]
            assert took == [row.id for row in of[: len(took)]], "a tenant's better task was passed over"
            if len(took) < min(len(of), room[tenant]):
                last = max(lanes.index(task.lane) for task in claimed)
                assert lanes.index(Lane.of(of[len(took)].priority)) >= last, "a better lane was passed over"

    def _claimed(self, owner: str, claimed: Sequence[Task]) -> None:
        until = self.clock.now() + LEASE
        held = self.model.claim([task.id for task in claimed], owner=owner, lease_until=until, version=OWNERS[owner])
        for task, each in zip(claimed, held, strict=True):
            row = self.model.rows[task.id]
            assert (task.epoch, task.attempt, task.lease_until) == (each.epoch, each.attempt, until)
            assert (task.tenant, task.graph, task.graph_version) == (row.tenant, row.graph, row.version)
            assert (task.state, task.deadline) == (TaskState.RUNNING, row.deadline)
            self.held[owner].append(task)

    # --- producers

    def _submits(self) -> None:
        self._submit(
            self._pick(TENANTS),
            f"key {self._pick(range(8))}",
            priority=self._pick(PRIORITIES),
            graph=self._pick(["triage", "triage", "triage", "hunt"]),
            later=self._pick([None, None, 5.0, 30.0, "held"]),
            deadline=self._pick([None, 1.0, 5.0, 60.0]),
            quota=self._pick([None, QUOTA]),
            announced=self._pick((False, True)),
        )

    def _submit(
        self, tenant, key, *, priority, graph="triage", later=None, deadline=None, quota=None, announced=False
    ) -> None:
        now = self.clock.now()
        id_, run_id = TaskId(self.ids()), RunId(self.ids())
        run_at = HELD if later == "held" else None if later is None else now + timedelta(seconds=later)
        task = Task(
            id=id_,
            tenant=tenant,
            run_id=run_id,
            graph=graph,
            thread_id=f"{graph}:{run_id}",
            created_at=now,
            run_at=run_at,
            deadline=None if deadline is None else now + timedelta(seconds=deadline),
            priority=priority,
            idempotency_key=key,
        )
        expected = self._submitted(task, max_queued=quota, announced=announced)

        try:
            came = self.asked("submit", tenant, task, max_queued=quota, announced=announced)
        except QuotaExceeded:
            came = None

        assert came == expected

    def _submitted(self, task: Task, *, max_queued: int | None = None, announced: bool = False) -> UUID | None:
        row = Row(
            id=task.id,
            run_at=task.run_at or task.created_at,
            tenant=task.tenant,
            graph=task.graph,
            key=task.idempotency_key,
            priority=task.priority,
            deadline=task.deadline,
            max_attempts=task.max_attempts,
            told_at=task.created_at if announced else None,
        )
        came = self.model.submit(row, max_queued=max_queued)
        if came == task.id:
            self.tasks[task.id] = task
            self.accepted[task.tenant] += 1
        return came

    def _takes(self) -> None:
        """A command works on its own tasks, held ones included."""
        owner, limit = self._pick(sorted(OWNERS)), self._pick(range(1, 5))
        given = self._sample(sorted(self.tasks))
        scope = Scope(tasks=[TaskId(each) for each in given], graphs={"triage": OWNERS[owner]})
        due = [row for row in self.model.due(self.clock.now(), given=given) if row.graph == "triage"]

        turn = self.run(self.ledgers[owner].turn((), limit=limit, scope=scope))

        assert [task.id for task in turn.claimed] == [row.id for row in due[:limit]]
        self._claimed(owner, turn.claimed)
        assert self.run(self.ledgers[owner].unsettled(scope)) == self.model.unsettled(given)

    # --- people

    def _cancels(self) -> None:
        task = self._any()
        expected = self.model.cancel(task.id, now=self.clock.now())

        try:
            came = self.asked("cancel", task.tenant, task.id, self.clock.now(), publishes=True)
        except Conflict:
            came = None

        assert came == expected

    def _retries(self) -> None:
        task = self._any()
        announced = self._pick((False, True))
        expected = self.model.retry(task.id, now=self.clock.now(), announced=announced)

        try:
            self.asked("retry", task.tenant, task.id, self.clock.now(), announced=announced)
        except Conflict:
            assert not expected
        else:
            assert expected

    def _replays(self) -> None:
        task = self._any()
        if not self.model.is_dead_letter(task.id):
            with pytest.raises(Conflict):
                self.asked("replay", task.tenant, task.id, self.clock.now(), self.ids)
            return

        again = self.asked("replay", task.tenant, task.id, self.clock.now(), self.ids)

        self.replays[task.id] += 1
        assert again.idempotency_key == f"{task.idempotency_key}#replay:{self.replays[task.id]}"
        assert again.run_id != task.run_id
        assert (again.tenant, again.graph, again.priority) == (task.tenant, task.graph, task.priority)
        assert self._submitted(again) == again.id

    def _wakes(self) -> None:
        """What a task waits for has come, perhaps before it waits, and is told once or twice."""
        task = self._any()
        for _ in range(self._pick(range(1, 3))):
            announced = self._pick((False, True))
            self.model.wake(task.id, now=self.clock.now(), announced=announced)
            self.asked("wake", task.tenant, task.id, self.clock.now(), announced=announced)

    # --- the scheduler

    def _expires(self) -> None:
        tenant, limit = self._pick(TENANTS), self._pick(range(1, 4))
        rows = [row for row in self.model.rows.values() if row.tenant == tenant and row.state.is_open and row.deadline]
        if ahead := [row.deadline for row in rows if row.deadline >= self.clock.now()]:
            until = min(ahead) - self.clock.now()
            self.clock.advance(self._pick([timedelta(), until, until + timedelta(microseconds=1)]))
        expected = self.model.expire(self.clock.now(), tenant=tenant, limit=limit)

        came = self.asked("expire", tenant, self.clock.now(), limit, publishes=True)

        assert [task.id for task in came] == expected

    def _looks(self) -> None:
        tenant = self._pick(TENANTS)
        queued = [row.run_at for row in self.model.rows.values() if row.state is TaskState.QUEUED and not row.is_held]

        assert Counter(self.asked("by_state", tenant)) == self.model.by_state(tenant)
        assert self.run(self.ledgers[self._pick(sorted(OWNERS))].next_at()) == min(queued, default=None)

    def _any(self) -> Task:
        """Draw a task; one in a rare state is as likely as one in a common one, one that runs likelier still."""
        by_state: dict[TaskState, list[Task]] = {}
        for id_, task in self.tasks.items():
            by_state.setdefault(self.model.rows[id_].state, []).append(task)
        state = self.random.choice([*sorted(by_state), TaskState.RUNNING, TaskState.RUNNING])
        return self._pick(by_state.get(state) or list(self.tasks.values()))

    # --- what is always so

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        found = {
            UUID(hex=id_): dict(zip(COLUMNS, map(_read, COLUMNS, values), strict=True))
            for id_, *values in self.file.execute(f"SELECT id, {', '.join(COLUMNS)} FROM tasks")
        }

        assert found == {
            row.id: {column: getattr(row, field) for column, field in COLUMNS.items()}
            for row in self.model.rows.values()
        }

    @invariant()
    def runs_end_with_their_tasks_and_results_are_due(self) -> None:
        found = self.file.execute(
            "SELECT tasks.id, runs.finished_at, result_due FROM tasks JOIN runs ON runs.id = run_id"
        )
        assert {UUID(hex=id_): (_read("finished_at", run), bool(due)) for id_, run, due in found} == {
            row.id: (row.finished_at, row.finished_at is not None) for row in self.model.rows.values()
        }

    @invariant()
    def nothing_is_lost_and_nothing_hidden(self) -> None:
        """I3."""
        found = Counter(self.file.execute("SELECT tenant, state FROM tasks"))
        for tenant in TENANTS:
            states = [state.value for state in TaskState]
            assert sum(found[tenant, state] for state in states) == self.accepted[tenant]

    @invariant()
    def nobody_holds_what_another_holds(self) -> None:
        claims = [task for of in self.held.values() for task in of]
        assert len(claims) == len({(task.id, task.epoch) for task in claims})
        standing = Counter(task.id for task in claims if self.model.stands(_held(task)))
        assert set(standing.values()) <= {1}
        assert set(standing) == {row.id for row in self.model.rows.values() if row.state is TaskState.RUNNING}


def _held(task: Task) -> Held:
    return Held(task.id, task.epoch, task.attempt)


def _forgo_syncs(dbapi: Any) -> None:
    """Nobody pulls the plug here, and waiting for the disk is most of the time otherwise."""
    cursor = dbapi.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


def _read(column: str, value: Any) -> Any:
    """Return a value as the model has it. Moments are compared as text in SQL, so all must be written alike."""
    if column in {"cancel_requested", "woken"}:
        return bool(value)
    if value is None or column not in MOMENTS:
        return value
    assert MOMENT.fullmatch(value), value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


# Not made smaller: that takes minutes for a failure, in which nobody knows of it. Fewer steps show it sooner.
LedgerMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, phases=[Phase.explicit, Phase.generate]
)


@pytest.mark.slow
class TestLedgerMachine(LedgerMachine.TestCase):
    """Hypothesis' own runner of the machine."""
