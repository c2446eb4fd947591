"""What every database must do for the presence of workers. Clauses about beats race."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import update

from aurora.kernel.ids import Uuid7Factory
from aurora.storage.models import TaskModel
from aurora.storage.repositories.workers import LEASE, Lease, Presence
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage.rows import accepted_alerts


def presence(clock: ManualClock, id: str = "web-1:42:77:abcdef", **more: Any) -> Presence:
    """Return a worker that has just begun."""
    told: dict[str, Any] = {
        "kind": "worker",
        "host": "web-1",
        "pid": 42,
        "version": "0.4.0",
        "lanes": ("critical", "normal"),
        "graphs": {"triage": ["2", "1"]},
        "concurrency": 8,
        "started_at": clock.now(),
        "seen_at": clock.now(),
        **more,
    }
    return Presence(id=id, **told)


class WorkersContract:
    """Subclass it in one class per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 7
    """How many there are, so that a file that collects fewer is noticed."""

    async def test_what_a_worker_says_is_read_back_as_it_was_said(self, storage: Storage, clock: ManualClock) -> None:
        said = presence(clock, state="draining", running=3, details={"settled": {"succeeded": 7}})

        await _seen(storage, said)

        async with storage.reading() as transaction:
            assert await transaction.workers.live(clock.now()) == [said]

    async def test_a_beat_replaces_the_one_before_and_keeps_the_start(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        began = presence(clock)
        await _seen(storage, began)
        clock.advance(timedelta(seconds=3))

        await _seen(storage, replace(began, running=5, seen_at=clock.now(), started_at=clock.now()))

        (found,) = await _live(storage, clock)
        assert (found.running, found.seen_at, found.started_at) == (5, clock.now(), began.started_at)

    async def test_ten_beats_at_once_leave_one_row(self, storage: Storage, clock: ManualClock) -> None:
        await asyncio.gather(*(_seen(storage, presence(clock, running=n)) for n in range(10)))

        assert len(await _live(storage, clock)) == 1

    async def test_one_that_is_silent_for_a_lease_is_gone_and_comes_back_with_its_next_beat(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        said = presence(clock)
        await _seen(storage, said)

        clock.advance(LEASE)
        at_the_limit = await _live(storage, clock)
        clock.advance(timedelta(seconds=1))
        silent = await _live(storage, clock)
        await _seen(storage, replace(said, seen_at=clock.now()))

        assert [len(at_the_limit), len(silent), len(await _live(storage, clock))] == [1, 0, 1]
        assert said.is_gone(clock.now())

    async def test_kinds_are_told_apart(self, storage: Storage, clock: ManualClock) -> None:
        for kind in ("worker", "embedded", "scheduler"):
            await _seen(storage, presence(clock, id=kind, kind=kind))

        async with storage.reading() as transaction:
            found = await transaction.workers.live(clock.now(), kind="worker")

        assert [each.id for each in found] == ["worker"]

    async def test_who_signs_off_is_forgotten_at_once_and_who_crashed_later(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        for name in ("left", "crashed"):
            await _seen(storage, presence(clock, id=name))
        clock.advance(timedelta(days=1))
        await _seen(storage, presence(clock, id="there"))

        async with storage.writing() as transaction:
            await transaction.workers.gone("left")
            await transaction.workers.gone("never-was-there")
            known = [each.id for each in await transaction.workers.known()]
            forgotten = await transaction.workers.forget(clock.now() - timedelta(hours=1))
            after = [each.id for each in await transaction.workers.known()]

        assert (known, forgotten, after) == (["there", "crashed"], 1, ["there"])

    async def test_leases_are_counted_by_owner_of_all_tenants(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        await accepted_alerts(storage, ids, clock, count=3)
        early, late = clock.now() + timedelta(seconds=4), clock.now() + timedelta(seconds=9)
        await accepted_alerts(Storage(storage.engine, tenant="acme"), ids, clock, count=2)
        async with storage.writing() as transaction:
            running = update(TaskModel).values(state="running")
            theirs = running.where(TaskModel.tenant == "acme").values(owner="w2", lease_until=late)
            await transaction.connection.execute(running.values(owner="w1", lease_until=early))
            await transaction.connection.execute(theirs)

        async with storage.reading() as transaction:
            leases = await transaction.workers.leases()

        assert leases == [Lease("w1", 3, early), Lease("w2", 2, late)]


async def _seen(storage: Storage, row: Presence) -> None:
    async with storage.writing() as transaction:
        await transaction.workers.seen(row)


async def _live(storage: Storage, clock: ManualClock) -> list[Presence]:
    async with storage.reading() as transaction:
        return await transaction.workers.live(clock.now())
