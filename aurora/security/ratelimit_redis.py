"""The rate limit that all processes share, counted in Redis or Valkey."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from redis.exceptions import (
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from aurora.kernel.clock import Clock
from aurora.security.errors import LimiterAway
from aurora.security.ratelimit import MICROSECOND, Allowance, Limit, LocalRateLimiter, allowance

SCRIPT = """\
-- One sliding window: a sorted set with the moments, in microseconds, of the calls that were let through.
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local now
if ARGV[3] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[3])
end
-- A clock that was set back a little must not make two members of one name: time stands still until it
-- has caught up. One that was set back by more than the window would stand still too long: start anew.
local latest = tonumber(redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or '0')
if latest > now + window then redis.call('DEL', KEYS[1]) else now = math.max(now, latest) end

-- '%.0f': Lua's own conversion keeps 14 digits, and a moment has 16.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local used = redis.call('ZCARD', KEYS[1])
local allowed = 0
if used < limit then
  local moment = string.format('%.0f', now)
  redis.call('ZADD', KEYS[1], moment, moment .. ':' .. used)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
  used = used + 1
  allowed = 1
end
-- When `limit` was lowered there are more calls than it allows: a place is free when enough have left.
local freeing = redis.call('ZRANGE', KEYS[1], math.max(0, used - limit), math.max(0, used - limit), 'WITHSCORES')
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {allowed, used, tonumber(freeing[2]) + window - now, tonumber(newest[2]) + window - now}
"""

_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    TryAgainError,
    OSError,  # TimeoutError included
)


class WhenAway(StrEnum):
    """What becomes of a call while Redis cannot count it."""

    REFUSE = "refuse"
    """It is refused: for sign-in, where uncounted calls are guesses at a password."""
    COUNT_LOCALLY = "count_locally"
    """This process counts on its own until Redis is back: for reads."""


class ScriptClient(Protocol):
    """What is used of `redis.asyncio.Redis`."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Awaitable[Any] | Any:
        """Run a script that the server knows by its SHA-1."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Awaitable[Any] | Any:
        """Run a script, and let the server remember it."""


class RedisRateLimiter:
    """Counts across processes: one script on the server checks and counts in one step.

    Moments are the server's, the one clock that all processes share: with their own, a machine five
    seconds ahead would throw away calls that the others still count. At most `limit.calls` members
    are kept per key, and an idle key expires with its window.

    Args:
        client: A `redis.asyncio.Redis`; the caller opens and closes it.
        limit: What is enforced.
        when_away: What becomes of calls while Redis cannot be reached.
        clock: Where time comes from while this process counts on its own.
        timeout: How long the server may take before it counts as away.
        counts_by_clock: Take moments from `clock` instead of the server. For tests with virtual time.
    """

    def __init__(
        self,
        client: ScriptClient,
        limit: Limit,
        *,
        when_away: WhenAway,
        clock: Clock,
        timeout: timedelta = timedelta(milliseconds=250),
        counts_by_clock: bool = False,
    ) -> None:
        self._client = client
        self._limit = limit
        self._when_away = when_away
        self._clock = clock
        self._timeout = timeout
        self._counts_by_clock = counts_by_clock
        self._local = LocalRateLimiter(limit, clock=clock)

    @property
    def limit(self) -> Limit:
        return self._limit

    async def hit(self, key: str) -> Allowance:
        now = str(round(self._clock.now().timestamp() * 1_000_000)) if self._counts_by_clock else ""
        arguments = (self._key(key), self._limit.calls, self._limit.window // MICROSECOND, now)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                allowed, used, frees_at, empty_at = await self._run(arguments)
        except _AWAY as error:
            if self._when_away is WhenAway.COUNT_LOCALLY:
                return await self._local.hit(key)
            raise LimiterAway(
                f"limit {self._limit.name} cannot be counted, so nobody is let through: Redis is away "
                f"({type(error).__name__})",
                limit=self._limit.name,
            ) from error
        return allowance(
            self._limit, allowed=bool(allowed), used=int(used), frees_at=int(frees_at), empty_at=int(empty_at)
        )

    async def _run(self, arguments: tuple[str | int, ...]) -> Any:
        """Return the four integers that the script returns."""
        try:
            return await self._client.evalsha(_SHA, 1, *arguments)
        except NoScriptError:  # a restarted server knows no scripts; `eval` runs this one and keeps it
            return await self._client.eval(SCRIPT, 1, *arguments)

    def _key(self, key: str) -> str:
        """Return the key on the server: as long for every subject, and telling nothing about him."""
        return f"aurora:limit:{self._limit.name}:{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:32]}"


_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
