"""Redis as far as the rate limiter uses it: scripts by their hash, and one sorted set a key.

It does by hand what the script says; that the script says the same is seen on a real server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from typing import Any

from redis.exceptions import NoScriptError


class FakeRedis:
    """Other tasks run before and after a script, as on a network; never in its middle."""

    def __init__(self) -> None:
        self.windows: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.known: set[str] = set()
        self.evaluated = 0

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> list[int]:
        await asyncio.sleep(0)
        if sha not in self.known:
            raise NoScriptError("NOSCRIPT No matching script. Please use EVAL.")
        answer = self._run(*keys_and_args)
        await asyncio.sleep(0)
        return answer

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> list[int]:
        self.evaluated += 1
        self.known.add(hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest())
        return await self.evalsha(*self.known, numkeys, *keys_and_args)

    def restart(self) -> None:
        """Forget the scripts and keep the data."""
        self.known.clear()

    def _run(self, key: str, limit: int, window: int, now: str) -> list[int]:
        moment = int(now)
        hits = self.windows[key]
        moment = max([moment, *(each for each, _ in hits)])
        hits[:] = [hit for hit in hits if hit[0] > moment - window]
        allowed = len(hits) < limit
        if allowed:
            member = (moment, f"{moment}:{len(hits)}")
            assert member not in hits, "a member that is there already counts for nothing"
            hits.append(member)
        freeing = hits[max(0, len(hits) - limit)][0]
        return [int(allowed), len(hits), freeing + window - moment, hits[-1][0] + window - moment]
