"""Whose turn it is: deficit round robin over tenants, lane by lane. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aurora.kernel.models.task import Lane

UPSIDE_DOWN = 16
"""Every so many claims begin with the lowest lane: a stream of urgent work slows bulk down and never stops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What each tenant may have of the workers."""

    weights: Mapping[str, int] = field(default_factory=dict)
    """Tasks that a tenant gets in one round; 1 for those not named."""
    running: Mapping[str, int] = field(default_factory=dict)
    """Most tasks of a tenant that run at the same time, on all workers; not named: no limit."""


class Rounds:
    """Deals places to tenants (Shreedhar and Varghese, 1995; every task costs 1, a weight is a quantum).

    A tenant that is cut short because the places ran out goes on with what it is still owed. One that has no work
    is owed nothing. Remembers the tenants of the last deal only.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._owed: dict[Lane, dict[str, int]] = {}
        """By lane: the tenants in the order of their turns, and what the first is still owed of its own."""
        self._claims = 0

    def order(self, lanes: Sequence[Lane]) -> Sequence[Lane]:
        """Return the lanes in the order in which the next claim looks through them."""
        self._claims += 1
        best_first = sorted(lanes, key=lambda lane: lane.lowest, reverse=True)
        return best_first[::-1] if self._claims % UPSIDE_DOWN == 0 else best_first

    def deal(
        self, lane: Lane, tenants: Collection[str], *, limit: int, room: Mapping[str, int] | None = None
    ) -> dict[str, int]:
        """Return how many tasks of each tenant come next.

        Args:
            lane: Each has its own round.
            tenants: Those that have work there, as much as one likes; say `emptied` where that was wrong.
            limit: Places.
            room: For tenants with a cap, how many may still begin.
        """
        room = dict(room or {})
        ring = self._ring(lane, tenants)
        dealt: dict[str, int] = {}
        blocked = 0
        while limit and ring and blocked < len(ring):
            tenant = next(iter(ring))
            owed = ring[tenant] or self._shares.weights.get(tenant, 1)
            given = min(owed, limit, room.get(tenant, owed))
            if given:
                dealt[tenant] = dealt.get(tenant, 0) + given
                limit -= given
            if tenant in room:
                room[tenant] -= given
            blocked = 0 if given else blocked + 1
            ring[tenant] = owed - given
            if owed == given or room.get(tenant, 1) == 0:
                del ring[tenant]
                ring[tenant] = 0
        return dealt

    def emptied(self, lane: Lane, tenant: str) -> None:
        """Note that a tenant had less work than it was dealt: it is owed nothing."""
        self._owed.get(lane, {}).pop(tenant, None)

    def _ring(self, lane: Lane, tenants: Collection[str]) -> dict[str, int]:
        before = self._owed.get(lane, {})
        ring = {tenant: owed for tenant, owed in before.items() if tenant in tenants}
        for tenant in sorted(tenants):  # in a fixed order, so that a run can be repeated
            ring.setdefault(tenant, 0)
        self._owed[lane] = ring
        return ring
