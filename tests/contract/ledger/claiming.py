"""What every database must do when tasks are claimed: which, in which order, and by whom alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import update

from aurora.dispatch.fairness import UPSIDE_DOWN
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models.task import Lane, TaskState
from aurora.kernel.models.work import Ending, Scope
from aurora.storage.models import BatchModel, TaskModel
from aurora.storage.models.task import HELD
from tests.contract.ledger.house import ALL, LEASE, House, Shares, racing, succeeded
from tests.contract.storage.rows import accept, alert


class ClaimingContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 22
    """How many there are, so that a file that collects fewer is noticed."""

    async def test_a_task_is_claimed_by_one_worker_only(self, house: House) -> None:
        """Twenty workers race for ten tasks, one each: every task is handed out exactly once."""
        tasks = await house.submit(10)

        claims = await asyncio.gather(*(house.claim(f"w{n}", limit=1) for n in range(20)))

        claimed = [task.id for of_worker in claims for task in of_worker]
        rest = [task.id for task in await house.claim("rest")]
        assert all(len(of_worker) <= 1 for of_worker in claims)
        assert sorted([*claimed, *rest]) == sorted(task.id for task in tasks), "a task was lost, or claimed twice"

    async def test_tenants_with_shares_are_claimed_once_too(self, house: House) -> None:
        tasks = [task for tenant in "abc" for task in await house.submit(8, tenant=tenant)]

        claims = await asyncio.gather(*(house.claim(f"w{n}", limit=3) for n in range(12)))
        rest = await house.claim("rest")

        claimed = [task.id for of_worker in [*claims, rest] for task in of_worker]
        assert sorted(claimed) == sorted(task.id for task in tasks)

    async def test_every_claim_raises_the_epoch(self, house: House) -> None:
        await house.submit()

        epochs = []
        for _ in range(3):
            (task,) = await house.claim()
            epochs.append(task.epoch)
            await house.lapse()

        assert epochs == [1, 2, 3]

    async def test_a_claim_says_all_that_a_run_needs(self, house: House) -> None:
        deadline = house.clock.now() + timedelta(hours=1)
        (task,) = await house.submit(
            input={"text": "é", "list": [1, None]},
            correlation={"case_id": "c-1"},
            traceparent="00-1-2-03",
            agent_type="network",
            deadline=deadline,
            priority=7,
            max_attempts=3,
        )

        (claimed,) = await house.claim()

        assert claimed == task.model_copy(
            update={
                "state": TaskState.RUNNING,
                "epoch": 1,
                "attempt": 1,
                "lease_until": house.clock.now() + LEASE,
                "graph_version": "2.0",
                "run_at": task.created_at,
            }
        )
        assert type(claimed).model_validate(claimed.model_dump()) == claimed
        assert hash(claimed) == hash((task.id, 1))

    async def test_a_task_stays_with_the_version_it_began_with(self, house: House) -> None:
        (task,) = await house.submit()
        (first,) = await house.claim()
        await house.begin(task)
        await house.lapse()

        (second,) = await house.claim(scope=Scope(graphs={"triage": "3.0"}))

        assert (first.graph_version, second.graph_version) == ("2.0", "2.0")

    async def test_only_graphs_that_the_worker_can_run_are_claimed(self, house: House) -> None:
        await house.submit(graph="hunt.deep")
        await house.submit(graph="triage")

        claimed = await house.claim(scope=Scope(graphs={"hunt.deep": "1.1"}))

        assert [(task.graph, task.graph_version) for task in claimed] == [("hunt.deep", "1.1")]
        assert await house.claim(scope=Scope()) == []

    async def test_only_the_lanes_of_the_worker_are_claimed(self, house: House) -> None:
        for priority in range(10):
            await house.submit(priority=priority)

        claimed = await house.claim(scope=Scope(lanes=[Lane.HIGH, Lane.BULK], graphs=ALL.graphs))

        assert [task.priority for task in claimed] == [8, 7, 2, 1, 0]

    async def test_the_most_urgent_comes_first_then_the_oldest(self, house: House) -> None:
        expected = []
        for priority in (0, 4, 5, 7, 9):
            first = (await house.submit(priority=priority))[0].id
            house.clock.advance(timedelta(seconds=1))
            second = (await house.submit(priority=priority))[0].id
            expected = [first, second, *expected]

        one_by_one = [(await house.claim(limit=1))[0].id for _ in range(5)]
        rest = [task.id for task in await house.claim()]

        assert [*one_by_one, *rest] == expected

    async def test_what_is_due_first_comes_first_whatever_its_id(self, house: House) -> None:
        now = house.clock.now()
        late, early = [(await house.submit(run_at=now - timedelta(minutes=age)))[0] for age in (1, 2)]

        assert [task.id for task in await house.claim(limit=1)] == [early.id]
        assert [task.id for task in await house.claim(limit=1)] == [late.id]

    async def test_a_task_for_later_waits_for_its_moment(self, house: House) -> None:
        at = house.clock.now() + timedelta(seconds=30)
        await house.submit(run_at=at)
        worker = house.worker()

        before = await worker.turn((), limit=1, scope=ALL)
        next_at = await worker.next_at()
        house.clock.advance(timedelta(seconds=30))
        after = await worker.turn((), limit=1, scope=ALL)

        assert (len(before.claimed), len(after.claimed)) == (0, 1)
        assert next_at == at

    async def test_held_tasks_are_not_claimed_and_nobody_waits_for_them(self, house: House) -> None:
        await house.submit(5, run_at=HELD)

        assert await house.claim() == []
        assert await house.worker().next_at() is None

    async def test_who_names_a_held_task_gets_it(self, house: House) -> None:
        held, other = await house.submit(2, run_at=HELD)
        (later,) = await house.submit(run_at=house.clock.now() + timedelta(minutes=1))

        claimed = await house.claim(scope=Scope(graphs=ALL.graphs, tasks=[held.id, later.id]))

        assert [task.id for task in claimed] == [held.id], "one that is tried later is not held"
        assert (await house.row(other)).state == "queued"

    async def test_a_batch_is_released_when_it_is_accepted(self, house: House, ids: Uuid7Factory) -> None:
        accepted = await accept(house.storage, ids, house.clock, [alert(n) for n in range(3)])
        alerts = [alert_id for _, alert_id, _ in accepted.records()]
        async with house.storage.writing() as transaction:  # as it was before the last record was read
            await transaction.connection.execute(update(TaskModel).values(run_at=HELD, batch_id=accepted.batch.id))
            await transaction.connection.execute(update(BatchModel).values(state="accepting"))

        before = await house.claim()
        of_alert = await house.claim(scope=Scope(graphs=ALL.graphs, alerts=alerts[:1]))
        async with house.storage.writing() as transaction:
            await transaction.batches.accepted(accepted.batch.id, at=house.clock.now())
        after = await house.claim()

        assert before == []
        assert [task.alert_id for task in of_alert] == alerts[:1]
        assert sorted(str(task.alert_id) for task in after) == sorted(map(str, alerts[1:]))

    async def test_named_tasks_are_claimed_once_in_a_race(self, house: House) -> None:
        tasks = await house.submit(10)
        scope = Scope(graphs=ALL.graphs, tasks=[task.id for task in tasks])

        claims = await asyncio.gather(*(house.claim(f"w{n}", limit=2, scope=scope) for n in range(10)))
        rest = await house.claim("rest", scope=scope)

        claimed = [task.id for of_worker in [*claims, rest] for task in of_worker]
        assert sorted(claimed) == sorted(scope.tasks)

    async def test_a_limit_is_never_exceeded(self, house: House) -> None:
        for priority in (9, 7, 5, 0):
            await house.submit(3, priority=priority)
            await house.submit(3, priority=priority, tenant="other")

        assert [len(await house.claim(limit=limit)) for limit in (1, 7, 0, 64)] == [1, 7, 0, 16]

    async def test_tenants_take_turns(self, house: House) -> None:
        """One has a thousand times the work of the other: both get the same."""
        await house.submit(40, tenant="loud")
        await house.submit(8, tenant="quiet")
        worker = house.worker()

        got = [await worker.turn((), limit=limit, scope=ALL) for limit in (1, 1, 4, 5, 5)]

        assert Counter(task.tenant for turn in got for task in turn.claimed) == {"loud": 8, "quiet": 8}

    async def test_weights_are_shares(self, house: House) -> None:
        for tenant in ("heavy", "light"):
            await house.submit(20, tenant=tenant)
        worker = house.worker(shares=Shares(weights={"heavy": 3}))

        got = [await worker.turn((), limit=limit, scope=ALL) for limit in (1, 2, 5, 8)]

        assert Counter(task.tenant for turn in got for task in turn.claimed) == {"heavy": 12, "light": 4}

    async def test_a_share_that_is_not_used_goes_to_the_others(self, house: House) -> None:
        await house.submit(30, tenant="loud")
        await house.submit(1, tenant="quiet")
        await house.submit(1, tenant="urgent", priority=9)

        claimed = await house.claim(limit=20)

        assert Counter(task.tenant for task in claimed) == {"loud": 18, "quiet": 1, "urgent": 1}
        assert claimed[0].tenant == "urgent", "a lane comes before any tenant's turn"

    async def test_a_cap_holds_under_race_and_ends_with_its_tasks(self, house: House) -> None:
        await house.submit(20, tenant="capped")
        await house.submit(3, tenant="free")
        shares = Shares(running={"capped": 4})
        workers = [house.worker(f"w{n}", shares=shares) for n in range(8)]

        turns = await asyncio.gather(*(worker.turn((), limit=3, scope=ALL) for worker in workers))

        claimed = [(worker, task) for worker, turn in zip(workers, turns, strict=True) for task in turn.claimed]
        assert Counter(task.tenant for _, task in claimed) == {"capped": 4, "free": 3}
        worker, task = next(each for each in claimed if each[1].tenant == "capped")
        turn = await worker.turn([succeeded(task)], limit=3, scope=ALL)
        assert [each.tenant for each in turn.claimed] == ["capped"]

    async def test_bulk_is_not_starved(self, house: House) -> None:
        """There is always something urgent; every so many claims begin at the other end."""
        await house.submit(2 * UPSIDE_DOWN, priority=9)
        (bulk,) = await house.submit(priority=0)
        worker = house.worker()

        claimed = [(await worker.turn((), limit=1, scope=ALL)).claimed[0] for _ in range(UPSIDE_DOWN)]

        assert claimed[-1].id == bulk.id
        assert {task.priority for task in claimed[:-1]} == {9}

    async def test_a_new_tenant_is_seen_by_a_worker_with_free_places(self, house: House) -> None:
        """What a worker remembers of tenants must not make fresh work wait."""
        await house.submit(2, tenant="known")
        worker = house.worker()
        await worker.turn((), limit=1, scope=ALL)
        await house.submit(1, tenant="new")

        turn = await worker.turn((), limit=5, scope=ALL)

        assert sorted(task.tenant for task in turn.claimed) == ["known", "new"]

    async def test_settling_and_claiming_is_one_transaction(self, house: House) -> None:
        """Claims and settlements of many workers at once: in the end every task is done, once."""
        await house.submit(40)

        async def work(owner: str) -> list[object]:
            worker, done, endings = house.worker(owner), [], list[Ending]()
            for _ in range(30):
                turn = await worker.turn(endings, limit=3, scope=ALL)
                done += turn.settled
                endings = [succeeded(task) for task in turn.claimed]
            return done

        done = await racing(*(work(f"w{n}") for n in range(4)))

        assert await house.states() == {"succeeded": 40}
        assert len([each for of_worker in done for each in of_worker]) == 40
