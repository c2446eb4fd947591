"""One request: guarded by a breaker, a deadline and a place; tried again where that may help. All in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aurora.dispatch.circuits import Circuits
from aurora.llm.call import Line
from aurora.llm.errors import (
    ModelBusy,
    ModelContextExceeded,
    ModelGarbled,
    ModelKeyRefused,
    ModelNotFound,
    ModelRequestRefused,
    ModelTimeout,
    ModelTooLong,
    ModelUnavailable,
)
from aurora.llm.request import ModelRequest, Reply
from aurora.testing import ManualClock
from tests.llm_kit import in_time

REQUEST = ModelRequest(messages=[{"role": "user", "text": "hello"}])
REPLY = Reply(text="hi", input_tokens=1, output_tokens=1)


class Server:
    """Does one thing after the other, the last one again and again."""

    def __init__(self, clock: ManualClock, *acts: Any) -> None:
        self._clock = clock
        self._acts = acts
        self.asked: list[timedelta] = []

    async def send(self, request: ModelRequest) -> Reply:
        self.asked.append(timedelta(seconds=self._clock.monotonic()))
        act = self._acts[min(len(self.asked), len(self._acts)) - 1]
        if isinstance(act, timedelta):
            await self._clock.sleep(act)
        elif act is not None:
            raise act
        return REPLY


@pytest.fixture
def line(clock: ManualClock) -> Callable[..., Line]:
    def make(server: Server, **options: Any) -> Line:
        given = {"concurrency": 4, "deadline": timedelta(seconds=10), "attempts": 3} | options
        circuits = Circuits(clock=clock, generator=random.Random(1))
        return Line(server.send, key="model:test", circuits=circuits, clock=clock, **given)

    return make


async def ask(line: Line, clock: ManualClock, *, left: float = 300) -> Any:
    asking = line.ask(REQUEST, left=timedelta(seconds=left), generator=random.Random(3))
    return await in_time(clock, asking, step=timedelta(milliseconds=100))


@pytest.mark.parametrize("error", [ModelBusy("x"), ModelUnavailable("x"), ModelTimeout("x")])
async def test_a_failure_that_may_pass_is_tried_again_after_a_pause(
    clock: ManualClock, line: Any, error: Exception
) -> None:
    server = Server(clock, error, error, None)

    outcome = await ask(line(server), clock)

    assert outcome.reply == REPLY
    assert outcome.attempts == 3
    first, second, third = server.asked
    assert first < second < third
    assert third - first < timedelta(seconds=3.4)
    assert outcome.took == third


@pytest.mark.parametrize(
    "kind", [ModelKeyRefused, ModelNotFound, ModelRequestRefused, ModelContextExceeded, ModelTooLong, ModelGarbled]
)
async def test_a_failure_that_stays_is_not_tried_again(clock: ManualClock, line: Any, kind: Any) -> None:
    server = Server(clock, kind("x"))

    outcome = await ask(line(server), clock)

    assert outcome.error.code == kind.code
    assert len(server.asked) == 1


async def test_attempts_are_bounded(clock: ManualClock, line: Any) -> None:
    server = Server(clock, ModelUnavailable("x"))

    outcome = await ask(line(server), clock)

    assert isinstance(outcome.error, ModelUnavailable)
    assert len(server.asked) == 3


async def test_a_server_is_not_asked_again_before_it_said(clock: ManualClock, line: Any) -> None:
    server = Server(clock, ModelBusy("x", retry_after_s=42.0), None)

    outcome = await ask(line(server), clock)

    assert outcome.reply == REPLY
    assert server.asked[1] - server.asked[0] >= timedelta(seconds=42)


async def test_a_pause_longer_than_what_is_left_is_not_begun(clock: ManualClock, line: Any) -> None:
    server = Server(clock, ModelBusy("x", retry_after_s=42.0), None)

    outcome = await ask(line(server), clock, left=30)

    assert isinstance(outcome.error, ModelBusy)
    assert outcome.took < timedelta(seconds=1)


async def test_a_server_that_hangs_is_left_at_the_deadline(clock: ManualClock, line: Any) -> None:
    server = Server(clock, timedelta(hours=1))

    outcome = await ask(line(server, attempts=1), clock)

    assert isinstance(outcome.error, ModelTimeout)
    assert timedelta(seconds=10) <= outcome.took < timedelta(seconds=11)


async def test_the_last_attempt_has_no_more_time_than_is_left(clock: ManualClock, line: Any) -> None:
    server = Server(clock, timedelta(hours=1))

    outcome = await ask(line(server), clock, left=13)

    assert outcome.took <= timedelta(seconds=13.5)


async def test_a_breaker_that_is_open_lets_nothing_through(clock: ManualClock, line: Any) -> None:
    server = Server(clock, ModelKeyRefused("x"))
    guarded = line(server)
    for _ in range(5):
        await ask(guarded, clock)

    outcome = await ask(guarded, clock)

    assert outcome.error.code == "aurora.model.resting"
    assert len(server.asked) == 5


async def test_requests_that_are_wrong_themselves_open_no_breaker(clock: ManualClock, line: Any) -> None:
    server = Server(clock, ModelContextExceeded("x"))
    guarded = line(server)

    for _ in range(20):
        await ask(guarded, clock)

    assert len(server.asked) == 20


async def test_waiting_for_a_place_costs_no_time_of_the_run(clock: ManualClock, line: Any) -> None:
    server = Server(clock, timedelta(seconds=8))
    guarded = line(server, concurrency=1)

    outcomes = await in_time(
        clock,
        asyncio.gather(
            *(guarded.ask(REQUEST, left=timedelta(seconds=9), generator=random.Random(1)) for _ in range(3))
        ),
    )

    assert [each.reply for each in outcomes] == [REPLY] * 3
    assert all(each.took <= timedelta(seconds=9) for each in outcomes)


async def test_cancelling_gives_the_place_back(clock: ManualClock, line: Any) -> None:
    guarded = line(Server(clock, timedelta(hours=1), None), concurrency=1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(guarded.ask(REQUEST, left=timedelta(hours=2), generator=random.Random(1)))
        await asyncio.sleep(0)
        task.cancel()

    outcome = await ask(guarded, clock)

    assert outcome.reply == REPLY
