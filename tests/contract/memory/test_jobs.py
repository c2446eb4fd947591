"""The queue of background work, on both databases. Clauses about leases race."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aurora.kernel.errors import InputError, LeaseLost, NotFound, StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.jobs import KEPT, NEVER_ENDED, Job, Jobs, Patience, tenants_with_work
from memory.ports import Transactions
from memory.worker import drain, work

QUICK = Patience(lease=timedelta(seconds=30), max_attempts=3)


@pytest.fixture
def jobs(transactions: Transactions, clock: ManualClock, ids: Uuid7Factory) -> Jobs:
    return Jobs(transactions, "t1", clock, ids, QUICK)


async def ask(jobs: Jobs, key: str = "k", kind: str = "tidy", **more: object) -> bool:
    async with jobs.transactions.writing() as connection:
        return await jobs.enqueue(connection, kind, key, payload={"n": 1, **more})


async def test_a_job_is_leased_with_what_it_was_asked_with(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs, "thread-1", colour="red")

    job = await jobs.claim("w1")

    assert job is not None
    assert (job.kind, job.key, job.payload, job.owner) == ("tidy", "thread-1", {"n": 1, "colour": "red"}, "w1")
    assert (job.epoch, job.attempts, job.lease_until) == (1, 1, clock.now() + QUICK.lease)


async def test_a_job_asked_for_in_a_transaction_that_fails_does_not_exist(jobs: Jobs) -> None:
    async def fail_after_asking() -> None:
        async with jobs.transactions.writing() as connection:
            await jobs.enqueue(connection, "tidy", "k")
            raise InputError("the write that the job follows from is refused")

    with pytest.raises(InputError):
        await fail_after_asking()

    assert await jobs.claim("w1") is None


async def test_asked_for_again_it_is_done_once_even_after_it_was_done(jobs: Jobs) -> None:
    asked = [await ask(jobs), await ask(jobs)]
    job = await jobs.claim("w1")
    assert job is not None
    await jobs.finish(job)

    again = await ask(jobs)

    assert (asked, again, await jobs.claim("w1")) == ([True, False], False, None)


async def test_twenty_workers_race_for_ten_jobs_and_each_is_leased_once(jobs: Jobs) -> None:
    for n in range(10):
        await ask(jobs, f"k{n}")

    leased = await asyncio.gather(*(jobs.claim(f"w{n}") for n in range(20)))

    assert sorted(job.key for job in leased if job is not None) == sorted(f"k{n}" for n in range(10))


async def test_jobs_come_in_the_order_in_which_they_are_due_and_not_before(jobs: Jobs, clock: ManualClock) -> None:
    async with jobs.transactions.writing() as connection:
        for key, hours in (("late", 2), ("early", 1)):
            await jobs.enqueue(connection, "tidy", key, due_at=clock.now() + timedelta(hours=hours))

    too_early = await jobs.claim("w1")
    clock.advance(timedelta(hours=2))
    order = [await jobs.claim("w1"), await jobs.claim("w1")]

    assert too_early is None
    assert [job and job.key for job in order] == ["early", "late"]


async def test_only_the_kinds_that_were_asked_for_are_leased(jobs: Jobs) -> None:
    await ask(jobs, kind="tidy")
    await ask(jobs, kind="embed")

    job = await jobs.claim("w1", kinds=["embed"])

    assert job is not None
    assert (job.kind, await jobs.claim("w1", kinds=["embed"])) == ("embed", None)


async def test_an_expired_lease_hands_the_job_on_and_the_old_owner_is_refused(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)
    old = await jobs.claim("w1")
    clock.advance(QUICK.lease)
    new = await jobs.claim("w2")

    assert old is not None
    assert new is not None
    for refused in (jobs.finish(old), jobs.fail(old, InputError("x")), jobs.give_back(old), _fenced(jobs, old)):
        with pytest.raises(LeaseLost):
            await refused
    assert (await jobs.extend(old), await jobs.extend(new)) == (False, True)
    await _fenced(jobs, new)
    await jobs.finish(new)


async def test_a_renewed_lease_is_not_handed_on(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)
    job = await jobs.claim("w1")
    assert job is not None

    clock.advance(timedelta(seconds=20))
    await jobs.extend(job)
    clock.advance(timedelta(seconds=20))

    assert await jobs.claim("w2") is None


async def test_settling_ends_the_job_with_the_write_that_it_guards_or_not_at_all(jobs: Jobs) -> None:
    await ask(jobs)
    job = await jobs.claim("w1")
    assert job is not None

    async def fail_after_settling() -> None:
        async with jobs.transactions.writing() as connection:
            await jobs.settling(job)(connection)
            raise InputError("the write is refused after all")

    with pytest.raises(InputError):
        await fail_after_settling()
    still_open = await jobs.waiting()
    async with jobs.transactions.writing() as connection:
        await jobs.settling(job)(connection)
    await jobs.finish(job)

    assert (still_open, await jobs.waiting()) == (1, 0)


async def test_what_fails_for_the_moment_is_tried_again_later_and_later(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)
    waits = []

    for _ in range(QUICK.max_attempts):
        job = await jobs.claim("w1")
        assert job is not None
        again = await jobs.fail(job, StorageUnavailable("the disk is full"))
        waits.append(again and again - clock.now())
        assert await jobs.claim("w1") is None
        clock.advance(waits[-1] or timedelta())

    first, second, last = waits
    assert first is not None
    assert second is not None
    assert QUICK.base / 2 <= first <= QUICK.base <= second <= 2 * QUICK.base
    assert last is None
    (dead,) = await jobs.dead()
    assert (dead.attempts, dead.error) == (3, "aurora.storage.unavailable: the disk is full")


async def test_what_cannot_work_is_given_up_at_once_until_a_person_asks_for_it_again(jobs: Jobs) -> None:
    await ask(jobs)
    job = await jobs.claim("w1")
    assert job is not None

    again = await jobs.fail(job, InputError("there is no such thread"))
    (dead,) = await jobs.dead()
    await jobs.retry(dead.id)
    revived = await jobs.claim("w1")

    assert (again, await jobs.dead()) == (None, [])
    assert revived is not None
    assert (revived.attempts, revived.epoch) == (1, 2)
    with pytest.raises(NotFound, match="was given up"):
        await jobs.retry(dead.id)


async def test_a_job_that_kills_its_workers_is_given_up(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)

    for _ in range(QUICK.max_attempts):
        assert await jobs.claim("w1") is not None
        clock.advance(QUICK.lease)

    assert await jobs.claim("w1") is None
    assert [dead.error for dead in await jobs.dead()] == [NEVER_ENDED]


async def test_an_error_that_is_not_ours_is_kept_by_its_type_alone(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)

    async def broken(job: Job) -> None:
        raise RuntimeError("password=hunter2 in somebody's text")

    for _ in range(QUICK.max_attempts):
        await work(jobs, {"tidy": broken}, owner="w1")
        clock.advance(timedelta(minutes=5))

    assert [dead.error for dead in await jobs.dead()] == ["RuntimeError"]


async def test_a_tenant_sees_and_settles_no_other_tenants_jobs(
    jobs: Jobs, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    theirs = Jobs(transactions, "t2", clock, ids, QUICK)
    await ask(theirs)
    job = await theirs.claim("w2")
    assert job is not None

    assert await jobs.claim("w1") is None
    with pytest.raises(LeaseLost):
        await jobs.finish(job)
    assert [await jobs.waiting(), await theirs.waiting(), await jobs.extend(job)] == [0, 1, False]
    await theirs.finish(job)
    with pytest.raises(LeaseLost):
        await jobs.finish(job)


async def test_tenants_with_work_are_those_with_a_job_that_is_due_and_free(
    jobs: Jobs, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    for tenant in ("done", "leased", "due", "later"):
        theirs = Jobs(transactions, tenant, clock, ids, QUICK)
        async with transactions.writing() as connection:
            wait = timedelta(hours=1) if tenant == "later" else timedelta()
            await theirs.enqueue(connection, "tidy", "k", due_at=clock.now() + wait)
        if tenant in ("done", "leased"):
            job = await theirs.claim("w1")
            assert job is not None
            if tenant == "done":
                await theirs.finish(job)

    assert await tenants_with_work(transactions, now=clock.now()) == ["due"]


async def test_a_worker_keeps_the_lease_of_a_long_job_alive(jobs: Jobs, clock: ManualClock) -> None:
    await ask(jobs)
    rivals = []

    async def long(job: Job) -> None:
        for _ in range(9):
            while not clock.sleepers:  # noqa: ASYNC110 - until the heartbeat sleeps
                await asyncio.sleep(0)
            clock.advance(QUICK.lease / 3)
            while not clock.sleepers:  # noqa: ASYNC110 - until the heartbeat sleeps
                await asyncio.sleep(0)
            rivals.append(await jobs.claim("w2"))

    await work(jobs, {"tidy": long}, owner="w1")

    assert (rivals, await jobs.waiting()) == ([None] * 9, 0)


async def test_a_cancelled_worker_gives_its_job_back_and_the_attempt_does_not_count(jobs: Jobs) -> None:
    await ask(jobs)
    began = asyncio.Event()

    async def endless(job: Job) -> None:
        began.set()
        await asyncio.Event().wait()

    async def stop_when_begun() -> None:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(work(jobs, {"tidy": endless}, owner="w1"))
            await began.wait()
            worker.cancel()

    await stop_when_begun()
    job = await jobs.claim("w2")

    assert job is not None
    assert (job.attempts, job.epoch) == (1, 2)


async def test_draining_does_all_that_is_due(jobs: Jobs) -> None:
    for n in range(5):
        await ask(jobs, f"k{n}")
    done = []

    async def note(job: Job) -> None:
        done.append(job.key)

    tried = await drain(jobs, {"tidy": note}, owner="w1")

    assert (tried, sorted(done), await jobs.waiting()) == (5, [f"k{n}" for n in range(5)], 0)


async def _fenced(jobs: Jobs, job: Job) -> None:
    async with jobs.transactions.writing() as connection:
        await jobs.fence(job)(connection)


async def test_what_ended_long_ago_is_deleted_and_nothing_else(jobs: Jobs, clock: ManualClock) -> None:
    other = Jobs(jobs.transactions, "t2", clock, jobs.ids, QUICK)
    for queue in (jobs, other):
        await ask(queue, "done")
        job = await queue.claim("w1")
        assert job is not None
        await queue.finish(job)
    await ask(jobs, "failed")
    failed = await jobs.claim("w1")
    assert failed is not None
    await jobs.fail(failed, InputError("x"))
    await ask(jobs, "waits")

    clock.advance(KEPT)
    early = await jobs.purge()
    clock.advance(timedelta(seconds=1))
    late = await jobs.purge()

    assert (early, late) == (0, 2)
    assert (await jobs.dead(), await jobs.waiting()) == ([], 1)
    assert [await ask(jobs, "done"), await ask(other, "done")] == [True, False]


async def test_an_owner_that_lost_its_job_deletes_nothing(jobs: Jobs, clock: ManualClock) -> None:
    for key in ("done", "tidy"):
        await ask(jobs, key)
    done, old = await jobs.claim("w1"), await jobs.claim("slow")
    assert done is not None
    assert old is not None
    await jobs.finish(done)
    clock.advance(KEPT + timedelta(days=1))
    assert await jobs.claim("w2") is not None

    with pytest.raises(LeaseLost):
        await jobs.purge(fence=jobs.fence(old))

    assert await ask(jobs, "done") is False
