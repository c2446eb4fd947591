"""A person's hand on tasks: what is shown is what stands in the ledger, and each change says what came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from aurora.kernel.errors import Conflict, NotFound
from aurora.kernel.ids import RunId, TaskId
from aurora.kernel.models import Task, TaskState
from aurora.services.tasks import cancel_task, describe_task, list_tasks, replay_task, retry_task
from aurora.storage.models import TaskModel
from aurora.storage.models.task import HELD
from aurora.storage.unit_of_work import Storage

LEASE = timedelta(seconds=10)


@pytest.fixture
def storage(engine_sqlite) -> Storage:
    return Storage(engine_sqlite)


async def _submitted(storage: Storage, clock, ids, **more: Any) -> Task:
    """Submit a task, then set columns as if somebody had worked on it."""
    task = Task(
        id=TaskId(ids()),
        tenant=storage.tenant,
        run_id=RunId(ids()),
        graph=more.pop("graph", "triage"),
        thread_id=f"t:{ids()}",
        input={"text": "x"},
        correlation={"case_id": "c-1"},
        created_at=clock.now(),
        idempotency_key=str(ids()),
    )
    async with storage.writing() as transaction:
        await transaction.tasks.submit(task)
        if more:
            await transaction.connection.execute(update(TaskModel).where(TaskModel.id == task.id).values(**more))
    return task


async def test_the_list_is_filtered_and_the_newest_stands_first(storage, clock, ids):
    old = await _submitted(storage, clock, ids, state="dead")
    clock.advance(timedelta(seconds=1))
    new = await _submitted(storage, clock, ids, state="dead", graph="hunt")
    await _submitted(storage, clock, ids)

    dead = await list_tasks(storage, state=TaskState.DEAD)
    hunts = await list_tasks(storage, graph="hunt")
    newest = await list_tasks(storage, limit=1)

    assert [each["task_id"] for each in dead] == [str(new.id), str(old.id)]
    assert [each["task_id"] for each in hunts] == [str(new.id)]
    assert [each["state"] for each in newest] == ["queued"]


async def test_a_task_is_shown_by_the_end_of_its_id_with_who_holds_it(storage, clock, ids):
    held = await _submitted(
        storage, clock, ids, state="running", owner="h:1:2:ab", lease_until=clock.now() + LEASE, attempt=2, epoch=3
    )

    shown = await describe_task(storage, str(held.id)[-8:])

    assert shown["task_id"] == str(held.id)
    assert (shown["owner"], shown["attempt"], shown["epoch"], shown["lane"]) == ("h:1:2:ab", 2, 3, "normal")
    assert shown["correlation"] == {"case_id": "c-1"}
    assert shown["waits_for"] == []


async def test_one_that_waits_for_its_batch_is_told_as_held_and_not_as_due_in_eight_thousand_years(storage, clock, ids):
    task = await _submitted(storage, clock, ids, run_at=HELD)

    shown = await describe_task(storage, str(task.id))

    assert (shown["held"], shown["run_at"]) == (True, None)


async def test_a_queued_task_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(storage, clock, ids):
    queued = await _submitted(storage, clock, ids)
    running = await _submitted(storage, clock, ids, state="running", owner="w", lease_until=clock.now() + LEASE)

    first = await cancel_task(storage, str(queued.id), clock=clock)
    second = await cancel_task(storage, str(running.id), clock=clock)

    assert (first["state"], first["cancel_requested"]) == ("cancelled", first["cancel_requested"])
    assert (second["state"], second["cancel_requested"]) == ("running", True)
    shown = await describe_task(storage, str(queued.id))
    assert "cancelled" in {each["event"] for each in shown["history"]}


async def test_one_that_has_ended_cannot_be_cancelled(storage, clock, ids):
    ended = await _submitted(storage, clock, ids, state="succeeded", finished_at=clock.now())

    with pytest.raises(Conflict):
        await cancel_task(storage, str(ended.id), clock=clock)


async def test_a_dead_task_is_queued_again_with_its_attempts_counted_anew(storage, clock, ids):
    dead = await _submitted(storage, clock, ids, state="dead", attempt=5, error="x", finished_at=clock.now())

    again = await retry_task(storage, str(dead.id), clock=clock)

    assert (again["task_id"], again["run_id"]) == (str(dead.id), str(dead.run_id))
    assert (again["state"], again["attempt"]) == ("queued", 0)


async def test_a_replay_is_another_task_and_leaves_the_old_one_as_it_ended(storage, clock, ids):
    dead = await _submitted(storage, clock, ids, state="dead", attempt=5, error="x", finished_at=clock.now())

    again = await replay_task(storage, str(dead.id), clock=clock, ids=ids)

    assert again["replays"] == str(dead.id)
    assert again["task_id"] != str(dead.id)
    assert again["run_id"] != str(dead.run_id)
    assert again["state"] == "queued"
    old, new = await describe_task(storage, str(dead.id)), await describe_task(storage, again["task_id"])
    assert old["state"] == "dead"
    assert "replayed" in {each["event"] for each in old["history"]}
    assert new["input"] == {"text": "x"}


@pytest.mark.parametrize("change", [cancel_task, retry_task])
async def test_what_is_not_there_is_said(storage, clock, change):
    with pytest.raises(NotFound):
        await change(storage, "0000aaaa", clock=clock)


async def test_another_tenant_s_task_is_not_there(storage, clock, ids):
    task = await _submitted(storage, clock, ids)

    with pytest.raises(NotFound):
        await describe_task(Storage(storage.engine, tenant="acme"), str(task.id))
