"""The way to workers over brokers that work, fail, hang and lie. Virtual time."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from aurora.dispatch.envelope import Signer
from aurora.dispatch.route import TIMEOUT, Route
from aurora.kernel.errors import BrokerError, BrokerUnavailable, MessageInvalid
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import Delivery, Stream
from aurora.testing import ManualClock
from tests.unit.dispatch.route_kit import GONE, POLL, FakeBroker, Kit, a_task

HANGS = timedelta(hours=1)
FAULTS = [GONE, BrokerError("the password is wrong"), RuntimeError("a fault of the adapter"), HANGS]


@pytest.fixture
def kit(clock: ManualClock) -> Kit:
    return Kit(clock)


async def _timed(kit: Kit, work: Any) -> Any:
    """Return or raise what some work comes to, and let time pass meanwhile."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_outcome(work))
        await kit.pass_time(task)
    outcome = task.result()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _outcome(work: Any) -> Any:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - raised again where no task group wraps it
        return error


async def test_tasks_are_announced_to_the_configured_broker_lane_by_lane(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    tasks = [a_task(ids, clock, priority=priority) for priority in (9, 5, 5, 0)]

    took = await kit.route.announce(tasks)

    assert took == "nats"
    assert [lane for lane, _ in kit.first.woken] == [Lane.CRITICAL, Lane.NORMAL, Lane.NORMAL, Lane.BULK]
    assert [kit.signer.open(message.data).task_id for _, message in kit.first.woken] == [task.id for task in tasks]
    assert (kit.first.asked, kit.second.asked) == (3, 0)


async def test_nothing_to_announce_asks_nobody(kit: Kit) -> None:
    assert await kit.route.announce([]) is None
    assert kit.first.asked == kit.second.asked == 0


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_the_second_broker_is_told_where_the_first_does_not_answer(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory, fault: Any
) -> None:
    kit.first.fault = fault

    took = await _timed(kit, kit.route.announce([a_task(ids, clock)]))

    assert (took, len(kit.second.woken)) == ("redis", 1)
    assert clock.monotonic() <= TIMEOUT.total_seconds() + 0.1


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_where_nobody_takes_them_that_is_told_and_nothing_is_raised(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory, fault: Any
) -> None:
    kit.first.fault = kit.second.fault = fault

    took = await _timed(kit, kit.route.announce([a_task(ids, clock, priority=each) for each in (0, 5, 9)]))

    assert took is None
    assert clock.monotonic() <= 2 * TIMEOUT.total_seconds() + 0.1, "one time-out a broker, however many lanes"


async def test_a_task_that_no_envelope_can_hold_does_not_keep_the_others_from_being_announced(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    odd, sound = a_task(ids, clock, correlation={"case_id": "x" * 9999}), a_task(ids, clock)

    assert await kit.route.announce([odd, sound]) == "nats"

    assert [kit.signer.open(message.data).task_id for _, message in kit.first.woken] == [sound.id]
    assert await kit.route.announce([odd]) is None


async def test_an_event_goes_to_the_first_broker_that_takes_it(kit: Kit) -> None:
    assert await kit.route.publish(Stream.ALERTS, {"alert_id": "1"}) is True
    assert await kit.route.publish(Stream.ALERTS, {"alert_id": "1"}) is False
    kit.first.fault = GONE
    assert await kit.route.publish(Stream.ALERTS, {"alert_id": "2"}) is True

    assert [json.loads(message.data) for _, message in kit.second.published] == [{"alert_id": "2"}]


async def test_an_event_that_no_broker_takes_is_told(kit: Kit) -> None:
    kit.first.fault, kit.second.fault = GONE, BrokerError("refused")

    with pytest.raises(BrokerUnavailable, match="no broker took the message"):
        await kit.route.publish(Stream.ALERTS, {"alert_id": "1"})


async def test_an_event_that_cannot_be_said_is_the_callers_fault_and_no_brokers(kit: Kit) -> None:
    for _ in range(5):
        with pytest.raises(MessageInvalid):
            await kit.route.publish(Stream.ALERTS, {"alert_id": "x" * 70_000})

    assert (kit.state(kit.first), kit.first.asked) == ("closed", 0)


async def test_what_was_fetched_is_confirmed_where_it_came_from(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    wake_ups = [kit.delivery(a_task(ids, clock), token=number) for number in range(3)]
    kit.first.ready = wake_ups[:2]
    one = await kit.fetch()
    kit.first.fault, kit.second.ready = GONE, wake_ups[2:]
    other = await kit.fetch()
    kit.first.fault = None

    await kit.route.confirm([*one, *other])

    assert [each.data for each in (*one, *other)] == [each.data for each in wake_ups]
    assert (kit.first.confirmed, kit.second.confirmed) == (wake_ups[:2], wake_ups[2:])


async def test_a_confirmation_that_fails_is_no_matter(kit: Kit, clock: ManualClock, ids: Uuid7Factory) -> None:
    kit.first.ready = [kit.delivery(a_task(ids, clock))]
    fetched = await kit.fetch()
    kit.first.fault = GONE

    await kit.route.confirm(fetched)

    assert kit.first.confirmed == []


async def test_a_wake_up_is_handed_over_as_soon_as_it_is_there(kit: Kit, clock: ManualClock, ids: Uuid7Factory) -> None:
    kit.first.ready = [kit.delivery(a_task(ids, clock))]

    assert len(await kit.fetch(wait=timedelta(minutes=5))) == 1
    assert clock.monotonic() == 0.0


async def test_waiting_long_for_work_is_not_slow(kit: Kit) -> None:
    for _ in range(12):
        assert await kit.fetch(wait=timedelta(seconds=3)) == []

    found = kit.circuits.snapshots()["broker:nats"]
    assert (found.state, found.slow) == ("closed", 0)


async def test_a_fetch_that_comes_late_is_slow(kit: Kit, clock: ManualClock) -> None:
    kit.first.fault = timedelta(seconds=1.5)

    for _ in range(9):
        await kit.fetch()

    assert kit.circuits.snapshots()["broker:nats"].slow == 9


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_with_every_broker_down_a_fetch_ends_when_it_should_and_the_breakers_open(
    kit: Kit, clock: ManualClock, fault: Any
) -> None:
    kit.first.fault = kit.second.fault = fault
    took = []
    for _ in range(12):
        began = clock.monotonic()
        assert await kit.fetch() == ()
        took.append(clock.monotonic() - began)

    late = 2 * TIMEOUT.total_seconds() if fault is HANGS else 0.0
    assert max(took) <= 1.0 + late + 0.2
    assert (kit.state(kit.first), kit.state(kit.second)) == ("open", "open")
    assert sorted(took)[len(took) // 2] == pytest.approx(1.0, abs=0.05), "most cost no more than the poll"
    assert min(took) >= 0.99, "a worker that finds no broker does not spin"


async def test_a_broker_that_is_back_is_found_with_a_probe_that_holds_nobody_up(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    kit.first.fault = GONE
    for _ in range(4):
        await kit.fetch()
    kit.first.fault = None
    clock.advance(timedelta(seconds=10))
    began = clock.monotonic()

    assert await kit.fetch(wait=timedelta(seconds=20)) == []
    probed = clock.monotonic() - began
    kit.first.ready = [kit.delivery(a_task(ids, clock))]
    found = await kit.fetch()

    assert probed <= 0.1, "whoever announces is refused while a probe is out"
    assert (kit.state(kit.first), len(found)) == ("closed", 1)


async def test_a_cancelled_fetch_counts_for_nothing(kit: Kit) -> None:
    for _ in range(9):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(kit.route.fetch(tuple(Lane), limit=1, wait=HANGS))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()

    found = kit.circuits.snapshots()["broker:nats"]
    assert (found.state, found.calls, found.admitted) == ("closed", 0, 9)


async def test_an_envelope_that_does_not_verify_wakes_nobody_and_is_seen_off(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory, caplog: pytest.LogCaptureFixture
) -> None:
    task = a_task(ids, clock)
    genuine = kit.delivery(task, token="good")
    forged = [
        kit.delivery(task, signer=Signer("another key that is long enough, too"), token="forged"),
        kit.delivery(task, signer=Signer(None), token="unsigned"),
        Delivery(Stream.AGENT_TASKS, b"\x00\xff no JSON", "garbage"),
        Delivery(Stream.AGENT_TASKS, genuine.data.replace(b'"graph":"triage"', b'"graph":"deploy"'), "changed"),
    ]
    kit.first.ready = [*forged, genuine]

    found = await kit.fetch()

    assert [each.data for each in found] == [genuine.data]
    assert kit.first.confirmed == forged
    assert kit.route.refused == 4
    assert kit.state(kit.first) == "closed"
    ((stream, message),) = kit.first.published
    told = json.loads(message.data)
    assert (stream, told["event"], told["envelopes"]) == (Stream.AUDIT, "envelope.refused", 4)
    assert [record.levelname for record in caplog.records if record.msg == "envelope.refused"] == ["WARNING"]


async def test_a_flood_of_forged_envelopes_is_told_once_a_minute_and_makes_no_worker_spin(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    fetches = 0
    while clock.monotonic() < 130.0:
        kit.first.ready = [Delivery(Stream.AGENT_TASKS, b"flood", number) for number in range(8)]
        assert await kit.fetch() in ([], ())
        fetches += 1

    assert fetches <= 130 + 3
    told = [json.loads(message.data)["envelopes"] for _, message in kit.first.published]
    assert len(told) == 3
    assert told[1] >= 8 * 50


async def test_a_flood_does_not_hide_what_is_genuine(kit: Kit, clock: ManualClock, ids: Uuid7Factory) -> None:
    for _ in range(6):
        kit.first.ready = [Delivery(Stream.AGENT_TASKS, b"flood", 1)]
        await kit.fetch()
    kit.first.ready = [kit.delivery(a_task(ids, clock))]

    assert len(await kit.fetch()) == 1


async def test_whoever_says_look_again_and_again_is_heard_at_once_yet_makes_no_worker_spin(
    kit: Kit, clock: ManualClock
) -> None:
    """As `local://` does for a file that others write to all the time."""
    kit.first.fetch = _nothing  # type: ignore[method-assign]

    for _ in range(1000):
        await kit.fetch()

    assert 1.9 <= clock.monotonic() <= 15.0, "not a poll of 1 s each; the kit moves time by 10 ms"


async def _nothing(lanes: Any, *, limit: int, wait: timedelta) -> list[Delivery]:
    return []


async def test_a_broker_that_lies_about_what_it_took_is_not_asked_twice(
    kit: Kit, clock: ManualClock, ids: Uuid7Factory
) -> None:
    """It says that it took a wake-up and loses it: the relay tells again, workers look by themselves."""
    kit.first.wake = _lose  # type: ignore[method-assign]

    assert await kit.route.announce([a_task(ids, clock)]) == "nats"
    assert await kit.fetch() == []


async def _lose(lane: Lane, messages: Any) -> None:
    pass


async def test_health_is_asked_of_all_at_once_and_never_raises(kit: Kit, clock: ManualClock) -> None:
    kit.first.fault, kit.second.fault = HANGS, GONE

    found = await _timed(kit, kit.route.health())
    kit.second.fault = None
    kit.circuits.force_open("broker:nats")
    later = await _timed(kit, kit.route.health())

    assert clock.monotonic() <= TIMEOUT.total_seconds() + 0.1
    assert found["nats"] == Problem(code="aurora.broker.unavailable", reason="the broker nats did not answer in time")
    assert found["redis"].reason == "the server is gone"
    assert (later["nats"].code, later["redis"].server) == ("aurora.dispatch.circuit_open", "fake redis")
    assert kit.first.asked == 1


async def test_what_a_person_opened_is_not_called(kit: Kit, clock: ManualClock, ids: Uuid7Factory) -> None:
    for broker in (kit.first, kit.second):
        kit.circuits.force_open(f"broker:{broker.name}")

    assert await kit.route.announce([a_task(ids, clock)]) is None
    assert await kit.fetch() == ()
    assert kit.route.is_resting
    assert (kit.first.asked, kit.second.asked) == (0, 0)
    assert clock.monotonic() >= POLL.total_seconds() - 0.01


@pytest.mark.parametrize(("names", "is_local"), [((), True), (("local",), True), (("local", "nats"), False)])
def test_a_route_knows_whether_it_reaches_other_processes(kit: Kit, *, names: tuple[str, ...], is_local: bool) -> None:
    brokers = [FakeBroker(name, kit.clock) for name in names]

    route = Route(brokers, circuits=kit.circuits, signer=kit.signer, clock=kit.clock)

    assert (route.is_local, route.names) == (is_local, names)
