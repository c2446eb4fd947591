"""Which broker a URL means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from aurora.dispatch.brokers.limits import LIMITS, TIMEOUT, Limits
from aurora.kernel.clock import Clock
from aurora.kernel.errors import ConfigError
from aurora.kernel.ports.broker import Broker


@asynccontextmanager
async def open_broker(
    url: str,
    *,
    clock: Clock,
    database: str | None = None,
    within: timedelta = TIMEOUT,
    limits: Limits = LIMITS,
) -> AsyncIterator[Broker]:
    """Open the broker at a URL: `local://`, `redis://`, `rediss://`, `unix://`, `nats://` or `tls://`.

    Servers are connected to when they are first used: one that is away stops nobody from starting.

    Args:
        url: May hold a password, which is not shown.
        clock: Time for waiting.
        database: URL of the ledger, for `local://` to watch where it is a file.
        within: Time for one call.
        limits: What is kept and repeated.

    Raises:
        ConfigError: the URL cannot be used.
        MissingExtra: the client of that broker is not installed; the message has the command.
    """
    async with _opened(url, clock=clock, database=database, within=within, limits=limits) as broker:
        yield broker


def _opened(
    url: str, *, clock: Clock, database: str | None, within: timedelta, limits: Limits
) -> AbstractAsyncContextManager[Broker]:
    scheme = url.partition("://")[0]
    if scheme == "local":
        from aurora.dispatch.brokers.local import open_local  # noqa: PLC0415 - only what is used is imported

        return open_local(clock=clock, database=database, limits=limits)
    if scheme in {"redis", "rediss", "unix"}:
        from aurora.dispatch.brokers.redis import open_redis  # noqa: PLC0415

        return open_redis(url, clock=clock, within=within, limits=limits)
    if scheme in {"nats", "tls"}:
        from aurora.dispatch.brokers.nats import open_nats  # noqa: PLC0415

        return open_nats(url, clock=clock, within=within, limits=limits)
    raise ConfigError(
        "the broker URL cannot be read; expected local://, redis://host:6379/0, unix:///path or nats://host:4222"
    )
