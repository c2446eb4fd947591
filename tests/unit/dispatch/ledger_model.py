"""The rules of the ledger in plain words: simulations run on them, and the real ledger is held to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from aurora.kernel.models.task import TaskState

HELD = datetime(9999, 1, 1, tzinfo=UTC)
SETTLED = frozenset(state for state in TaskState if not state.is_open)


@dataclass(slots=True, kw_only=True)
class Row:
    """What the ledger knows of one task."""

    id: UUID
    run_at: datetime
    tenant: str = "default"
    graph: str = "triage"
    key: str = ""
    priority: int = 5
    deadline: datetime | None = None
    max_attempts: int = 5
    state: TaskState = TaskState.QUEUED
    epoch: int = 0
    attempt: int = 0
    version: str | None = None
    """Of the graph, with which its run began or is about to."""
    owner: str | None = None
    lease_until: datetime | None = None
    is_stopped: bool = False
    """Somebody wants it to stop."""
    is_woken: bool = False
    """What it waits for came before it began to wait."""
    told_at: datetime | None = None
    """When somebody was, or is about to be, woken for it; `None`: the relay is to do it."""
    finished_at: datetime | None = None
    is_begun: bool = False
    """Its run has left a checkpoint."""

    @property
    def is_held(self) -> bool:
        """Whether the batch that it came with is still being accepted."""
        return self.run_at >= HELD


@dataclass(frozen=True, slots=True)
class Held:
    """What a worker remembers of a claim, whatever happens to the row meanwhile."""

    id: UUID
    epoch: int
    attempt: int


class LedgerModel:
    """Every method is one transaction. What a call of the real ledger may choose freely, the caller says."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Row] = {}

    def stands(self, held: Held) -> bool:
        """The fence: whether a claim may still write."""
        row = self.rows[held.id]
        return row.state is TaskState.RUNNING and row.epoch == held.epoch

    # --- workers

    def due(self, now: datetime, *, given: Collection[UUID] = ()) -> list[Row]:
        """What could be claimed, the best first; of those that are given also what is held."""
        rows = [
            row
            for row in self.rows.values()
            if row.state is TaskState.QUEUED
            and (row.run_at <= now or (row.is_held and row.id in given))
            and (not given or row.id in given)
        ]
        return sorted(rows, key=lambda row: (-row.priority, row.run_at, row.id))

    def claim(self, ids: Iterable[UUID], *, owner: str, lease_until: datetime, version: str = "1") -> list[Held]:
        """Hand out tasks, with the version of the graph that a fresh run begins with."""
        claims = []
        for id_ in ids:
            row = self.rows[id_]
            row.state, row.owner, row.lease_until, row.is_woken = TaskState.RUNNING, owner, lease_until, False
            row.version = row.version or version
            row.epoch += 1
            row.attempt += 1
            claims.append(Held(id_, row.epoch, row.attempt))
        return claims

    def begin(self, held: Held) -> bool:
        """The first write of a run."""
        if stands := self.stands(held):
            self.rows[held.id].is_begun = True
        return stands

    def beat(self, held: Iterable[Held], *, lease_until: datetime) -> tuple[set[UUID], set[UUID]]:
        """Return what is kept, and what of that somebody wants to stop."""
        kept = {each.id for each in held if self.stands(each)}
        for id_ in kept:
            self.rows[id_].lease_until = lease_until
        return kept, {id_ for id_ in kept if self.rows[id_].is_stopped}

    def settle(
        self, held: Held, state: TaskState, *, now: datetime, run_at: datetime | None = None, is_free: bool = False
    ) -> bool:
        """Write how a claim ended; `False`: it stands no more, and nothing was written."""
        if not self.stands(held):
            return False
        row = self.rows[held.id]
        if state is TaskState.WAITING:
            row.attempt = 0
        elif is_free:
            row.attempt = max(0, row.attempt - 1)
        if state.is_open and row.is_stopped:
            state = TaskState.CANCELLED
        elif state is TaskState.WAITING and row.is_woken:
            state = TaskState.QUEUED
        row.state, row.owner, row.lease_until = state, None, None
        row.finished_at = None if state.is_open else now
        if state is TaskState.QUEUED:
            row.run_at, row.told_at = run_at or now, None
        return True

    def reap(self, now: datetime, *, is_dead: Callable[[str], bool] = lambda _: False) -> int:
        """Queue again what nobody holds any more. What its owner did not come to was no attempt."""
        lapsed = [
            row
            for row in self.rows.values()
            if row.lease_until is not None and (row.lease_until < now or is_dead(row.owner or ""))
        ]
        for row in lapsed:
            row.owner = row.lease_until = None
            if row.is_stopped:
                row.state, row.finished_at = TaskState.CANCELLED, now
                continue
            row.state, row.run_at, row.told_at = TaskState.QUEUED, now, None
            if not row.is_begun:
                row.attempt -= 1
                row.version = None
        return len(lapsed)

    def unsettled(self, ids: Collection[UUID]) -> int:
        return sum(self.rows[id_].state.is_open for id_ in ids)

    # --- producers and people

    def submit(self, row: Row, *, max_queued: int | None = None) -> UUID | None:
        """Return the id under which the task stands; `None`: its tenant has as much queued as it may."""
        for standing in self.rows.values():
            if row.key and (standing.tenant, standing.key) == (row.tenant, row.key):
                return standing.id
        if max_queued is not None and self.by_state(row.tenant)["queued"] >= max_queued:
            return None
        self.rows[row.id] = row
        return row.id

    def cancel(self, id_: UUID, *, now: datetime) -> TaskState | None:
        """Return the state that came of it; `None`: it has ended."""
        row = self.rows[id_]
        if row.state in SETTLED:
            return None
        if row.state is TaskState.RUNNING:
            row.is_stopped = True
        else:
            row.state, row.finished_at, row.told_at = TaskState.CANCELLED, now, None
        return row.state

    def retry(self, id_: UUID, *, now: datetime, announced: bool = False) -> bool:
        """A person's hand: attempts count anew. `False`: there is nothing to try again, or not yet."""
        row = self.rows[id_]
        if row.state in {TaskState.RUNNING, TaskState.WAITING, TaskState.SUCCEEDED} or row.is_held:
            return False
        row.state, row.run_at, row.attempt, row.finished_at = TaskState.QUEUED, now, 0, None
        row.told_at = now if announced else None
        row.is_stopped = row.is_woken = False
        if row.deadline is not None and row.deadline <= now:
            row.deadline = None
        if not row.is_begun:
            row.version = None
        return True

    def is_dead_letter(self, id_: UUID) -> bool:
        return self.rows[id_].state in {TaskState.FAILED, TaskState.DEAD}

    def wake(self, id_: UUID, *, now: datetime, announced: bool = False) -> None:
        """What a task waits for has come, perhaps before it waits."""
        row = self.rows[id_]
        if row.state is TaskState.WAITING:
            row.state, row.run_at, row.told_at = TaskState.QUEUED, now, now if announced else None
        elif row.state is TaskState.RUNNING:
            row.is_woken = True

    def expire(self, now: datetime, *, tenant: str, limit: int) -> list[UUID]:
        """Fail what is queued, or waits, past its deadline, the latest first."""
        late = [
            (row.deadline, row.id)
            for row in self.rows.values()
            if row.tenant == tenant
            and row.state in {TaskState.QUEUED, TaskState.WAITING}
            and row.deadline is not None
            and row.deadline < now
        ]
        expired = [id_ for _, id_ in sorted(late)[:limit]]
        for id_ in expired:
            row = self.rows[id_]
            row.state, row.finished_at, row.told_at = TaskState.FAILED, now, None
        return expired

    def by_state(self, tenant: str) -> Counter[str]:
        return Counter(row.state.value for row in self.rows.values() if row.tenant == tenant)
