"""One guarded request: a place among those under way, breaker, deadline; tried again where that may help."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from aurora.dispatch.circuit import CircuitOpen
from aurora.dispatch.circuits import Circuits
from aurora.kernel.clock import Clock
from aurora.llm.deadline import within
from aurora.llm.errors import (
    ModelContextExceeded,
    ModelError,
    ModelRefused,
    ModelRequestRefused,
    ModelResting,
    ModelTimeout,
)
from aurora.llm.request import ModelRequest, Reply

_FIRST_PAUSE = timedelta(seconds=1)
"""Ceiling of the first pause; it doubles with each further attempt …"""
_LONGEST_PAUSE = timedelta(seconds=30)
"""… up to this. A provider that asks for more is obeyed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a request."""

    reply: Reply | None = None
    error: ModelError | None = None
    """Set exactly if there is no reply."""
    took: timedelta
    """Time of all attempts and the pauses between them; waiting for a place among others not included."""
    attempts: int


class Line:
    """The guarded way to one model. One object a process.

    Args:
        send: Sends a request once.
        key: Of the breaker: `model:<provider>`.
        circuits: The breakers.
        concurrency: Requests under way at the same time.
        deadline: Of one attempt.
        attempts: Tries in all.
        clock: Time for deadlines and pauses.
    """

    def __init__(
        self,
        send: Callable[[ModelRequest], Awaitable[Reply]],
        *,
        key: str,
        circuits: Circuits,
        concurrency: int,
        deadline: timedelta,
        attempts: int,
        clock: Clock,
    ) -> None:
        self._send = send
        self._key = key
        self._circuits = circuits
        self._places = asyncio.Semaphore(concurrency)
        self._deadline = deadline
        self._attempts = attempts
        self._clock = clock

    async def ask(self, request: ModelRequest, *, left: timedelta, generator: random.Random) -> Outcome:
        """Return what came of a request. Nothing that the model or its server does raises.

        Full-jitter backoff; a `Retry-After` is the least pause. Where it is longer than what is left, the
        request has failed at once.

        Args:
            request: What to ask.
            left: Time that it may take, pauses included.
            generator: Draws the pauses.

        Raises:
            ConfigError: the model cannot be built.
        """
        took = timedelta()
        attempt = 0
        while True:
            attempt += 1
            reply, error, spent = await self._attempt(request, left - took)
            took += spent
            if error is None:
                return Outcome(reply=reply, took=took, attempts=attempt)
            pause = self._pause(error, attempt, generator)
            if pause is None or took + pause >= left:
                log.info("model.failed", extra={"circuit": self._key, "code": error.code, "attempts": attempt})
                return Outcome(error=error, took=took, attempts=attempt)
            began = self._clock.monotonic()
            await self._clock.sleep(pause)
            took += timedelta(seconds=self._clock.monotonic() - began)

    async def _attempt(
        self, request: ModelRequest, left: timedelta
    ) -> tuple[Reply | None, ModelError | None, timedelta]:
        async with self._places:
            began = self._clock.monotonic()
            reply = failure = None
            try:
                # Inside, so that a breaker that opened meanwhile holds for those that waited.
                async with self._circuits.permit(self._key, counts=_speaks_against_server):
                    reply = await self._in_time(request, min(self._deadline, left))
            except ModelError as error:
                failure = error
            except CircuitOpen:
                failure = ModelResting(f"{self._key} failed lately and rests", circuit=self._key)
            return reply, failure, timedelta(seconds=self._clock.monotonic() - began)

    async def _in_time(self, request: ModelRequest, deadline: timedelta) -> Reply:
        try:
            return await within(deadline, lambda: self._send(request), clock=self._clock)
        except TimeoutError:
            seconds = deadline.total_seconds()
            raise ModelTimeout(f"the model did not answer within {seconds:g} s", deadline_s=seconds) from None

    def _pause(self, error: ModelError, attempt: int, generator: random.Random) -> timedelta | None:
        if not error.retryable or attempt >= self._attempts:
            return None
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(attempt - 1, 16)))
        asked = error.context.get("retry_after_s")
        least = timedelta(seconds=asked) if isinstance(asked, float | int) else timedelta()
        return max(least, ceiling * generator.random())


def _speaks_against_server(error: BaseException) -> bool:
    """Return whether an error is the server's: not if the request was, and not if somebody cancelled it."""
    return isinstance(error, ModelError) and not isinstance(
        error, ModelRequestRefused | ModelContextExceeded | ModelRefused
    )
