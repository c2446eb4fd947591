"""What a worker needs of the ledger and of the route."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from aurora.kernel.models.task import Lane
from aurora.kernel.models.work import Ending, Scope, Turn
from aurora.kernel.ports.broker import Delivery


class WorkLedger(Protocol):
    """What of the ledger a worker needs."""

    async def turn(self, endings: Sequence[Ending], *, limit: int, scope: Scope) -> Turn:
        """Settle what ended and claim up to `limit` tasks, in one transaction."""

    async def reap(self) -> int:
        """Queue again what nobody holds any more; return how many tasks that were."""


class WakeUps(Protocol):
    """What of the route a worker needs."""

    async def fetch(self, lanes: Sequence[Lane], *, limit: int, wait: timedelta) -> Sequence[Delivery]:
        """Return wake-ups, or nothing after `wait`."""

    async def confirm(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need not come again."""
