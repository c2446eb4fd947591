"""The relay: what no broker was told of, or lost, is told; on SQLite in a file, with brokers that fail and hang."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from aurora.dispatch.relay import LOOK, ROUND, UNTOLD, Relay
from aurora.dispatch.route import Route
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.ports.broker import Stream
from aurora.storage.engine import WRITES
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.test_outbox import add_tasks, marks
from tests.services import engine_with_schema
from tests.unit.dispatch.route_kit import GONE, FakeBroker, Kit

ENDED: dict[str, Any] = {"state": "succeeded", "result_due": True, "finished_at": NOON}


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with engine_with_schema(f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}") as engine:
        yield Storage(engine)


@pytest.fixture
def kit(clock: ManualClock) -> Kit:
    return Kit(clock)


@pytest.fixture
def relay(storage: Storage, kit: Kit, clock: ManualClock) -> Relay:
    return Relay(storage, kit.route, clock, generator=random.Random(1))


async def test_what_nobody_announced_is_announced_once(
    relay: Relay, kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    made = await add_tasks(storage, ids, count=3)

    told = [await relay.announce_due(), await relay.announce_due()]

    assert told == [3, 0]
    assert [kit.signer.open(message.data).task_id for _, message in kit.first.woken] == made
    assert await marks(storage, "notified_at") == [(clock.now(),)] * 3


async def test_a_wake_up_that_was_lost_is_told_again(
    relay: Relay, kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """The broker was wiped, or the process died between its commit and its announcement."""
    await add_tasks(storage, ids, notified_at=clock.now())

    told = []
    for _ in range(3):
        told.append(await relay.announce_due())
        clock.advance(UNTOLD)

    assert told == [0, 1, 1]


async def test_no_broker_is_drowned_in_what_piled_up(
    relay: Relay, kit: Kit, storage: Storage, ids: Uuid7Factory
) -> None:
    made = await add_tasks(storage, ids, count=ROUND + 20)

    told = [await relay.announce_due(), await relay.announce_due()]

    assert told == [ROUND, 20]
    assert kit.signer.open(kit.first.woken[0][1].data).task_id == made[0]


async def test_only_what_a_broker_took_counts_as_told(
    relay: Relay, kit: Kit, storage: Storage, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids, count=2)
    kit.first.fault = kit.second.fault = GONE

    told = await relay.announce_due()
    unmarked = await marks(storage, "notified_at")
    kit.second.fault = None

    assert (told, unmarked) == (0, [(None,), (None,)])
    assert await relay.announce_due() == 2
    assert len(kit.second.woken) == 2


async def test_brokers_that_rest_cost_no_write(
    relay: Relay, kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids)
    await add_tasks(storage, ids, **ENDED)
    for name in kit.route.names:
        kit.circuits.force_open(f"broker:{name}")
    clock.advance(timedelta(minutes=1))

    with _Statements(storage) as statements:
        assert await relay.announce_due() == 0
        assert await relay.report_results() == 0

    assert statements == []


async def test_with_nothing_to_tell_a_look_is_one_statement_that_locks_nothing(
    relay: Relay, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids, notified_at=clock.now())
    await add_tasks(storage, ids, state="succeeded")

    with _Statements(storage) as statements:
        await relay.announce_due()
        await relay.report_results()

    assert [text.split()[0] for text in statements] == ["reads", "SELECT"] * 2


async def test_results_are_published_and_dead_letters_too(
    relay: Relay, kit: Kit, storage: Storage, ids: Uuid7Factory
) -> None:
    (done,) = await add_tasks(storage, ids, **ENDED)
    (dead,) = await add_tasks(storage, ids, **{**ENDED, "state": "dead", "error": "aurora.x", "tenant": "acme"})
    (failed,) = await add_tasks(storage, ids, **{**ENDED, "state": "failed"})
    (stopped,) = await add_tasks(storage, ids, **{**ENDED, "state": "cancelled"})

    told = [await relay.report_results(), await relay.report_results()]

    by_stream: dict[Stream, list[dict[str, Any]]] = {}
    for stream, message in kit.first.published:
        by_stream.setdefault(stream, []).append(json.loads(message.data))
    assert told == [4, 0]
    assert {each["task_id"] for each in by_stream[Stream.AGENT_RESULTS]} == {
        str(each) for each in (done, dead, failed, stopped)
    }
    assert {each["task_id"] for each in by_stream[Stream.DEAD_LETTER]} == {str(dead), str(failed)}
    (one,) = [each for each in by_stream[Stream.AGENT_RESULTS] if each["task_id"] == str(dead)]
    run_id = one.pop("run_id")
    assert one == {
        "task_id": str(dead),
        "tenant": "acme",
        "graph": "triage",
        "state": "dead",
        "outcome": "benign",
        "error": "aurora.x",
        "finished_at": "2026-11-22T12:00:00+00:00",
    }
    assert (await marks(storage, "run_id", "result_due"))[1] == (UUID(run_id), False)


async def test_a_result_told_twice_is_the_same_message(
    relay: Relay, kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids, **ENDED)
    other = Relay(storage, kit.route, clock)

    await asyncio.gather(relay.report_results(), other.report_results())

    assert len({message.id for _, message in kit.first.published}) == 1


async def test_a_result_that_no_broker_took_is_kept(
    relay: Relay, kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids, count=40, **ENDED)
    kit.first.fault = kit.second.fault = GONE
    clock.advance(LOOK)
    told = [await relay.report_results()]
    asked = kit.first.asked
    kit.first.fault = kit.second.fault = None
    clock.advance(timedelta(minutes=2))
    for _ in range(2):  # one probe, then the rest
        told.append(await relay.report_results())
        clock.advance(UNTOLD)

    assert told[0] == 0
    assert asked <= 16, "when the brokers rest nobody is asked any more"
    assert told[1] + told[2] == 40
    assert await marks(storage, "result_due") == [(False,)] * 40


async def test_a_result_that_cannot_be_said_holds_up_no_other(
    relay: Relay, kit: Kit, storage: Storage, ids: Uuid7Factory
) -> None:
    await add_tasks(storage, ids, **{**ENDED, "error": "x" * 70_000})
    await add_tasks(storage, ids, count=2, **ENDED)

    assert await relay.report_results() == 3
    assert len(kit.first.published) == 2


async def test_it_runs_until_stopped_and_outlives_a_database_that_is_away(
    kit: Kit, storage: Storage, clock: ManualClock, ids: Uuid7Factory
) -> None:
    flaky = _Flaky(storage, failures=3)
    relay = Relay(flaky, kit.route, clock, generator=random.Random(1))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(relay.run())
        await add_tasks(storage, ids, count=2)
        await add_tasks(storage, ids, **ENDED)
        for _ in range(2000):
            await asyncio.wait([running], timeout=0.001)
            clock.advance(timedelta(milliseconds=100))
            if relay.announced >= 2 and relay.published >= 1:
                break
        is_running = not running.done()
        running.cancel()

    assert is_running
    assert (flaky.failures, relay.published) == (0, 1)
    assert relay.announced >= 2


async def test_a_route_that_ends_in_this_process_needs_no_relay(kit: Kit, storage: Storage, clock: ManualClock) -> None:
    broker = FakeBroker("local", clock)
    route = Route([broker], circuits=kit.circuits, signer=kit.signer, clock=clock)

    await asyncio.wait_for(Relay(storage, route, clock).run(), 5)

    assert broker.asked == 0


class _Flaky:
    """A storage that is away for a while."""

    def __init__(self, storage: Storage, *, failures: int) -> None:
        self._storage = storage
        self.failures = failures

    def reading(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("the database is away")
        return self._storage.reading()

    def writing(self) -> Any:
        return self._storage.writing()


class _Statements:
    """The statements that are sent meanwhile, and before each transaction's whether it `reads` or `writes`."""

    def __init__(self, storage: Storage) -> None:
        self._engine = storage.engine.sync_engine
        self._seen: list[str] = []

    def __enter__(self) -> list[str]:
        event.listen(self._engine, "before_cursor_execute", self._note)
        event.listen(self._engine, "begin", self._begin)
        return self._seen

    def __exit__(self, *caught: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)
        event.remove(self._engine, "begin", self._begin)

    def _begin(self, connection: Any) -> None:
        self._seen.append("writes" if connection.get_execution_options().get(WRITES) else "reads")

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self._seen.append(statement)
