"""How a Redis or Valkey server is, in one round trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aurora.dispatch.messages import Stream
from aurora.kernel.ports.broker import BrokerHealth
from aurora.kernel.untrusted import clean

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def look(client: Redis) -> BrokerHealth:
    """Return what the server says of itself and of our streams.

    Raises:
        Exception: whatever redis-py raises where it cannot be asked.
    """
    async with client.pipeline(transaction=False) as pipeline:
        ask: Callable[..., Any] = pipeline.execute_command  # queues: the answers come with `execute`
        ask("INFO", "server")
        for stream in Stream:
            ask("XLEN", stream.value)
            ask("XINFO GROUPS", stream.value)
        server, *answers = await pipeline.execute(raise_on_error=False)
    if failed := next((each for each in (server, *answers[::2]) if isinstance(each, Exception)), None):
        raise failed
    pending = {
        f"{stream.value}/{readable(group['name'])}": group["pending"] + (group.get("lag") or 0)
        for stream, groups in zip(Stream, answers[1::2], strict=True)
        if isinstance(groups, list)  # else there is no such stream
        for group in groups
    }
    name = server.get("server_name", "redis")
    version = server.get(f"{name}_version", server.get("redis_version", "?"))
    return BrokerHealth(
        server=clean(f"{name} {version}")[:80],
        entries=dict(zip((stream.value for stream in Stream), answers[::2], strict=True)),
        pending=pending,
    )


def readable(name: bytes) -> str:
    """Return the name of a group, which anybody may have chosen, as text that can be shown."""
    return clean(name.decode(errors="replace"))[:200]
