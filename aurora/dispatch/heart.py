"""The heartbeat: renews the leases of what is held, learns what was lost or cancelled, and shows that it works.

It beats in a thread with an event loop and a connection of its own: a node that blocks the worker's loop neither
loses the worker's leases nor hides that the worker is late.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.models import Task
from aurora.kernel.models.work import Beat

BEAT = timedelta(seconds=3)
"""Time between two renewals of the leases: three in the length of one."""

FENCE = timedelta(seconds=8)
"""Age of the last renewal at which a worker stops its runs by itself: 2 s before somebody else may begin them."""

MARGIN = timedelta(seconds=2)
"""A lease counts as over this long before it is."""

_AGAIN = timedelta(seconds=1)
"""Time to the next beat after one that failed."""

_LONGEST = timedelta(seconds=5)
"""For one beat: a connection that is half open must not hang it until the fence."""

_GOODBYE = timedelta(seconds=2)
"""For the last word of a worker that stops, and for its thread to end."""

Obey = Callable[[], None]
"""What is to be done in the worker's loop about something that a beat found."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """What a beat found that its worker must act upon."""

    lost: Sequence[Task]
    """Somebody else owns them, or they are settled."""
    cancelled: Sequence[Task]
    """Somebody wants them stopped."""
    obey: Sequence[Obey] = ()


class Pulse(Protocol):
    """What one beat does to the database."""

    async def beat(self, tasks: Sequence[Task]) -> tuple[Beat, Sequence[Obey]]:
        """Renew the leases of these tasks, show that the worker lives, and learn what is new.

        Raises:
            StorageUnavailable: nothing is known.
        """

    async def part(self) -> None:
        """Say that the worker has ended as it should."""


OpenPulse = Callable[[], AbstractAsyncContextManager[Pulse]]
"""Opens a pulse with a connection of its own, in the event loop that is going to use it."""


class Held:
    """The tasks that a worker holds, and how long each may be worked on without another renewal.

    The one thing that the worker's loop and the heart's thread share.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[UUID, tuple[Task, float]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self, tasks: Iterable[Task]) -> list[Task]:
        """Hold what was claimed; return those tasks whose lease is as good as over already, which are not held.

        So it is after a claim that took long to come back: the process was stopped, or the database.
        """
        now, wall = self._clock.monotonic(), self._clock.now()
        late = []
        with self._lock:
            for task in tasks:
                left = FENCE if task.lease_until is None else min(FENCE, task.lease_until - wall - MARGIN)
                if left <= timedelta():
                    late.append(task)
                else:
                    self._tasks[task.id] = (task, now + left.total_seconds())
        return late

    def drop(self, tasks: Iterable[Task]) -> None:
        """Hold these no more."""
        with self._lock:
            for task in tasks:
                found = self._tasks.get(task.id)
                if found is not None and found[0].epoch == task.epoch:
                    del self._tasks[task.id]

    def tasks(self) -> list[Task]:
        """Return what is held now."""
        with self._lock:
            return [task for task, _ in self._tasks.values()]

    def renewed(self, tasks: Iterable[Task], *, since: float) -> None:
        """Note that the leases of these were renewed by a beat that began then."""
        until = since + FENCE.total_seconds()
        with self._lock:
            for task in tasks:
                found = self._tasks.get(task.id)
                if found is not None and found[0].epoch == task.epoch:
                    self._tasks[task.id] = (task, max(until, found[1]))

    def late(self) -> list[Task]:
        """Return those that nobody renewed for too long: whoever works on them must stop."""
        now = self._clock.monotonic()
        with self._lock:
            return [task for task, until in self._tasks.values() if until <= now]

    def is_late(self, task: Task) -> bool:
        """Tell whether nobody renewed the lease of this one for too long. Of what is not held nothing is known."""
        with self._lock:
            found = self._tasks.get(task.id)
        return found is not None and found[0].epoch == task.epoch and found[1] <= self._clock.monotonic()


class Heart:
    """One beat after another, wherever it runs.

    Args:
        held: What the worker holds.
        open_pulse: What a beat does.
        clock: Its monotonic seconds are the age of a renewal.
        tell: Is given the news; called in the loop that beats.
        is_shown: The worker shows itself at once; otherwise with its first beat, so that a short command does not.
    """

    def __init__(
        self,
        *,
        held: Held,
        open_pulse: OpenPulse,
        clock: Clock,
        tell: Callable[[News], None],
        is_shown: bool = False,
    ) -> None:
        self.open_pulse = open_pulse
        self.is_shown = is_shown
        self._held = held
        self._clock = clock
        self._tell = tell
        self._has_beaten = False

    async def beat(self, pulse: Pulse) -> timedelta:
        """Beat once; return how long to wait for the next."""
        tasks = self._held.tasks()
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                found, obey = await pulse.beat(tasks)
        except (StorageUnavailable, TimeoutError) as error:
            log.warning("heart.missed_a_beat", extra={"error": type(error).__name__, "tasks": len(tasks)})
            return _AGAIN
        self._has_beaten = True
        self._held.renewed((task for task in tasks if task.id in found.kept), since=began)
        lost = [task for task in tasks if task.id not in found.kept]
        cancelled = [task for task in tasks if task.id in found.cancelled]
        if lost or cancelled or obey:
            self._tell(News(lost, cancelled, obey))
        return BEAT

    async def part(self, pulse: Pulse) -> None:
        """Say goodbye, if anybody has ever heard of us; a silence says the same a little later."""
        if self._has_beaten:
            with suppress(StorageUnavailable, TimeoutError):
                async with asyncio.timeout(_GOODBYE.total_seconds()):
                    await pulse.part()


Beating = Callable[[Heart], Coroutine[Any, Any, None]]
"""Lets a heart beat until it is cancelled. Ends with an error if the heart does."""


def beside(clock: Clock) -> Beating:
    """Return what lets a heart beat in the worker's own loop, in the time of a clock: for tests of the worker."""

    async def beating(heart: Heart) -> None:
        async with heart.open_pulse() as pulse:
            pause = timedelta() if heart.is_shown else BEAT
            try:
                while True:
                    await clock.sleep(pause)
                    pause = await heart.beat(pulse)
            finally:
                await heart.part(pulse)

    return beating


async def in_thread(heart: Heart) -> None:
    """Let a heart beat in a thread of its own, in the machine's time, until cancelled."""
    thread = _Thread(heart, asyncio.get_running_loop())
    thread.start()
    try:
        await thread.ended
    finally:
        thread.stop()
        with suppress(TimeoutError):  # a daemon: it does not keep the process
            async with asyncio.timeout(_GOODBYE.total_seconds()):
                await asyncio.shield(thread.gone.wait())


class _Thread(threading.Thread):
    """Where a heart beats. Its news and its end are told in the loop that made it."""

    def __init__(self, heart: Heart, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="aurora-heart", daemon=True)
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done when the heart has stopped, with the error that stopped it."""
        self.gone = asyncio.Event()
        self._heart = heart
        self._loop = loop
        self._stops = threading.Event()
        self._wake: Callable[[], object] = lambda: None

    def run(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._beating())
        except BaseException as found:  # noqa: BLE001 - told in the worker's loop, which ends with it
            error = found
        with suppress(RuntimeError):  # the worker's loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._tell_end, error)

    def stop(self) -> None:
        """Ask the heart to stop after the beat that is under way."""
        self._stops.set()
        with suppress(RuntimeError):  # its loop is closed
            self._wake()

    def _tell_end(self, error: BaseException | None) -> None:
        self.gone.set()
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    async def _beating(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(stopped.set)
        if self._stops.is_set():
            return
        async with self._heart.open_pulse() as pulse:
            pause = timedelta() if self._heart.is_shown else BEAT
            while not self._stops.is_set():
                await _pause(stopped, pause)
                if not self._stops.is_set():
                    pause = await self._heart.beat(pulse)
            await self._heart.part(pulse)


async def _pause(stopped: asyncio.Event, pause: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(pause.total_seconds()):
            await stopped.wait()


def told_in(loop: asyncio.AbstractEventLoop, tell: Callable[[News], None]) -> Callable[[News], None]:
    """Return what tells news in a loop, from whatever thread."""

    def tell_there(news: News) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing runs there any more
            loop.call_soon_threadsafe(tell, news)

    return tell_there
