"""Composition of a scheduler: brokers to tidy, a way to workers, and how it is listed."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

from aurora import AURORA_PACKAGE
from aurora.bootstrap import Runtime, open_route
from aurora.dispatch.brokers.open import open_broker
from aurora.kernel.errors import BrokerError
from aurora.kernel.ports.broker import Broker, DroppedGroup, Stream
from aurora.services.scheduler import Scheduler
from aurora.storage.repositories.workers import Presence

if TYPE_CHECKING:
    from aurora.dispatch.route import Route

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_scheduler(
    runtime: Runtime, *, route: Route | None = None, owner: str | None = None
) -> AsyncIterator[Scheduler]:
    """Open a scheduler and start it; on exit it has stopped.

    Args:
        runtime: An open runtime.
        route: The way to workers; one of its own if not given.
        owner: Name under which this process is listed as a scheduler; `None`: it is not, as in a worker, which is
            listed as one.

    Raises:
        MissingExtra: the client of a broker is not installed.
    """
    settings, clock = runtime.settings, runtime.clock
    dispatch = settings.dispatch
    async with AsyncExitStack() as stack:
        if route is None:
            route = await stack.enter_async_context(open_route(runtime))
        urls = [url.get_secret_value() for url in (dispatch.broker, dispatch.second_broker) if url is not None]
        # What a local broker keeps is another process's affair. Connections of its own: to tidy may take long.
        brokers = [
            await stack.enter_async_context(open_broker(url, clock=clock))
            for url in urls
            if not url.startswith("local:")
        ]
        scheduler = Scheduler(
            publisher=RoutePublisher(route),
            storage=runtime.storage,
            clock=clock,
            ids=runtime.ids,
            announce=None if route.is_local else route.announce,
            publishes=not route.is_local,
            trim=_Trim(brokers) if brokers else None,
            tend=runtime.tending() if settings.memory.enabled else None,
            retention=settings.retention,
            presence=None if owner is None else _presence(runtime, owner),
            window=settings.ingest.dedup_window,
        )
        yield await stack.enter_async_context(scheduler)


class RoutePublisher:
    """Implements `Publisher` over the brokers of a route, whichever is there.

    Args:
        route: Owned by the caller.
    """

    def __init__(self, route: Route) -> None:
        self._route = route

    async def publish_audit(self, message: Mapping[str, Any]) -> bool:
        return await self._route.publish(Stream.AUDIT, message)

    async def publish_alert(self, message: Mapping[str, Any]) -> bool:
        return await self._route.publish(Stream.ALERTS, message)

    async def publish_agent_task(self, message: Mapping[str, Any]) -> bool:
        return await self._route.publish(Stream.AGENT_TASKS, message)

    async def publish_agent_result(self, message: Mapping[str, Any]) -> bool:
        return await self._route.publish(Stream.AGENT_RESULTS, message)


class _Trim:
    """Tidies all brokers; one that is away does not keep the others from it."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self._brokers = brokers

    async def __call__(self) -> Sequence[DroppedGroup]:
        dropped = list[DroppedGroup]()
        for broker in self._brokers:
            try:
                dropped += await broker.trim()
            except BrokerError as error:
                log.info("broker.not_trimmed", extra={"broker": broker.name, "error": error.code})
        return dropped


def _presence(runtime: Runtime, owner: str) -> Presence:
    now = runtime.clock.now()
    return Presence(
        id=owner,
        kind="scheduler",
        host=socket.gethostname()[:64],
        pid=os.getpid(),
        version=metadata.version(AURORA_PACKAGE)[:32],
        concurrency=0,
        started_at=now,
        seen_at=now,
    )
