"""A service drains at the first signal, hurries at the second, and says what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aurora.cli._serving import Teller, signals
from aurora.cli._worker import drained
from aurora.dispatch.tally import Drained
from aurora.kernel.errors import StorageUnavailable
from aurora.settings import Settings, load_settings


class FakeWorker:
    """Serves until it is told to stop, then works on for as long as it is let."""

    running = 2

    def __init__(self, *, left: int = 0) -> None:
        self.is_stopping = asyncio.Event()
        self.may_end = asyncio.Event()
        self.was_cancelled = False
        self._left = left

    async def serve(self, stop: asyncio.Event) -> Drained:
        try:
            await stop.wait()
            self.is_stopping.set()
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return Drained(2 - self._left, self._left)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={}, directory=tmp_path)


async def _forever() -> None:
    await asyncio.Event().wait()


async def _served(settings: Settings, worker: Any, *beside: Coroutine[Any, Any, None]) -> Any:
    """Serve with signals caught; return what came of it and the last signal."""
    with signals() as caught:
        found = await drained(worker, beside, caught, Teller(settings, as_json=True), settings)
        return found, caught.number


async def test_the_first_signal_lets_runs_come_to_their_end(settings, capsys):
    worker = FakeWorker(left=1)

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_served(settings, worker, _forever()))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await worker.is_stopping.wait()
        worker.may_end.set()

    assert serving.result() == (Drained(1, 1), signal.SIGTERM)
    told = json.loads(capsys.readouterr().err)
    assert (told["event"], told["signal"], told["running"]) == ("worker.stopping", "SIGTERM", 2)


async def test_the_second_signal_hands_back_at_once(settings):
    worker = FakeWorker()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_served(settings, worker, _forever()))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await worker.is_stopping.wait()
        os.kill(os.getpid(), signal.SIGINT)

    assert serving.result() == (None, signal.SIGINT)
    assert worker.was_cancelled


async def test_what_runs_beside_ends_with_the_worker_and_a_fault_of_it_ends_the_worker(settings):
    worker = FakeWorker()

    async def fails() -> None:
        raise StorageUnavailable("gone")

    with pytest.raises(ExceptionGroup) as found:
        await _served(settings, worker, fails())

    assert found.group_contains(StorageUnavailable)
    assert worker.was_cancelled


async def test_signals_mean_what_they_meant_afterwards(settings):
    before = signal.getsignal(signal.SIGTERM)
    worker = FakeWorker()
    worker.may_end.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(_served(settings, worker))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before
