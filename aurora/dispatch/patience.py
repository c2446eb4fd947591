"""Patience with a database that is away."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from aurora.kernel.clock import Clock
from aurora.kernel.errors import StorageUnavailable

PAUSES = tuple(timedelta(milliseconds=250 * 2**n) for n in range(5))
"""Waits of 8 s in all while the database is away: a restart of PostgreSQL takes 1 to 5 s."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Patience:
    """Tries again what is safe to repeat while the database is away.

    Args:
        clock: Paces the tries.
        is_endless: Never give up: for a service, which has nothing better to do than to wait.
    """

    def __init__(self, *, clock: Clock, is_endless: bool = False) -> None:
        self._clock = clock
        self._is_endless = is_endless

    def end(self) -> None:
        """Wait no longer than others do from now on: somebody wants to stop."""
        self._is_endless = False

    async def with_(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns, once the database is there.

        Raises:
            StorageUnavailable: it did not come back.
        """
        tries = 0
        while True:
            try:
                return await work()
            except StorageUnavailable as error:
                if tries >= len(PAUSES) and not self._is_endless:
                    raise
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                log.warning("storage.away", extra={"error": error.code, "pause_s": pause.total_seconds()})
            tries += 1
            await self._clock.sleep(pause)
