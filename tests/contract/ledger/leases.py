"""What every database must do when leases are renewed, run out, and are taken back."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from typing import ClassVar

from aurora.dispatch.ledger import FEW, SELDOM
from aurora.dispatch.owner import this_owner
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models.task import TaskState
from aurora.kernel.models.work import Scope
from tests.contract.ledger.house import LEASE, House, failed, succeeded


class LeasesContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 14

    async def test_a_lost_claim_holds_nothing(self, house: House) -> None:
        """The fence of saver, journal and recorder."""
        await house.submit()
        (old,) = await house.claim("old")
        await house.lapse()

        async with house.storage.writing() as transaction:
            queued = await transaction.tasks.hold([old])
        (new,) = await house.claim("new")
        async with house.storage.writing() as transaction:
            held = await transaction.tasks.hold([old, new])

        assert (queued, held) == (set(), {new.id})

    async def test_a_holder_keeps_others_from_claiming_until_it_commits(self, house: House) -> None:
        """The lease runs out while its holder writes: the fence locks the row, so the claim comes after the commit."""
        await house.submit()
        (task,) = await house.claim("old")
        house.clock.advance(LEASE * 2)
        order, holding = [], asyncio.Event()

        async def write() -> None:
            async with house.storage.writing() as transaction:
                assert await transaction.tasks.hold([task]) == {task.id}
                holding.set()
                for _ in range(50):
                    await asyncio.sleep(0)
                order.append("written")

        async def claim() -> None:
            await holding.wait()
            while not await house.worker("new").reap():  # noqa: ASYNC110 - no event tells of a commit
                await asyncio.sleep(0)
            order.append(f"claimed by {len(await house.claim('new'))}")

        await asyncio.gather(write(), claim())

        assert order == ["written", "claimed by 1"]

    async def test_a_heartbeat_renews_what_is_still_held(self, house: House) -> None:
        await house.submit(3)
        held = await house.claim()
        await house.end(succeeded(held[0]))
        house.clock.advance(LEASE - timedelta(seconds=1))

        beat = await house.worker().beat(held)
        house.clock.advance(LEASE - timedelta(seconds=1))

        assert beat.kept == {held[1].id, held[2].id}
        assert beat.cancelled == frozenset()
        assert await house.worker("other").reap() == 0
        assert (await house.worker().beat([])).kept == frozenset()

    async def test_a_heartbeat_brings_cancellations(self, house: House) -> None:
        await house.submit(2)
        held = await house.claim()

        state = await house.cancel(held[1])
        await house.cancel(held[1])
        beat = await house.worker().beat(held)

        assert state is TaskState.RUNNING
        assert (beat.kept, beat.cancelled) == ({task.id for task in held}, {held[1].id})
        assert await house.history(held[1]) == ["cancel_requested"]

    async def test_a_lease_is_taken_back_only_when_it_has_run_out(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim("first")

        house.clock.advance(LEASE)
        early = await house.worker("second").reap()
        house.clock.advance(timedelta(seconds=1))
        late = await house.worker("second").reap()

        assert (early, late) == (0, 1)
        assert await house.history(task) == ["lapsed"]
        assert (await house.worker("first").beat([task])).kept == frozenset()

    async def test_a_heartbeat_of_a_lost_claim_renews_nothing(self, house: House) -> None:
        await house.submit()
        old = await house.claim("old")
        await house.lapse()
        (new,) = await house.claim("new")
        house.clock.advance(timedelta(seconds=5))

        beat = await house.worker("old").beat(old)

        assert beat.kept == frozenset()
        assert (await house.row(new)).lease_until == new.lease_until

    async def test_a_heartbeat_that_is_being_written_counts(self, house: House) -> None:
        """It is late but not committed yet as somebody looks for lapsed leases: its owner is alive."""
        await house.submit()
        held = await house.claim("owner")
        house.clock.advance(LEASE * 2)
        beating, ended = asyncio.Event(), asyncio.Event()

        async def beat() -> None:
            async with house.storage.writing() as transaction:
                await transaction.claims.beat(held, lease_until=house.clock.now() + LEASE)
                beating.set()
                for _ in range(3000):  # so that a reaper that does not wait for the commit has come by
                    if ended.is_set():
                        break
                    await asyncio.sleep(0)

        async def reap() -> int:
            await beating.wait()
            reaped = await house.worker("reaper").reap()
            ended.set()
            return reaped

        _, reaped = await asyncio.gather(beat(), reap())

        assert reaped == 0
        assert await house.states() == {"running": 1}

    async def test_reaping_races_the_heartbeat(self, house: House) -> None:
        """Whoever comes first: a task is either kept by its owner or queued, never both."""
        await house.submit(12)
        held = await house.claim("owner")
        house.clock.advance(LEASE + timedelta(seconds=1))
        owner = house.worker("owner")

        beat, *reaped = await asyncio.gather(owner.beat(held), *(house.worker(f"r{n}").reap() for n in range(4)))

        states = await house.states()
        assert states.get("running", 0) == len(beat.kept)
        assert states.get("queued", 0) == sum(reaped) == 12 - len(beat.kept)

    async def test_what_was_not_begun_is_no_attempt(self, house: House) -> None:
        """A worker claims many tasks at once: to be killed beside a task must not count against it."""
        await house.submit()
        for _ in range(9):
            await house.claim("dead")
            await house.lapse()

        row = (await house.claim("next", scope=Scope(graphs={"triage": "3.0"})))[0]

        assert (row.attempt, row.epoch, row.graph_version) == (1, 10, "3.0")

    async def test_what_was_begun_is_an_attempt(self, house: House) -> None:
        """Whoever kills its worker must be given up in the end; that is for the next worker to say."""
        (task,) = await house.submit(max_attempts=2)
        for _ in range(2):
            (claimed,) = await house.claim("dead")
            await house.begin(task) if claimed.attempt == 1 else None
            await house.lapse()

        (third,) = await house.claim()

        assert (third.attempt, third.max_attempts) == (3, 2)

    async def test_a_dead_process_of_this_machine_is_not_waited_for(self, house: House, ids: Uuid7Factory) -> None:
        await house.submit(3)
        dead = f"{socket.gethostname()[:24]}:{os.getpid()}:1:abcdef"  # another process had this id before us
        await house.claim(dead, limit=2)
        await house.claim(this_owner(ids), limit=1)

        reaped = await house.worker("other").reap()

        assert reaped == 2
        assert await house.states() == {"queued": 2, "running": 1}

    async def test_among_many_workers_dead_processes_are_looked_for_seldom_and_lapsed_leases_always(
        self, house: House, ids: Uuid7Factory
    ) -> None:
        await house.submit(FEW + 4)
        for number in range(FEW + 1):
            await house.claim(f"elsewhere:{number}:1:abcdef", limit=1)
        reaper = house.worker("reaper")
        first = await reaper.reap()
        await house.claim(f"{socket.gethostname()[:24]}:{os.getpid()}:1:abcdef", limit=1)

        soon = await reaper.reap()
        house.clock.advance(LEASE - timedelta(seconds=1))
        await house.claim(f"{socket.gethostname()[:24]}:{os.getpid()}:1:fedcba", limit=1)
        house.clock.advance(timedelta(seconds=2))
        lapsed = await reaper.reap()
        house.clock.advance(SELDOM - LEASE - timedelta(seconds=1))
        found = await reaper.reap()

        assert (first, soon, lapsed, found) == (0, 0, FEW + 2, 1)

    async def test_what_lapsed_and_is_unwanted_is_cancelled(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim("dead")
        await house.cancel(task)

        assert await house.lapse() == 1

        assert (await house.row(task)).state == "cancelled"
        assert (await house.run(task)).finished_at == house.clock.now()
        assert await house.history(task) == ["cancel_requested", "cancelled"]

    async def test_heartbeat_settlement_and_fence_never_wait_for_each_other(self, house: House) -> None:
        """All lock many tasks, each in the order it has them in; PostgreSQL would end one of them."""
        await house.submit(40)
        held = await house.claim()
        worker = house.worker()

        async def fence(tasks: list) -> None:
            async with house.storage.writing() as transaction:
                await transaction.tasks.hold(tasks)

        for start in range(0, 40, 8):
            ended = held[start : start + 8]
            await asyncio.gather(
                worker.beat(held),
                house.end(*(failed(task) for task in reversed(ended))),
                fence(list(reversed(held))),
                worker.beat(list(reversed(held))),
            )

        assert await house.states() == {"failed": 40}
