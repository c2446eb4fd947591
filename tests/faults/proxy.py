"""A TCP proxy that misbehaves on request: delays, swallows, resets, or goes away."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Stands between a client and a server on this machine.

    Args:
        target: Host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.delay_s = 0.0
        """How much later every byte arrives."""
        self.is_half_open = False
        """Connections stand and are accepted, but no byte arrives any more, in either direction."""
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0

    def stall(self) -> None:
        """Let nothing through, and say nothing of it."""
        self.is_half_open = True
        self._open.clear()

    def heal(self) -> None:
        """Be an honest proxy again; what waited goes through."""
        self.delay_s = 0.0
        self.is_half_open = False
        self._open.set()

    def reset(self) -> None:
        """End all connections with a reset, as a firewall does."""
        for client, server in list(self._pairs):
            for writer in (client, server):
                raw = writer.get_extra_info("socket")
                if raw is not None:
                    with suppress(OSError):
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, upstream)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, upstream))
                group.create_task(self._pump(upstream_reader, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one side has ended")


@asynccontextmanager
async def running_proxy(host: str, port: int) -> AsyncIterator[Proxy]:
    """Listen on a free port of this machine and pass everything on to a server."""
    proxy = Proxy((host, port))
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.reset()
