"""Removes steps and tasks that nobody needs any more, a little at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.services.outcomes import Document, told
from aurora.settings.model import RetentionSettings
from aurora.storage.repositories.retention import Retention, Spent
from aurora.storage.unit_of_work import Storage

PORTION = 100
"""Runs in one transaction: some 20 ms on SQLite, where everybody else waits for it."""

BREATH = timedelta(milliseconds=50)
"""Between two transactions of a scheduler, so that those who wait for the lock of SQLite get it."""

COUNTED = ("runs_stripped", "checkpoints", "blobs", "writes", "journal", "tasks", "events", "runs", "slots")

_Find = Callable[[Retention, UUID | None], Awaitable[list[Spent]]]
_Remove = Callable[[Retention, Sequence[Spent]], Awaitable[Counter[str]]]


async def prune(
    storage: Storage,
    settings: RetentionSettings,
    *,
    clock: Clock,
    breath: timedelta = timedelta(),
    is_dry: bool = False,
) -> Document:
    """Remove what the settings say need not be kept, of all tenants; return how much of what.

    Runs settled longer ago than `settings.steps` lose their checkpoints and journal: they can be shown, not
    replayed. Tasks settled longer ago than `settings.tasks` go with their events, runs and slots; the run that a
    verdict names stays. Nothing open is touched. Killed at any moment, the next call goes on.

    Args:
        storage: Any tenant's.
        settings: How long is kept what.
        clock: Time.
        breath: Pause between two transactions.
        is_dry: Only count.

    Raises:
        StorageUnavailable: the database refused; what was removed before stays removed.
    """
    now = clock.now()
    steps_before, tasks_before = now - settings.steps, now - settings.tasks
    async with storage.reading() as transaction:
        tenants = await transaction.retention.tenants()
    counts: Counter[str] = Counter()
    for tenant in tenants:
        own = storage.of(tenant)
        if is_dry:
            async with own.reading() as transaction:
                counts += await transaction.retention.counted(steps_before=steps_before, tasks_before=tasks_before)
        else:
            counts += await _prune_tenant(own, steps_before, tasks_before, clock=clock, breath=breath)
    return {
        "dry_run": is_dry,
        "steps_before": told(steps_before),
        "tasks_before": told(tasks_before),
        **{name: counts[name] for name in COUNTED},
    }


async def _prune_tenant(
    storage: Storage, steps_before: datetime, tasks_before: datetime, *, clock: Clock, breath: timedelta
) -> Counter[str]:
    async def rest() -> None:
        if breath:
            await clock.sleep(breath)

    # Tasks first: their steps go with them, and need not be looked for again.
    counts = await _portions(
        storage,
        lambda rows, after: rows.settled(tasks_before, after=after, limit=PORTION),
        lambda rows, spent: rows.remove(spent, before=tasks_before),
        rest,
    )
    counts += await _portions(
        storage,
        lambda rows, after: rows.with_steps(steps_before, after=after, limit=PORTION),
        lambda rows, spent: rows.remove_steps(spent, before=steps_before),
        rest,
    )
    async with storage.writing() as transaction:
        counts["slots"] += await transaction.retention.remove_slots(tasks_before)
    return counts


async def _portions(storage: Storage, find: _Find, remove: _Remove, rest: Callable[[], Awaitable[Any]]) -> Counter[str]:
    """Remove all that is found. Looking takes no lock, and one look begins where the last one ended."""
    counts: Counter[str] = Counter()
    after: UUID | None = None
    while True:
        async with storage.reading() as transaction:
            spent = await find(transaction.retention, after)
        if not spent:
            return counts
        async with storage.writing() as transaction:
            counts += await remove(transaction.retention, spent)
        after = spent[-1].task_id
        await rest()
