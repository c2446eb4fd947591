"""The way to workers: the configured broker, else the second, else none, and workers look into the database."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from aurora.dispatch.circuit import CircuitOpen, CircuitState
from aurora.dispatch.circuit_policy import CircuitPolicy
from aurora.dispatch.circuits import Circuits
from aurora.dispatch.envelope import Envelope, Signer
from aurora.dispatch.messages import Message, Stream, encoded
from aurora.kernel.clock import Clock
from aurora.kernel.deadline import within
from aurora.kernel.errors import AuroraError, BrokerError, BrokerUnavailable, InputError
from aurora.kernel.models.task import Lane, Task
from aurora.kernel.models.work import Problem
from aurora.kernel.ports.broker import Broker, BrokerHealth, Delivery

T = TypeVar("T")

TIMEOUT = timedelta(seconds=2)
"""For one call of a broker, beside the time that `fetch` was asked to wait. Brokers end within it by themselves;
one that does not is left."""

POLICY = CircuitPolicy(
    failure_threshold=3,
    recovery_timeout=timedelta(seconds=5),  # as often as the relay tells a task again: no sooner is of use
    slow_call=timedelta(seconds=1),
    probe_deadline=timedelta(seconds=10),
    longest=timedelta(minutes=1),
)
"""Of the breakers of brokers. They rest briefly: meanwhile nothing is lost, everything is a little later."""

_GLANCE = timedelta(milliseconds=50)
"""How long a fetch waits that is a probe: nobody else reaches the broker before it is back."""

_HASTE = 3
"""Fetches in a row that may come back early with nothing to believe. Then the rest of the wait is waited here where
what came was refused, and `_BREATH` where nothing came: that is how a file says that somebody wrote to it."""

_BREATH = timedelta(milliseconds=2)

_TELL_AGAIN = timedelta(minutes=1)
"""Between two words on refused envelopes, however many there are."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """Where a delivery came from, in place of its token."""

    broker: Broker
    token: object


class Route:
    """Brokers behind breakers. What goes wrong with them changes how soon work is done, never whether.

    A wake-up that no broker took is found by workers that look into the database, and by the relay.
    Belongs to one event loop.

    Args:
        brokers: The configured one first. Opened and closed by whoever made them.
        circuits: Has the breaker `broker:<name>` of each; give it `POLICY` for `broker`.
        signer: Signs the envelopes that go out, and says which that come in are genuine.
        clock: Time for time-outs and waiting.
        timeout: For one call of a broker.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        *,
        circuits: Circuits,
        signer: Signer,
        clock: Clock,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        self._brokers = tuple(brokers)
        self._circuits = circuits
        self._signer = signer
        self._clock = clock
        self._timeout = timeout
        self._hasty = 0
        self._untold = 0
        self._told_at = float("-inf")
        self.refused = 0
        """Envelopes that did not verify, since the start."""

    @property
    def names(self) -> tuple[str, ...]:
        """The brokers, the configured one first."""
        return tuple(broker.name for broker in self._brokers)

    @property
    def is_local(self) -> bool:
        """Whether no broker reaches beyond this process, so that there is nobody to tell."""
        return all(broker.name == "local" for broker in self._brokers)

    @property
    def is_resting(self) -> bool:
        """Whether no broker would be called now."""
        return all(self._circuits.rests(_key(broker)) for broker in self._brokers)

    async def announce(self, tasks: Sequence[Task]) -> str | None:
        """Tell workers that these tasks are queued; return the name of the broker that took all of them.

        `None`: none did, and workers find them by themselves. A broker that fails half-way may have woken
        somebody; so may the next, and twice does no harm.
        """
        lanes: dict[Lane, list[Message]] = {}
        for task in tasks:
            try:
                message = self._signer.seal(Envelope.of(task))
            except InputError as error:  # a worker finds it in the database
                log.warning("task.not_announced", extra={"task_id": str(task.id), "code": error.code})
            else:
                lanes.setdefault(task.lane, []).append(message)
        for broker in self._brokers if lanes else ():
            try:
                await self._asked(broker, partial(_wake, broker, lanes))
            except (BrokerError, InputError):
                continue
            return broker.name
        return None

    async def publish(self, stream: Stream, content: Mapping[str, Any]) -> bool:
        """Add an event to a stream, once; return whether it is new to the stream.

        Raises:
            BrokerUnavailable: no broker took it; whether one has it all the same is unknown. Publish it again.
            MessageInvalid: it cannot be put on a stream.
        """
        message = encoded(content)
        for broker in self._brokers:
            try:
                return await self._asked(broker, partial(broker.publish, stream, message))
            except BrokerError:
                continue
        raise BrokerUnavailable(
            "no broker took the message: `aurora status` shows why; publish it again", stream=stream.value
        )

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        """Return wake-ups for these lanes, from the first broker that can be asked; nothing after `wait` at the latest.

        A broker that hangs makes it later by one time-out. Nothing means "look into the database", as ever. What
        does not verify is confirmed, counted and told, and wakes nobody. One caller at a time.
        """
        ends = self._clock.monotonic() + wait.total_seconds()
        for broker in self._brokers:
            left = timedelta(seconds=max(0.0, ends - self._clock.monotonic()))
            try:
                found = await self._received(broker, lanes, limit=limit, wait=left)
            except BrokerError:
                continue
            genuine = await self._genuine(broker, found)
            self._hasty = 0 if genuine or self._clock.monotonic() >= ends else self._hasty + 1
            if self._hasty <= _HASTE:
                return genuine
            if not found:
                ends = min(ends, self._clock.monotonic() + _BREATH.total_seconds())
            break
        left_s = ends - self._clock.monotonic()
        if left_s > 0.0:
            await self._clock.sleep(timedelta(seconds=left_s))
        return ()

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these wake-ups need not come again. Where that fails they do, and do no harm."""
        by_broker: dict[int, tuple[Broker, list[Delivery]]] = {}
        for delivery in deliveries:
            held = delivery.token
            assert isinstance(held, _Held), "a delivery of another route"
            _, group = by_broker.setdefault(id(held.broker), (held.broker, []))
            group.append(replace(delivery, token=held.token))
        for broker, group in by_broker.values():
            await self._confirmed(broker, group)

    async def health(self) -> dict[str, BrokerHealth | Problem]:
        """Ask every broker how it is, all at once and past their breakers; what a person switched off is not asked."""
        async with asyncio.TaskGroup() as group:
            asked = {broker.name: group.create_task(self._health_of(broker)) for broker in self._brokers}
        return {name: task.result() for name, task in asked.items()}

    async def _health_of(self, broker: Broker) -> BrokerHealth | Problem:
        if self._circuits.state(_key(broker)) is CircuitState.FORCED_OPEN:
            return Problem(code=CircuitOpen.code, reason="a person has opened its breaker; it is not called")
        try:
            return await within(self._timeout, broker.health, clock=self._clock)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what people ask for
            return Problem.of(_told(broker, error))

    async def _received(
        self, broker: Broker, lanes: Sequence[Lane], *, limit: int, wait: timedelta
    ) -> Sequence[Delivery]:
        is_probe = self._circuits.state(_key(broker)) in {CircuitState.OPEN, CircuitState.HALF_OPEN}
        patience = min(wait, _GLANCE) if is_probe else wait
        return await self._asked(broker, partial(broker.fetch, lanes, limit=limit, wait=patience), idle=patience)

    async def _genuine(self, broker: Broker, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Return the deliveries that verify; see the others off."""
        genuine, refused, fault = [], [], ""
        for delivery in deliveries:
            try:
                self._signer.open(delivery.data)
            except InputError as error:
                refused.append(delivery)
                fault = str(error.context.get("fault", error.code))
            else:
                genuine.append(replace(delivery, token=_Held(broker, delivery.token)))
        if refused:
            self.refused += len(refused)
            self._untold += len(refused)
            await self._confirmed(broker, refused)
            await self._tell_refused(broker, refused[-1].data, fault)
        return genuine

    async def _tell_refused(self, broker: Broker, example: bytes, fault: str) -> None:
        """Log, and tell the audit stream, at most once a minute: whoever floods us must not flood those too."""
        now = self._clock.monotonic()
        if now - self._told_at < _TELL_AGAIN.total_seconds():
            return
        facts = {
            "broker": broker.name,
            "envelopes": self._untold,
            "example_fault": fault,
            "example_bytes": len(example),
            "example_sha256": hashlib.sha256(example).hexdigest(),
        }
        self._told_at, self._untold = now, 0
        log.warning("envelope.refused", extra=facts)
        try:
            await self.publish(Stream.AUDIT, {"event": "envelope.refused", "at": self._clock.now(), **facts})
        except BrokerError:
            log.info("audit.not_published", extra={"event": "envelope.refused"})

    async def _confirmed(self, broker: Broker, deliveries: Sequence[Delivery]) -> None:
        try:
            await self._asked(broker, partial(broker.confirm, deliveries))
        except BrokerError:
            log.debug("deliveries.not_confirmed", extra={"broker": broker.name, "deliveries": len(deliveries)})

    async def _asked(self, broker: Broker, call: Callable[[], Awaitable[T]], *, idle: timedelta = timedelta()) -> T:
        """Return what a broker answers, guarded by its breaker and by a time-out *inside* it.

        Args:
            broker: Whom to ask.
            call: The question.
            idle: How long the call may wait because its caller wants it to; that is not slow.

        Raises:
            BrokerError: it rests, is late, fails, or raises what brokers never raise.
            InputError: the caller's own.
        """
        try:
            async with self._circuits.permit(_key(broker), counts=_speaks_against_broker) as permit:
                began = self._clock.monotonic()
                try:
                    return await within(self._timeout + idle, call, clock=self._clock)
                finally:
                    permit.idle_s = min(idle.total_seconds(), self._clock.monotonic() - began)
        except CircuitOpen as resting:
            raise BrokerUnavailable(resting.message, broker=broker.name) from None
        except InputError:
            raise
        except Exception as error:
            told = _told(broker, error)
            log.info("broker.failed", extra={"broker": broker.name, "code": told.code, "error": type(error).__name__})
            raise told from error


async def _wake(broker: Broker, lanes: Mapping[Lane, Sequence[Message]]) -> None:
    for lane, messages in lanes.items():
        await broker.wake(lane, messages)


def _key(broker: Broker) -> str:
    return f"broker:{broker.name}"


def _speaks_against_broker(error: BaseException) -> bool:
    """A broker that must be mended is of as little use as one that is away; messages are the caller's."""
    return isinstance(error, Exception) and not isinstance(error, InputError)


def _told(broker: Broker, error: Exception) -> AuroraError:
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, TimeoutError):
        return BrokerUnavailable(f"the broker {broker.name} did not answer in time", broker=broker.name)
    return BrokerUnavailable(f"the broker {broker.name} failed ({type(error).__name__})", broker=broker.name)
