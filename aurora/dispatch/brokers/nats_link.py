"""One connection to a NATS server at a time: opened when it is needed, given up at the first sign of trouble.

nats-py can reconnect by itself, and is not let: what is published meanwhile waits in a buffer and is sent at an
unknown moment, a second `connect` on one client breaks it, `close` during a reconnection cancels its caller, and
subscriptions have been deaf afterwards. A fresh client has none of that, and costs a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from aurora.dispatch.brokers.nats_connection import Connection
from aurora.dispatch.brokers.nats_errors import ConnectionLost
from aurora.kernel.errors import ConfigError, MissingExtra


class Link:
    """Hands out the connection that is open, or opens one.

    Args:
        url: `nats://` or `tls://`, with user and password or a token if need be; several with commas between.
        within: Time to connect, and to close.

    Raises:
        ConfigError: not such a URL. The password is not shown.
        MissingExtra: nats-py is not installed.
    """

    def __init__(self, url: str, *, within: timedelta) -> None:
        try:
            import nats.aio.client  # noqa: F401, PLC0415 - optional, and 0.1 s to import
        except ModuleNotFoundError as missing:
            raise MissingExtra(
                "NATS as a broker needs the package 'nats-py': pip install 'aurora-soc[nats]'", package="nats-py"
            ) from missing
        self._must_encrypt = url.startswith("tls://")
        self._options = _options(url)
        self._within = within
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def connection(self) -> Connection:
        """Return the open connection; one that is lost is replaced."""
        async with self._one_at_a_time:
            if self._connection is not None and self._connection.is_lost:
                await self.close()
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection

    def lose(self) -> None:
        """Give up the open connection: the next call opens another."""
        if self._connection is not None:
            self._connection.lose()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _ended(connection, self._within)

    async def _connect(self) -> Connection:
        from aurora.dispatch.brokers.nats_client import Client  # noqa: PLC0415 - imports nats-py

        client = Client(must_encrypt=self._must_encrypt)
        opened = Connection(client)
        client.lost = opened.lose
        try:
            async with _really_cancelled():
                await client.connect(
                    error_cb=opened.complain,
                    allow_reconnect=False,
                    connect_timeout=self._within.total_seconds(),  # type: ignore[arg-type]  # a float will do
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    pending_size=0,
                    ping_interval=20,
                    name="aurora",
                    **self._options,
                )
                await opened.listen()
        except BaseException:
            await _ended(opened, self._within)
            raise
        return opened


async def _ended(connection: Connection, within: timedelta) -> None:
    try:
        async with asyncio.timeout(within.total_seconds()), _really_cancelled():
            await connection.end()
    except Exception:  # noqa: BLE001, S110 - it is closed as far as it can be; whoever closes has other things to do
        pass


@asynccontextmanager
async def _really_cancelled() -> AsyncIterator[None]:
    """Let only a cancellation that somebody asked for through, and that one always.

    nats-py raises `CancelledError` where nobody cancelled, and before Python 3.12 `asyncio.wait_for`, which it
    uses, loses a cancellation that comes at the moment at which it is done.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        if task is not None and task.cancelling() == before:
            raise ConnectionLost from None
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def _options(url: str) -> dict[str, Any]:
    """Return what nats-py needs to know. User and password are taken out of the URLs, which it may show."""
    servers: list[str] = []
    options: dict[str, Any] = {}
    scheme = url.partition("://")[0]
    try:
        for each in url.split(","):
            parts = urlsplit(each if "://" in each else f"{scheme}://{each}")
            if (
                scheme not in {"nats", "tls"}
                or parts.scheme != scheme
                or not parts.hostname
                or parts.path not in {"", "/"}
            ):
                raise ValueError  # noqa: TRY301 - one message for all that can be wrong
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            servers.append(f"{scheme}://{host}:{parts.port or 4222}")
            if parts.password is not None:
                options.update(user=unquote(parts.username or ""), password=unquote(parts.password))
            elif parts.username:
                options.update(token=unquote(parts.username))
    except ValueError:
        raise ConfigError(
            "the broker URL cannot be read; expected e.g. nats://host:4222 or tls://user:password@host:4222"
        ) from None
    return {"servers": servers, **options}
