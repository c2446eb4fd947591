"""The worker: claims the best work there is, runs it, and tells the ledger how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from aurora.dispatch.attempt import Attempts, Finished, GraphRunner, Parked
from aurora.dispatch.heart import Beating, Heart, Held, News, OpenPulse, in_thread, told_in
from aurora.dispatch.patience import Patience
from aurora.dispatch.tally import Drained, Tally
from aurora.dispatch.under_way import Run, Stop, UnderWay, handed_back
from aurora.dispatch.worker_ports import WakeUps, WorkLedger
from aurora.kernel.clock import Clock
from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.models import Task
from aurora.kernel.models.work import Ending, Scope, Turn

__all__ = [
    "PARTING",
    "Drained",
    "Finished",
    "GraphRunner",
    "Parked",
    "Tally",
    "WakeUps",
    "WorkLedger",
    "Worker",
]

LOOK = timedelta(milliseconds=200)
"""Time between its looks at tasks that another process holds."""

PARTING = timedelta(seconds=5)
"""How long a worker that is stopped may take to hand its tasks back; their leases end by themselves if it fails."""

_LAST_WORDS = timedelta(seconds=1.5)
"""Of these, twice: for runs that are cancelled and their settlement, and for what is left then. The heart has 2 s."""

_LONGEST_TICK = timedelta(seconds=1)
"""Time between two looks at how old the leases are: the fence has 2 s to spare."""

_REAP = timedelta(seconds=1.5)
"""Time between two looks for leases that ran out: with it, what a dead worker held is back within lease + 2 s."""

log = logging.getLogger(__name__)


IsOpen = Callable[[Scope], Awaitable[bool]]
"""Tells whether a task of a scope is still queued or running; one that waits for a decision is neither."""


class Worker:
    """Works on what is due until it is told to stop (`serve`), or on given tasks until they are done (`settle`).

    One at a time. Signals are the caller's: the first sets `stop`, the second cancels.

    Args:
        owner: Its name, as that of the leases.
        ledger: Where the tasks are.
        attempts: Runs one.
        open_pulse: What its heartbeat does.
        clock: Time.
        patience: With the database; that of a service is endless.
        scope: Lanes and graphs that it takes.
        jobs: Runs at the same time.
        most: Tasks claimed at the same time; `None`: as many as run, so that what waits can go to others.
        batch: Runs that are settled together while others go on.
        poll: Longest time between two looks into the ledger.
        drain_timeout: How long runs may go on once it is told to stop.
        wake_ups: Brings news of work; without it there is `poll`.
        beating: Where its heart beats.
        held: Where it notes what it holds, for its runs to look at.
    """

    def __init__(
        self,
        *,
        owner: str,
        ledger: WorkLedger,
        attempts: Attempts,
        open_pulse: OpenPulse,
        clock: Clock,
        patience: Patience,
        scope: Scope,
        jobs: int,
        most: int | None = None,
        batch: int = 1,
        poll: timedelta = LOOK,
        drain_timeout: timedelta = timedelta(seconds=30),
        wake_ups: WakeUps | None = None,
        beating: Beating = in_thread,
        held: Held | None = None,
    ) -> None:
        self.owner = owner
        self._ledger = ledger
        self._attempts = attempts
        self._open_pulse = open_pulse
        self._clock = clock
        self._patience = patience
        self._scope = scope
        self._most = most or jobs
        self._batch = batch
        self._poll = poll
        self._drain_timeout = drain_timeout
        self._wake_ups = wake_ups
        self._beating = beating
        self._held = Held(clock) if held is None else held
        self._runs = UnderWay()
        self._endings: list[Ending] = []
        self._hints: list[asyncio.Event] = []
        self._nudge, self._has_room = asyncio.Event(), asyncio.Event()
        self._slots = asyncio.Semaphore(jobs)
        self._looks = True
        self.tally = Tally()
        self.is_draining = False
        self.is_idle = False
        """Whether it waits, with nothing to run and nothing to settle."""
        self.turned_at = clock.monotonic()
        """When it last talked to the ledger with success, in seconds of the clock: how others know that it works."""

    @property
    def running(self) -> int:
        """Tasks whose runs have not ended."""
        return len(self._runs)

    def nudge(self) -> None:
        """Have it look for work at once."""
        self._looks = True
        self._nudge.set()

    async def serve(self, stop: asyncio.Event) -> Drained:
        """Work on what is due until `stop` is set; then let runs finish for a while, and hand the rest back.

        Ends within `PARTING` of the drain time-out, also when the database is away. To cancel it is to be less
        patient: it hands everything back at once.

        Raises:
            BaseExceptionGroup: a loop of its own failed. Nothing runs on; what it held is handed back.
        """
        before = replace(self.tally)

        async def drain() -> None:
            nonlocal before
            await stop.wait()
            before = replace(self.tally)
            self.is_draining = True
            self._patience.end()
            self._nudge.set()
            log.info("worker.draining", extra={"running": self.running})
            await self._clock.sleep(self._drain_timeout)
            self._runs.stop_all()
            await self._clock.sleep(_LAST_WORDS)
            raise _OverdueError

        async def is_over(_: Turn) -> bool:
            return self.is_draining and not self._runs and not self._endings

        helpers = [drain(), self._reap()]
        if self._wake_ups is not None:
            helpers.append(self._listen(self._wake_ups))
        try:
            await self._session(lambda group: self._turns(group, self._scope, is_over), helpers, is_shown=True)
        except* _OverdueError:
            log.warning("worker.overdue", extra={"held": len(self._held)})
        drained = Drained(self.tally.finished - before.finished, self.tally.handed_back - before.handed_back)
        log.info("worker.drained", extra={"finished": drained.finished, "handed_back": drained.handed_back})
        return drained

    async def settle(
        self, scopes: Iterable[Scope], is_open: IsOpen, *, on_done: Callable[[], None] | None = None
    ) -> None:
        """Work on given tasks, one scope after the other, until none of them is open, whoever settles them.

        What dead processes of this machine held is released first. What it has begun it hands back when cancelled.

        Args:
            scopes: Name tasks.
            is_open: Asked when there is nothing left to claim.
            on_done: Called now and then, when some of them are settled.

        Raises:
            BaseExceptionGroup: the database stayed away, or a loop of its own failed.
        """

        async def is_over(scope: Scope, turn: Turn) -> bool:
            if on_done is not None:
                on_done()
            if self._runs or self._endings or turn.claimed:
                return False
            if not await self._patience.with_(partial(is_open, scope)):
                return True
            await self._patience.with_(self._ledger.reap)  # another process holds them: until it is done, or dead
            return False

        async def settle_all(group: asyncio.TaskGroup) -> None:
            await self._patience.with_(self._ledger.reap)
            for scope in scopes:
                await self._turns(group, scope, partial(is_over, scope))

        await self._session(settle_all, (), is_shown=False)

    async def _session(
        self,
        work: Callable[[asyncio.TaskGroup], Awaitable[None]],
        helpers: Iterable[Coroutine[Any, Any, None]],
        *,
        is_shown: bool,
    ) -> None:
        """Do the work with everything beside it that it takes; whichever of them fails ends all."""
        loop = asyncio.get_running_loop()
        hurry: asyncio.TimerHandle | None = None
        tell = told_in(loop, self._hear)
        heart = Heart(held=self._held, open_pulse=self._open_pulse, clock=self._clock, tell=tell, is_shown=is_shown)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(each) for each in (self._beating(heart), self._tick(), *helpers)]
                try:
                    await work(group)
                except BaseException:
                    # Runs clean up when they are cancelled, with a database that may be away: not for ever.
                    hurry = loop.call_later(_LAST_WORDS.total_seconds(), self._runs.cancel_again)
                    raise
                for each in beside:
                    each.cancel()
        finally:
            if hurry is not None:
                hurry.cancel()
            await self._part()

    async def _turns(self, group: asyncio.TaskGroup, scope: Scope, is_over: Callable[[Turn], Awaitable[bool]]) -> None:
        """Settle what ended, claim what there is room for, start it; again whenever something has happened."""
        self._looks = True
        while True:
            self._nudge.clear()
            self._fence()
            endings, self._endings = self._endings, []
            # Given tasks become no more because some of them are done.
            room = self._room() if self._looks or not self._runs or not scope.is_given else 0
            turn = Turn(frozenset(), ())
            if endings or room:
                hints, self._hints = (self._hints, []) if room else ([], self._hints)
                try:
                    turn = await self._patience.with_(partial(self._ledger.turn, endings, limit=room, scope=scope))
                except BaseException:
                    self._endings = endings + self._endings
                    raise
                self.turned_at = self._clock.monotonic()
                self._looks = 0 < room == len(turn.claimed)
                self._account(endings, turn)
                await self._start(group, turn.claimed)
                for hint in hints:
                    hint.set()
            if await is_over(turn):
                return
            self.is_idle = not self._runs and not self._nudge.is_set()
            await self._nudge.wait()
            self.is_idle = False

    def _room(self) -> int:
        room = 0 if self.is_draining else max(0, self._most - len(self._runs))
        (self._has_room.set if room else self._has_room.clear)()
        return room

    def _account(self, endings: Sequence[Ending], turn: Turn, *, level: int = logging.WARNING) -> None:
        for ending in endings:
            if ending.task.id in turn.settled:
                self.tally.count(ending)
            else:
                self.tally.lost += 1
                facts = {"task_id": str(ending.task.id), "epoch": ending.task.epoch}
                log.log(level, "task.lease_lost", extra=facts)
        self._held.drop(ending.task for ending in endings)

    async def _start(self, group: asyncio.TaskGroup, claimed: Sequence[Task]) -> None:
        if not claimed:
            return
        late = {task.id for task in self._held.take(claimed)}
        tasks = [task for task in claimed if task.id not in late]
        if late:  # they come again when their leases have run out
            log.warning("tasks.claimed_too_late", extra={"tasks": len(late)})
        try:
            await self._attempts.prepare(tasks)
        except BaseException:
            self._endings += map(handed_back, tasks)
            raise
        if self.is_draining:
            self._endings += map(handed_back, tasks)
            self._nudge.set()
            return
        for task in tasks:
            run = Run(task, group.create_task(self._attempt(task)))
            self._runs.add(run)
            run.running.add_done_callback(partial(self._ended, run))
        self._room()

    async def _attempt(self, task: Task) -> Ending | None:
        async with self._slots:
            return await self._attempts.ending(task)

    def _ended(self, run: Run, _: object) -> None:
        """Note how a run ended; it is settled with the next turn."""
        self._runs.drop(run)
        ending = run.ending()
        if ending is None:
            self.tally.lost += 1
            self._held.drop([run.task])
        else:
            self._endings.append(ending)
        self._has_room.set()
        if len(self._endings) >= self._batch or not self._runs:
            self._nudge.set()

    def _hear(self, news: News) -> None:
        """Act upon what a heartbeat found."""
        for tasks, why in ((news.cancelled, Stop.CANCELLED), (news.lost, Stop.LOST)):
            runs = self._runs.of(tasks)
            for run in runs:
                log.warning("task.stopped", extra={"task_id": str(run.task.id), "why": why.value})
            self._runs.stop(runs, why)
        for obey in news.obey:
            obey()

    def _fence(self) -> None:
        """Stop what nobody has renewed the lease of for too long: somebody else may begin it soon."""
        late = self._runs.of(self._held.late())
        if late:
            log.error("worker.fenced", extra={"tasks": len(late)})
            self._runs.stop(late, Stop.LOST)

    async def _tick(self) -> None:
        """Look again now and then, whatever anybody says, and notice when the process has slept."""
        while True:
            await self._clock.sleep(min(self._poll, _LONGEST_TICK))
            self._fence()
            self.nudge()

    async def _reap(self) -> None:
        while True:
            with suppress(StorageUnavailable):
                if await self._ledger.reap():
                    self.nudge()
            await self._clock.sleep(_REAP)

    async def _listen(self, wake_ups: WakeUps) -> None:
        """Have the ledger looked at when a wake-up comes; fetched are exactly as many as there are free places."""
        while True:
            await self._has_room.wait()
            room = self._room()
            if not room:
                continue
            began = self._clock.monotonic()
            found = await wake_ups.fetch(self._scope.lanes, limit=room, wait=self._poll)
            if not found and self._clock.monotonic() - began >= self._poll.total_seconds():
                continue
            claimed = asyncio.Event()
            self._hints.append(claimed)
            self.nudge()
            await claimed.wait()
            if found:
                await wake_ups.confirm(found)

    async def _part(self) -> None:
        """Settle what ended and let others take the rest at once, as far as that can be done soon."""
        self._endings += map(handed_back, self._runs.clear())
        endings, self._endings = self._endings, []
        try:
            if endings:
                async with asyncio.timeout(_LAST_WORDS.total_seconds()):
                    turn = await self._ledger.turn(endings, limit=0, scope=self._scope)
                    # A turn that was cancelled may have settled them already.
                    self._account(endings, turn, level=logging.INFO)
        except Exception as error:  # what ended the worker is told, not what came of that; leases end by themselves
            level = logging.INFO if isinstance(error, StorageUnavailable | TimeoutError) else logging.WARNING
            log.log(level, "worker.left_tasks_behind", exc_info=error, extra={"tasks": len(endings)})
        self._held.drop(self._held.tasks())


class _OverdueError(Exception):
    """A worker that was told to stop has had its time."""
