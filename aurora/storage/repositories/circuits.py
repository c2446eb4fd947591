"""What people decided about breakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select

from aurora.storage.models import CircuitModel
from aurora.storage.repositories.base import Repository, table_of

_CIRCUITS = table_of(CircuitModel)


class Decided(StrEnum):
    """What a person can want of a breaker."""

    FORCED_OPEN = "forced_open"
    """Nothing goes through."""
    DISABLED = "disabled"
    """Everything goes through and nothing is counted."""
    RESET = "reset"
    """Closed, everything forgotten; from then on it decides by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitDecision:
    """The last word on a breaker. It stands until the next one."""

    key: str
    state: Decided
    serial: int
    """Later decisions have larger ones, whatever breaker they are about."""
    reason: str
    decided_by: str
    decided_at: datetime


class CircuitDecisions(Repository):
    """Decisions about the breakers of all processes. Breakers serve all tenants, so these rows belong to none."""

    async def decide(self, key: str, state: Decided, *, reason: str, by: str, now: datetime) -> CircuitDecision:
        """Write a decision; it replaces the one that stood.

        Deciders take turns until their transaction ends: if a smaller serial were committed after a larger one,
        who had read up to the larger would never see it.
        """
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            turn = func.pg_advisory_xact_lock(func.hashtextextended("aurora.circuits", 0))
            await self._connection.execute(select(turn))
        last = await self._connection.scalar(select(func.max(_CIRCUITS.c.serial)))
        decision = CircuitDecision(
            key=key, state=state, serial=(last or 0) + 1, reason=reason, decided_by=by, decided_at=now
        )
        values = {
            "key": key,
            "state": state.value,
            "serial": decision.serial,
            "reason": reason,
            "decided_by": by,
            "decided_at": now,
        }
        statement = self._insert(_CIRCUITS).values(**values)
        changed = {name: statement.excluded[name] for name in values if name != "key"}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=changed))
        return decision

    async def decisions(self, after_serial: int = 0) -> Sequence[CircuitDecision]:
        """Return what was decided since that serial and still stands, in the order of deciding."""
        query = select(_CIRCUITS).where(_CIRCUITS.c.serial > after_serial).order_by(_CIRCUITS.c.serial)
        return [
            CircuitDecision(
                key=row.key,
                state=Decided(row.state),
                serial=row.serial,
                reason=row.reason,
                decided_by=row.decided_by,
                decided_at=row.decided_at,
            )
            for row in await self._connection.execute(query)
        ]
