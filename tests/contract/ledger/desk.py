"""What every database must do for those who bring work and lend a hand, where that meets something else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar

import pytest

from aurora.kernel.errors import Conflict, NotFound, QuotaExceeded
from aurora.kernel.ids import VerdictId
from aurora.kernel.models import Decider, Task, TaskState, Verdict, VerdictLabel
from aurora.kernel.models.verdict import FALLBACK
from aurora.storage.models.task import HELD
from aurora.storage.repositories.tasks import NEAR
from aurora.storage.triage import StoredTriage
from tests.contract.ledger.house import House, failed, parked, racing
from tests.contract.storage.rows import accepted_alerts

PAST = timedelta(seconds=-1)


class DeskContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 18

    @pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.DEAD])
    async def test_a_triage_that_is_tried_again_can_speak(self, house: House, state: TaskState) -> None:
        task = await triage(house)
        fallback = await concluded(house, task, VerdictLabel.NEEDS_REVIEW, FALLBACK)
        await house.end(failed(task, state))

        await house.retry(task)
        (second,) = await house.claim()
        verdict = await concluded(house, second, VerdictLabel.BENIGN, "rules")

        async with house.storage.reading() as transaction:
            of_run = await transaction.verdicts.of_run(task.run_id)
            history = await transaction.verdicts.history(task.alert_id)  # type: ignore[arg-type]
        assert of_run is not None
        assert of_run["id"] == verdict
        assert [(each["id"], each["run_id"]) for each in history] == [(fallback, None), (verdict, task.run_id)]

    async def test_a_verdict_that_was_reached_is_not_taken_back(self, house: House) -> None:
        """The worker was killed between the verdict and the end of its task, and the attempts were used up."""
        task = await triage(house)
        first = await concluded(house, task, VerdictLabel.MALICIOUS, "rules")
        await house.end(failed(task, TaskState.DEAD))

        await house.retry(task)
        (second,) = await house.claim()

        assert await concluded(house, second, VerdictLabel.BENIGN, "rules", stands=first) == first

    async def test_a_retry_frees_no_verdict_of_another_run_or_tenant(self, house: House) -> None:
        task = await triage(house)
        fallback = await concluded(house, task, VerdictLabel.NEEDS_REVIEW, FALLBACK)
        other = House(house.storage.of("other"), house.clock, house.ids)
        for lent, run_id in ((house, house.ids()), (other, task.run_id)):
            (lender,) = await lent.submit(alert_id=task.alert_id, run_id=run_id)
            await lent.cancel(lender)
            await lent.retry(lender)

        async with house.storage.reading() as transaction:
            of_run = await transaction.verdicts.of_run(task.run_id)
        assert of_run is not None
        assert of_run["id"] == fallback

    async def test_the_history_keeps_the_error_that_a_retry_wipes_out(self, house: House) -> None:
        await house.submit()
        (task,) = await house.claim()
        await house.end(failed(task, TaskState.DEAD))

        await house.retry(task)

        row = await house.row(task)
        events = await history(house, task)
        assert (row.state, row.attempt, row.error, row.reason) == ("queued", 0, None, None)
        assert events[-1] == ("retried_by_hand", 1, "aurora.boom", "it went wrong")

    async def test_what_was_cancelled_while_it_was_held_waits_for_its_batch(self, house: House) -> None:
        (task,) = await house.submit(run_at=HELD)
        await house.cancel(task)

        with pytest.raises(Conflict, match="try again then"):
            await house.retry(task)

        assert (await house.row(task)).state == "cancelled"

    async def test_a_replay_steps_over_a_key_that_somebody_chose(self, house: House) -> None:
        (task,) = await house.submit(idempotency_key="a")
        await house.claim()
        await house.submit(idempotency_key="a#replay:1")
        await house.end(failed(await held(house, task)))

        async with house.storage.writing() as transaction:
            again = await transaction.tasks.replay(task.id, house.clock.now(), house.ids)

        async with house.storage.reading() as transaction:
            assert (await transaction.tasks.get(again.id)).run_id == again.run_id
        assert again.idempotency_key == "a#replay:2"
        assert (await history(house, task))[-1][3] == f"as task {again.id}"

    async def test_replays_at_once_are_tasks_of_their_own(self, house: House) -> None:
        await house.submit(idempotency_key="a")
        (task,) = await house.claim()
        await house.end(failed(task))

        async def replay() -> Task:
            async with house.storage.writing() as transaction:
                return await transaction.tasks.replay(task.id, house.clock.now(), house.ids)

        replays = await asyncio.gather(*(replay() for _ in range(8)))

        assert sorted(each.idempotency_key for each in replays) == [f"a#replay:{n}" for n in range(1, 9)]
        assert await house.states() == {"failed": 1, "queued": 8}

    async def test_a_replay_begins_with_the_newest_version_and_no_deadline(self, house: House) -> None:
        await house.submit(deadline=house.clock.now() + PAST, agent_type="host", max_attempts=7)
        (task,) = await house.claim()
        await house.end(failed(task))

        async with house.storage.writing() as transaction:
            again = await transaction.tasks.replay(task.id, house.clock.now(), house.ids)

        kept = (again.graph, again.input, again.agent_type, again.max_attempts, again.priority, again.alert_id)
        assert kept == (task.graph, task.input, "host", 7, task.priority, None)
        assert (again.graph_version, again.deadline, again.epoch) == (None, None, 0)
        assert task.graph_version == "2.0"

    async def test_waking_races_cancelling(self, house: House) -> None:
        """Whoever comes first: it ends cancelled, and nobody claims it."""
        await house.submit(5)
        tasks = await house.claim()
        await house.end(*(parked(task) for task in tasks))

        calls = [call for task in tasks for call in (house.wake(task), house.cancel(task), house.wake(task))]
        found = await racing(*calls)

        assert not [each for each in found if isinstance(each, BaseException)]
        assert await house.states() == {"cancelled": 5}
        assert await house.claim() == []
        for task in tasks:
            assert await house.history(task) in (["parked", "cancelled"], ["parked", "woken", "cancelled"])

    async def test_expiring_races_claiming_cancelling_and_waking(self, house: House) -> None:
        """A task gets one end, and one event that tells of it."""
        tasks = await house.submit(12, deadline=house.clock.now() + PAST)

        found = await racing(
            *(expire(house, 4) for _ in range(3)),
            *(house.claim(f"w{n}", limit=3) for n in range(2)),
            *(house.cancel(task) for task in tasks[::3]),
            *(house.wake(task) for task in tasks),
        )

        assert not [each for each in found if isinstance(each, BaseException) and not isinstance(each, Conflict)]
        told = {"failed": ["failed"], "cancelled": ["cancelled"], "running": []}
        for task in tasks:
            row, events = await house.row(task), await house.history(task)
            asked_to_stop = ["cancel_requested"] * row.cancel_requested
            woken = ["woken"] * row.woken
            assert sorted(events) == sorted([*told.get(row.state, []), *asked_to_stop, *woken]), row.state

    async def test_held_tasks_expire_and_so_many_at_once_of_one_tenant_the_latest_first(self, house: House) -> None:
        now = house.clock.now()
        (second,) = await house.submit(deadline=now + 2 * PAST)
        (first,) = await house.submit(deadline=now + 3 * PAST, run_at=HELD)
        (third,) = await house.submit(deadline=now + PAST)
        (alien,) = await house.submit(deadline=now + PAST, tenant="other")

        expired = [[each.id for each in await expire(house, 2)] for _ in range(3)]

        assert expired == [[first.id, second.id], [third.id], []]
        assert (await house.row(alien)).state == "queued"
        assert (await house.run(first)).finished_at == now
        assert (await history(house, first))[-1][:3] == ("failed", 0, "aurora.runtime.deadline")
        assert (await house.row(first)).reason

    async def test_how_a_task_ended_is_to_be_published_where_somebody_listens(self, house: House) -> None:
        now = house.clock.now()
        late, unwanted, kept = [(await house.submit(deadline=now + PAST))[0] for _ in range(3)]

        async with house.storage.writing() as transaction:
            await transaction.tasks.cancel(unwanted.id, now, publishes=True)
            await transaction.tasks.cancel(kept.id, now)
            await transaction.tasks.expire(now, 1, publishes=True)

        assert [(await house.row(task)).result_due for task in (late, unwanted, kept)] == [True, True, False]

    async def test_stopping_what_runs_is_asked_once(self, house: House) -> None:
        (task,) = await house.submit()
        await house.claim()

        states = await asyncio.gather(*(house.cancel(task) for _ in range(4)))

        assert states == [TaskState.RUNNING] * 4
        assert (await house.row(task)).cancel_requested
        assert await house.history(task) == ["cancel_requested"]

    async def test_a_change_that_is_rolled_back_leaves_no_event(self, house: House) -> None:
        (task,) = await house.submit()

        async def broken() -> None:
            async with house.storage.writing() as transaction:
                await transaction.tasks.cancel(task.id, house.clock.now())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await broken()

        assert await house.states() == {"queued": 1}
        assert await house.history(task) == []

    async def test_a_task_is_found_by_its_end_however_it_is_written(self, house: House) -> None:
        (task,) = await house.submit()

        async with house.storage.reading() as transaction:
            for text in (str(task.id), str(task.id).upper(), str(task.id)[-16:], task.id.hex[-4:], task.id.hex[1:]):
                assert (await transaction.tasks.find(text)).id == task.id
            for text in ("", "abc", "%%%%", "____", task.id.hex + "0", "\x1b[2J1234"):
                with pytest.raises(NotFound):
                    await transaction.tasks.find(text)

    async def test_an_end_that_two_tasks_share_names_none_of_one_tenant(self, house: House) -> None:
        one, two = house.ids().hex[:-4] + "abcd", house.ids().hex[:-4] + "abcd"
        await house.submit(id=one)
        await house.submit(id=two, tenant="other")

        async with house.storage.reading() as transaction:
            assert (await transaction.tasks.find("abcd")).id.hex == one
            with pytest.raises(NotFound, match="no task"):
                await transaction.tasks.find(two)
        await house.submit(id=house.ids().hex[:-4] + "abcd")
        async with house.storage.reading() as transaction:
            with pytest.raises(NotFound, match="more than one"):
                await transaction.tasks.find("abcd")
            assert (await transaction.tasks.find(one)).id.hex == one

    async def test_a_quota_holds_where_the_race_begins_below_the_turns(self, house: House) -> None:
        """The first see plenty of room and take no turn; the last do."""
        most = NEAR + 4
        await house.submit(most - 8)

        async def submit() -> None:
            async with house.storage.writing() as transaction:
                await transaction.tasks.submit(house.task(), max_queued=most)

        found = await racing(*(submit() for _ in range(20)))

        assert await house.states() == {"queued": most}
        assert sum(isinstance(each, QuotaExceeded) for each in found) == 12

    async def test_what_was_refused_for_the_quota_is_taken_once_there_is_room(self, house: House) -> None:
        await house.submit(2)
        refused = house.task()

        async with house.storage.writing() as transaction:
            with pytest.raises(QuotaExceeded, match="try again in"):
                await transaction.tasks.submit(refused, max_queued=2)
        await house.claim(limit=1)
        async with house.storage.writing() as transaction:
            await transaction.tasks.submit(refused, max_queued=2)

        assert await house.states() == {"queued": 2, "running": 1}
        assert (await house.run(refused)).task_id == refused.id


async def triage(house: House) -> Task:
    """Accept an alert and return the claim of its triage."""
    await accepted_alerts(house.storage, house.ids, house.clock, count=1)
    (task,) = await house.claim()
    return task


async def concluded(
    house: House, task: Task, label: VerdictLabel, name: str, *, stands: VerdictId | None = None
) -> VerdictId:
    """Record a verdict of a triage; return that which stands, by default the same."""
    assert task.alert_id is not None
    verdict = Verdict(
        id=VerdictId(house.ids()),
        alert_id=task.alert_id,
        run_id=task.run_id,
        label=label,
        confidence=0.5,
        decided_by=Decider.RULES,
        decided_name=name,
        created_at=house.clock.now(),
    )
    recorded = await StoredTriage(house.storage, clock=house.clock).record(task, verdict, observables=())
    assert recorded.verdict_id == (stands or verdict.id)
    return recorded.verdict_id


async def held(house: House, task: Task) -> Task:
    """Return a claimed task as its worker holds it."""
    async with house.storage.reading() as transaction:
        return await transaction.tasks.get(task.id)


async def expire(house: House, limit: int) -> list[Task]:
    async with house.storage.writing() as transaction:
        return list(await transaction.tasks.expire(house.clock.now(), limit))


async def history(house: House, task: Task) -> list[tuple[str, int, str | None, str | None]]:
    """Return what happened to a task: event, attempt, code and reason of each."""
    async with house.storage.reading() as transaction:
        events = await transaction.tasks.events(task.id)
    return [(each["event"], each["attempt"], each["code"], each["reason"]) for each in events]
