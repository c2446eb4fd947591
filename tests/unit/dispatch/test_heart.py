"""The heartbeat: what one beat does, and that it beats in a thread when the worker's loop is blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from aurora.dispatch.heart import BEAT, FENCE, Heart, Held, News, Obey, Pulse, beside, in_thread, told_in
from aurora.dispatch.ledger import LEASE, Ledger
from aurora.dispatch.pulse import pulse_on
from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Task
from aurora.kernel.models.work import Beat
from aurora.storage.engine import open_engine
from aurora.storage.repositories.workers import Presence
from aurora.storage.unit_of_work import Storage, Transaction
from aurora.testing import ManualClock
from tests.services import engine_with_schema
from tests.unit.dispatch.working import MemoryLedger, until


class Pulses:
    """Implements `Pulse` with what the test wants, and notes the beats and their threads."""

    def __init__(self, *, kept: Callable[[Task], bool] = lambda _: True) -> None:
        self.kept = kept
        self.beats: list[Sequence[Task]] = []
        self.threads: list[int] = []
        self.beaten = threading.Event()
        self.parted = False
        self.fault: Exception | None = None
        self.cancelled: frozenset[object] = frozenset()
        self.obey: list[Obey] = []

    async def beat(self, tasks: Sequence[Task]) -> tuple[Beat, Sequence[Obey]]:
        self.beats.append(tasks)
        self.threads.append(threading.get_ident())
        self.beaten.set()
        if self.fault is not None:
            raise self.fault
        kept = frozenset(task.id for task in tasks if self.kept(task))
        return Beat(kept, kept & self.cancelled), self.obey

    async def part(self) -> None:
        self.parted = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Pulse]:
        yield self


@pytest.fixture
def held(clock: ManualClock) -> Held:
    return Held(clock)


@pytest.fixture
def tasks(clock: ManualClock, ids: Uuid7Factory) -> list[Task]:
    return [
        task.model_copy(update={"epoch": 1, "lease_until": clock.now() + LEASE})
        for task in MemoryLedger(clock).add(ids, count=2)
    ]


def heart_of(
    held: Held,
    pulses: Pulses,
    clock: ManualClock,
    *,
    tell: Callable[[News], None] = lambda _: None,
    is_shown: bool = True,
) -> Heart:
    return Heart(held=held, open_pulse=pulses.open, clock=clock, tell=tell, is_shown=is_shown)


async def test_a_task_is_late_two_seconds_before_its_lease_ends(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    held.take(tasks)

    clock.advance(FENCE - timedelta(milliseconds=1))
    before = held.late(), held.is_late(tasks[0])
    clock.advance(timedelta(milliseconds=1))

    assert before == ([], False)
    assert held.late() == tasks
    assert held.is_late(tasks[0])
    assert not held.is_late(tasks[0].model_copy(update={"epoch": tasks[0].epoch + 1})), "that is another's"


async def test_a_beat_keeps_what_it_renewed_from_being_late(held: Held, clock: ManualClock, tasks: list[Task]) -> None:
    pulses = Pulses(kept=lambda task: task is tasks[0])
    held.take(tasks)
    clock.advance(BEAT)

    await heart_of(held, pulses, clock).beat(pulses)
    clock.advance(FENCE - timedelta(milliseconds=1))

    assert held.late() == [tasks[1]]


async def test_a_renewal_counts_from_the_beginning_of_its_beat(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    """A process that is stopped between the write and its answer must not take the lease for fresh."""

    def kept(_: Task) -> bool:
        clock.advance(FENCE)
        return True

    pulses = Pulses(kept=kept)
    held.take(tasks[:1])

    await heart_of(held, pulses, clock).beat(pulses)

    assert held.late() == tasks[:1]


async def test_what_is_lost_or_cancelled_is_told(held: Held, clock: ManualClock, tasks: list[Task]) -> None:
    told: list[News] = []
    pulses = Pulses(kept=lambda task: task is tasks[0])
    pulses.cancelled = frozenset({tasks[0].id})
    held.take(tasks)

    await heart_of(held, pulses, clock, tell=told.append).beat(pulses)

    assert [(news.lost, news.cancelled) for news in told] == [([tasks[1]], [tasks[0]])]


async def test_a_beat_that_fails_is_repeated_sooner_and_renews_nothing(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    pulses = Pulses()
    pulses.fault = StorageUnavailable("away")
    held.take(tasks)
    clock.advance(BEAT)

    pause = await heart_of(held, pulses, clock).beat(pulses)

    clock.advance(FENCE - BEAT)
    assert pause < BEAT
    assert held.late() == tasks


async def test_what_was_claimed_anew_is_not_dropped_for_an_older_claim(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    older = tasks[0]
    newer = older.model_copy(update={"epoch": 2})
    held.take([newer])

    held.drop([older])

    assert held.tasks() == [newer]


async def test_a_claim_whose_lease_is_as_good_as_over_is_not_held(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    clock.advance(LEASE - timedelta(seconds=1))

    late = held.take(tasks)

    assert late == tasks
    assert len(held) == 0


async def test_a_command_that_ends_before_its_first_beat_is_never_heard_of(held: Held, clock: ManualClock) -> None:
    pulses = Pulses()
    beating = asyncio.ensure_future(beside(clock)(heart_of(held, pulses, clock, is_shown=False)))
    await until(lambda: clock.sleepers == 1)

    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating

    assert pulses.beats == []
    assert not pulses.parted


async def test_a_heart_in_a_thread_beats_while_the_worker_s_loop_is_blocked(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    pulses = Pulses()
    held.take(tasks)
    beating = asyncio.ensure_future(in_thread(heart_of(held, pulses, clock)))
    await asyncio.sleep(0)

    beaten_while_blocked = pulses.beaten.wait(10)

    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating
    assert beaten_while_blocked
    assert pulses.beats[0] == tasks
    assert threading.get_ident() not in pulses.threads
    assert pulses.parted


async def test_news_of_a_thread_are_told_in_the_worker_s_loop(
    held: Held, clock: ManualClock, tasks: list[Task]
) -> None:
    told: list[int] = []
    arrived = asyncio.Event()

    def tell(_: News) -> None:
        told.append(threading.get_ident())
        arrived.set()

    pulses = Pulses(kept=lambda _: False)
    held.take(tasks)
    heart = heart_of(held, pulses, clock, tell=told_in(asyncio.get_running_loop(), tell))
    beating = asyncio.ensure_future(in_thread(heart))

    await asyncio.wait_for(arrived.wait(), 10)

    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating
    assert told == [threading.get_ident()]


async def test_a_heart_that_breaks_in_its_thread_is_told_to_its_worker(held: Held, clock: ManualClock) -> None:
    pulses = Pulses()
    pulses.fault = ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        await asyncio.wait_for(in_thread(heart_of(held, pulses, clock)), 10)


async def test_a_beat_shows_the_worker_and_its_goodbye_takes_it_away(
    tmp_path: Path, clock: ManualClock, held: Held
) -> None:
    """With the ledger of the thread's own connection, which is asked for nothing while nothing is held."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'aurora.db'}"
    heard: list[str] = []

    def presence() -> Presence:
        return Presence(
            id="w", kind="worker", host="h", pid=1, version="1", started_at=clock.now(), seen_at=clock.now()
        )

    async def on_beat(transaction: Transaction) -> Obey:
        heard.append(transaction.tenant)
        return lambda: heard.append("obeyed")

    async with engine_with_schema(url) as engine:
        storage = Storage(engine)
        told: list[News] = []
        open_pulse = pulse_on(
            lambda: open_engine(url),
            ledger=lambda own: Ledger(own, owner="w", clock=clock),
            presence=presence,
            on_beat=[on_beat],
        )
        heart = Heart(held=held, open_pulse=open_pulse, clock=clock, tell=told.append)
        async with open_pulse() as pulse:
            await heart.beat(pulse)
            async with storage.reading() as transaction:
                shown = await transaction.workers.live(clock.now(), kind="worker")
            await heart.part(pulse)
            async with storage.reading() as transaction:
                gone = await transaction.workers.live(clock.now(), kind="worker")

    for obey in told[0].obey:
        obey()
    assert [each.id for each in shown] == ["w"]
    assert gone == []
    assert heard == ["default", "obeyed"]


def test_the_machine_s_clock_may_be_read_from_both_threads() -> None:
    """Ages are compared across threads, so the monotonic clock must be one for all of them."""
    clock, found = SystemClock(), []
    before = clock.monotonic()
    thread = threading.Thread(target=lambda: found.append(clock.monotonic()))

    thread.start()
    thread.join()

    assert before <= found[0] <= clock.monotonic()
