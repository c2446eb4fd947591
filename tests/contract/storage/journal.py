"""What every database must do for the journal of runs, for tasks with an input, and for what tools look up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from aurora.kernel.errors import LeaseLost
from aurora.kernel.ids import RunId, TaskId, Uuid7Factory
from aurora.kernel.models import ObservableType, Task, TaskState
from aurora.storage.journal import JournalStore
from aurora.storage.lookup import StoredLookup
from aurora.storage.models import IOCModel
from aurora.storage.repositories.base import table_of
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.contract.storage import rows
from tests.contract.storage.rows import accept, alert

LEASE = timedelta(seconds=10)


class Source:
    """Answers with how often it was asked."""

    def __init__(self, **more: Any) -> None:
        self.asked = 0
        self.more = more

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return {"n": self.asked, **self.more}


class JournalContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 9

    async def test_what_was_answered_is_not_asked_again_by_the_next_attempt(self, storage, clock, ids) -> None:
        source = Source()
        task = await submitted(storage, clock, ids)
        first = await claim(storage, clock, task)
        before = await ask(storage, clock, first, source, "q")
        clock.advance(LEASE * 2)

        again = await ask(storage, clock, await claim(storage, clock, task), source, "q")

        assert before == again == {"n": 1}
        assert source.asked == 1

    async def test_another_request_is_asked_anew_and_takes_the_place_of_what_followed(
        self, storage, clock, ids
    ) -> None:
        task = await submitted(storage, clock, ids)
        first = await claim(storage, clock, task)
        journal = store(storage, clock).of(first)
        for question in ("a", "b", "c"):
            await journal.answer(scope="s", kind="model", name="m", request={"q": question}, perform=Source())
        clock.advance(LEASE * 2)
        second = store(storage, clock).of(await claim(storage, clock, task))

        kept = await second.answer(scope="s", kind="model", name="m", request={"q": "a"}, perform=Source(late=True))
        fresh = await second.answer(scope="s", kind="model", name="m", request={"q": "B"}, perform=Source(late=True))

        assert (kept, fresh) == ({"n": 1}, {"n": 1, "late": True})
        async with storage.reading() as transaction:
            entries = await transaction.journal.of_run(task.run_id)
        assert [(each.number, each.request) for each in entries] == [(1, b'{"q":"a"}'), (2, b'{"q":"B"}')]

    async def test_a_worker_that_lost_its_lease_writes_nothing(self, storage, clock, ids) -> None:
        task = await submitted(storage, clock, ids)
        old = await claim(storage, clock, task)
        clock.advance(LEASE * 2)
        await claim(storage, clock, task)

        with pytest.raises(LeaseLost):
            await ask(storage, clock, old, Source(), "q")

        async with storage.reading() as transaction:
            assert await transaction.journal.of_run(task.run_id) == []

    async def test_runs_that_write_at_once_keep_their_own_answers(self, storage, clock, ids) -> None:
        """Twelve runs share transactions; one of them has lost its lease, and only that one is told so."""
        tasks = [await submitted(storage, clock, ids) for _ in range(12)]
        lost = await claim(storage, clock, tasks[0])
        clock.advance(LEASE * 2)
        await claim(storage, clock, tasks[0])
        claimed = [lost, *[await claim(storage, clock, task) for task in tasks[1:]]]
        shared = store(storage, clock)

        async def one(number: int, task: Task) -> Any:
            return await shared.of(task).answer(
                scope="s", kind="model", name="m", request={"q": number}, perform=Source(mine=number)
            )

        results = await asyncio.gather(*(one(*each) for each in enumerate(claimed)), return_exceptions=True)

        assert isinstance(results[0], LeaseLost)
        assert [each["mine"] for each in results[1:]] == list(range(1, 12))
        async with storage.reading() as transaction:
            for number, task in enumerate(tasks):
                entries = await transaction.journal.of_run(task.run_id)
                assert [each.request for each in entries] == ([b'{"q":%d}' % number] if number else [])

    async def test_any_text_survives_and_the_account_is_kept(self, storage, clock, ids) -> None:
        said = "nul \0, lone \ud800, emoji \U0001f600, " + "long " * 5000
        task = await submitted(storage, clock, ids)
        source = Source(text=said, input_tokens=7, output_tokens=2**40, cost_usd="0.00012", took_ms=12)

        answer = await ask(storage, clock, await claim(storage, clock, task), source, "q")

        assert answer["text"] == said
        async with storage.reading() as transaction:
            (entry,) = await transaction.journal.of_run(task.run_id)
        assert (entry.input_tokens, entry.output_tokens, entry.took_ms) == (7, None, 12)
        assert str(entry.cost_usd).rstrip("0") == "0.00012"

    async def test_a_task_submitted_twice_is_one_task_with_one_run(self, storage, clock, ids) -> None:
        first, second = (fresh_task(clock, ids, key="same") for _ in range(2))

        async with storage.writing() as transaction:
            standing = [await transaction.tasks.submit(each) for each in (first, second)]

        assert standing == [first.id, first.id]
        async with storage.reading() as transaction:
            kept = await transaction.tasks.get(first.id)
            assert kept.input == {"greeting": "hello"}
            assert kept.created_at == clock.now()
            assert (await transaction.runs.get(first.run_id))["task_id"] == first.id
            assert await transaction.tasks.unsettled(tasks=[first.id, second.id]) == 1

    async def test_earlier_alerts_of_a_value_are_found_and_those_of_the_own_batch_are_not(
        self, storage, clock, ids
    ) -> None:
        await accept(storage, ids, clock, [alert(1, host="dc-1", rule="old", at=clock.now())])
        await accept(storage, ids, clock, [alert(2, host="dc-2", rule="other", at=clock.now())])
        clock.advance(timedelta(days=2))
        batch = await accept(
            storage, ids, clock, [alert(3, host="dc-1", rule=rule, at=clock.now()) for rule in ("new", "sibling")]
        )
        (mine, _) = (alert_id for _, alert_id, _ in batch.records())

        found = await StoredLookup(storage).past_alerts(mine, "host", "dc-1", days=30)
        too_old = await StoredLookup(storage).past_alerts(mine, "host", "dc-1", days=1)

        assert [each.attributes["rule"] for each in found] == ["old"]
        assert too_old == []

    async def test_an_indicator_is_found_by_its_value(self, storage, clock, ids) -> None:
        async with storage.writing() as transaction:
            for tenant in (storage.tenant, "somebody-else"):
                await transaction.connection.execute(
                    table_of(IOCModel).insert(),
                    [
                        {
                            "id": ids(),
                            "tenant": tenant,
                            "type": "domain",
                            "value": "bad.example",
                            "source": f"feed of {tenant}",
                            "confidence": 0.8,
                            "status": "active",
                            "created_at": clock.now(),
                        }
                    ],
                )

        found = await StoredLookup(storage).indicator(ObservableType.DOMAIN, "bad.example")

        assert [each.attributes["source"] for each in found] == [f"feed of {storage.tenant}"]
        assert await StoredLookup(storage).indicator(ObservableType.DOMAIN, "good.example") == []

    async def test_a_claim_takes_the_tasks_it_names_and_no_other(self, storage, clock, ids) -> None:
        wanted, other = [await submitted(storage, clock, ids) for _ in range(2)]

        claimed = await claim(storage, clock, wanted)

        assert claimed.id == wanted.id
        async with storage.reading() as transaction:
            assert (await transaction.tasks.get(other.id)).state is TaskState.QUEUED


def store(storage: Storage, clock: ManualClock) -> JournalStore:
    return JournalStore(storage, clock=clock, place=lambda: "1.node")


async def ask(storage: Storage, clock: ManualClock, task: Task, source: Source, question: str) -> dict[str, Any]:
    return (
        await store(storage, clock)
        .of(task)
        .answer(scope="agent", kind="model", name="m", request={"q": question}, perform=source)
    )


def fresh_task(clock: ManualClock, ids: Uuid7Factory, *, key: str) -> Task:
    run_id = RunId(ids())
    return Task(
        id=TaskId(ids()),
        tenant="default",
        run_id=run_id,
        graph="greet",
        thread_id=f"greet:{run_id}",
        input={"greeting": "hello"},
        created_at=clock.now(),
        idempotency_key=key,
    )


async def submitted(storage: Storage, clock: ManualClock, ids: Uuid7Factory) -> Task:
    task = fresh_task(clock, ids, key=str(ids()))
    async with storage.writing() as transaction:
        await transaction.tasks.submit(task)
    return task


async def claim(storage: Storage, clock: ManualClock, task: Task) -> Task:
    (claimed,) = await rows.claim(storage, clock, tasks=[task.id])
    return claimed
