"""The journal of runs, answered by storage: what was asked once is not asked again, whatever stops the run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast
from uuid import UUID

from aurora.kernel.canonical import canonical
from aurora.kernel.clock import Clock
from aurora.kernel.errors import LeaseLost
from aurora.kernel.models import Task
from aurora.kernel.ports.journal import Json, Kind
from aurora.storage.group_commit import GroupCommit
from aurora.storage.repositories.journal import Entry
from aurora.storage.unit_of_work import Storage

_TOKENS = ("input_tokens", "output_tokens", "took_ms")
_MOST = 2**31 - 1
_LONGEST = 128  # what the column holds


class JournalStore:
    """Writes the entries of all runs of a process; those of a tenant that come at the same time share a transaction.

    Args:
        storage: Where.
        clock: When.
        place: Tells where in its graph the running code is; part of the scope of every entry, so that a run
            which is taken up in the middle counts its calls as it did before.
    """

    def __init__(self, storage: Storage, *, clock: Clock, place: Callable[[], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._place = place
        self._group: GroupCommit[tuple[Task, Entry], bool] = GroupCommit(self._write)

    def of(self, task: Task) -> RunJournal:
        """Return the journal of the run that a task carries out, for this attempt."""
        return RunJournal(
            task, read=self._read, write=lambda entry: self._group.submit((task, entry)), place=self._place
        )

    async def forget(self, task: Task, *, after_step: int) -> None:
        """Drop the answers of steps that a run has still to do, because nobody will ask for them again.

        Raises:
            LeaseLost: another worker owns the run; nothing was dropped.
        """
        async with self._storage.of(task.tenant).writing() as transaction:
            if task.id not in await transaction.tasks.hold([task]):
                raise LeaseLost("another worker owns this task now", task_id=str(task.id), epoch=task.epoch)
            await transaction.journal.forget(task.run_id, after_step=after_step)

    async def _read(self, task: Task) -> Sequence[Entry]:
        async with self._storage.of(task.tenant).reading() as transaction:
            return await transaction.journal.of_run(task.run_id)

    async def _write(self, entries: Sequence[tuple[Task, Entry]]) -> list[bool | Exception]:
        held: set[UUID] = set()
        for tenant in {task.tenant: None for task, _ in entries}:
            async with self._storage.of(tenant).writing() as transaction:
                held |= await transaction.tasks.hold([task for task, _ in entries if task.tenant == tenant])
                now = self._clock.now()
                of_tenant = [(entry, now) for task, entry in entries if task.tenant == tenant and task.id in held]
                await transaction.journal.write(of_tenant)
        return [
            True
            if task.id in held
            else LeaseLost("another worker owns this task now", task_id=str(task.id), epoch=task.epoch)
            for task, _ in entries
        ]


class RunJournal:
    """Implements `aurora.kernel.ports.journal.Journal` for one attempt at one run."""

    def __init__(
        self,
        task: Task,
        *,
        read: Callable[[Task], Awaitable[Sequence[Entry]]],
        write: Callable[[Entry], Awaitable[object]],
        place: Callable[[], str],
    ) -> None:
        self._task = task
        self._read = read
        self._write = write
        self._place = place
        self._known: dict[tuple[str, int], Entry] | None = None
        self._asked: Counter[str] = Counter()

    async def answer(
        self, *, scope: str, kind: Kind, name: str, request: Json, perform: Callable[[], Awaitable[Json]]
    ) -> Json:
        scope = scope_at(self._place(), scope)
        self._asked[scope] += 1
        number = self._asked[scope]
        asked = canonical(request)
        known = (await self._entries()).get((scope, number))
        if known is not None and known.request == asked:
            return decoded(known.answer)
        answer = await perform()
        entry = made(self._task, scope=scope, number=number, kind=kind, name=name, request=asked, answer=answer)
        await self._write(entry)
        return decoded(entry.answer)

    async def _entries(self) -> Mapping[tuple[str, int], Entry]:
        if self._known is None:
            # The first claim of a task finds nothing, so it need not look.
            found = await self._read(self._task) if self._task.epoch > 1 else ()
            self._known = {(each.scope, each.number): each for each in found}
        return self._known


def scope_at(place: str, scope: str) -> str:
    """Return the scope of an entry: place in the graph and what the caller says, at most 128 characters."""
    whole = f"{place}/{scope}"
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[: _LONGEST - 17]}#{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def made(task: Task, *, scope: str, number: int, kind: Kind, name: str, request: bytes, answer: Json) -> Entry:
    """Return the entry that keeps an answer."""
    said = canonical(answer)
    counts = {key: value for key in _TOKENS if type(value := answer.get(key)) is int and 0 <= value <= _MOST}
    return Entry(
        run_id=task.run_id,
        scope=scope,
        number=number,
        kind=kind,
        name=name[:200],
        request=request,
        request_sha256=hashlib.sha256(request).digest(),
        answer=said,
        answer_sha256=hashlib.sha256(said).digest(),
        cost_usd=_money(answer.get("cost_usd")),
        **counts,
    )


def decoded(answer: bytes) -> Json:
    """Return an answer as JSON values."""
    return cast("Json", json.loads(answer))


def _money(value: object) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
