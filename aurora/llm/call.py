"""One guarded request to a model, and what came of it."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from aurora.dispatch.circuit import CircuitOpen, Throttled
from aurora.dispatch.circuits import Circuits
from aurora.dispatch.policy import Allowance, AttemptTimeout, Effort, Policy
from aurora.kernel.clock import Clock
from aurora.kernel.errors import DeadlinePassed
from aurora.llm.errors import (
    ModelBusy,
    ModelContextExceeded,
    ModelError,
    ModelRefused,
    ModelRequestRefused,
    ModelResting,
    ModelTimeout,
)
from aurora.llm.request import ModelRequest, Reply

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
        self._clock = clock
        self._policy = Policy(
            circuits=circuits,
            clock=clock,
            places=concurrency,
            # What a run may spend is its own time, not that of the runs that stand before it.
            allowance=Allowance(attempts=attempts, attempt=deadline, is_waiting_free=True),
            counts=_speaks_against_server,
        )

    async def ask(self, request: ModelRequest, *, left: timedelta, generator: random.Random) -> Outcome:
        """Return what came of a request. Nothing that the model or its server does raises.

        Tried again as `Policy` says; where a `Retry-After` is longer than what is left, the request has failed
        at once.

        Args:
            request: What to ask.
            left: Time that it may take, pauses included.
            generator: Draws the pauses.

        Raises:
            ConfigError: the model cannot be built.
        """
        effort = Effort()
        try:
            reply = await self._policy.call(
                self._key,
                lambda: self._send(request),
                deadline=self._clock.now() + left,
                generator=generator,
                effort=effort,
            )
        except (ModelError, CircuitOpen, AttemptTimeout, DeadlinePassed) as error:
            told = _told(error)
            log.info("model.failed", extra={"circuit": self._key, "code": told.code, "attempts": effort.attempts})
            return Outcome(error=told, took=effort.took, attempts=effort.attempts)
        return Outcome(reply=reply, took=effort.took, attempts=effort.attempts)


def _told(error: ModelError | CircuitOpen | AttemptTimeout | DeadlinePassed) -> ModelError:
    """Return our error for one of the policy's."""
    if isinstance(error, ModelError):
        return error
    if isinstance(error, Throttled):
        return ModelBusy(error.message, **error.context)
    if isinstance(error, CircuitOpen):
        key = error.context.get("key")
        return ModelResting(f"{key} failed lately and rests", circuit=key)
    seconds = error.context.get("deadline_s", 0.0)
    return ModelTimeout(f"the model did not answer within {seconds:g} s", deadline_s=seconds)


def _speaks_against_server(error: BaseException) -> bool:
    """Return whether an error is the server's: not if the request was, and not if somebody cancelled it."""
    return isinstance(error, ModelError) and not isinstance(
        error, ModelRequestRefused | ModelContextExceeded | ModelRefused
    )
