"""Consumer groups on Redis or Valkey: what nobody has read yet, and what somebody read and did not confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.brokers.redis_errors import is_lost, told
from aurora.dispatch.brokers.redis_scripts import CLAIM
from aurora.dispatch.messages import Stream
from aurora.kernel.clock import Clock

if TYPE_CHECKING:
    from redis.asyncio import Redis

Entry = tuple[bytes, dict[bytes, bytes]]
"""Id and fields."""

_TRIES = 3
"""A server may be wiped between making a group and reading from it, but hardly again and again."""


class RedisGroups:
    """Reads as a consumer of a group, and makes the group where it is missing.

    A group that was there before and is not any more was lost by the server, or given up by `trim`. It is made
    again from the stream's beginning: what was published meanwhile must not be missed, and twice does no harm.

    Args:
        client: Has connections that wait.
        clock: Says when to look again for what was not confirmed.
        limits: What is repeated when.
        within: Time for a call, beside what the server is asked to wait.
    """

    def __init__(self, client: Redis, *, clock: Clock, limits: Limits, within: timedelta) -> None:
        self._client = client
        self._claim = client.register_script(CLAIM)
        self._clock = clock
        self._limits = limits
        self._within = within
        self._known: set[tuple[Stream, str]] = set()
        self._claim_at: dict[tuple[Stream, str], float] = {}

    async def read(
        self, stream: Stream, group: str, consumer: str, *, limit: int, block: timedelta, begins_at: str
    ) -> tuple[Sequence[Entry], bool]:
        """Return entries, and whether they were delivered before; nothing if none came in `block`.

        Args:
            stream: Where to read.
            group: Of whom.
            consumer: Who reads.
            limit: Entries at most.
            block: Time that the server may wait; less than a millisecond: none.
            begins_at: Where a group begins that was never there: `0` or `$`.

        Raises:
            BrokerError: as ever.
        """
        for _ in range(_TRIES):
            try:
                async with asyncio.timeout((block + self._within).total_seconds()):
                    if (stream, group) not in self._known:
                        await self._make(stream, group, begins_at)
                    if repeated := await self._unconfirmed(stream, group, consumer, limit):
                        return repeated, True
                    return await self._new(stream, group, consumer, limit, block), False
            except Exception as error:
                if not is_lost(error):
                    raise told(error, stream) from error
                begins_at = "0"
                self._known.discard((stream, group))
        return (), False

    async def _make(self, stream: Stream, group: str, begins_at: str) -> None:
        from redis.exceptions import ResponseError  # noqa: PLC0415 - whoever made the client has imported it

        try:
            await self._client.xgroup_create(stream.value, group, id=begins_at, mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._known.add((stream, group))

    async def _unconfirmed(self, stream: Stream, group: str, consumer: str, limit: int) -> Sequence[Entry]:
        """Take over what was not confirmed for too long; looks twice as often as something can become due."""
        now = self._clock.monotonic()
        if now < self._claim_at.get((stream, group), float("-inf")):
            return ()
        idle_ms = max(1, round(self._limits.redeliver_after.total_seconds() * 1000))
        found = await self._claim(keys=[stream.value], args=[group, consumer, idle_ms, limit])
        if len(found) < limit:
            self._claim_at[stream, group] = now + self._limits.redeliver_after.total_seconds() / 2
        return [(entry, dict(zip(flat[::2], flat[1::2], strict=True))) for entry, flat in found]

    async def _new(self, stream: Stream, group: str, consumer: str, limit: int, block: timedelta) -> Sequence[Entry]:
        block_ms = int(block.total_seconds() * 1000) or None  # 0 would mean: for ever
        answer: Any = await self._client.xreadgroup(group, consumer, {stream.value: ">"}, count=limit, block=block_ms)
        return answer[0][1] if answer else ()
