"""Which items a search in vectors may return, told by one byte beside each vector."""

from __future__ import annotations

from dataclasses import dataclass

from memory.items import Tier, Trust

GONE = 0xFF
"""Mark of a row that was removed."""
ASIDE = 1 << 4
"""Marks below it are those of items that stand."""

_TIERS = tuple(Tier)
_ARCHIVED, _RETIRED = ASIDE, 1 << 5


@dataclass(frozen=True, slots=True)
class Only:
    """Which items a search may return. What is in quarantine, rolled back or erased is in no index."""

    tiers: frozenset[Tier] | None = None
    """`None`: all."""
    floor: Trust = Trust.EXTERNAL_CONTENT
    """Trusted at least so far."""
    archived: bool = False
    """Those too that have decayed."""
    retired: bool = False
    """Those too that something else stands for now: for questions about the past."""

    def admits(self, mark: int) -> bool:
        """Tell whether it lets items with that mark pass; see `mark_of`."""
        if mark == GONE:
            return False
        tier, trust = mark & 3, mark >> 2 & 3
        return (
            (self.tiers is None or _TIERS[tier] in self.tiers)
            and trust >= self.floor
            and (self.archived or not mark & _ARCHIVED)
            and (self.retired or not mark & _RETIRED)
        )


EVERY_STANDING = Only()


def mark_of(*, tier: str, trust: int, archived: bool, retired: bool) -> int:
    """Return what a search is filtered by, in one byte."""
    return _TIERS.index(Tier(tier)) | trust << 2 | archived * _ARCHIVED | retired * _RETIRED


MARK = (
    "(CASE i.tier"
    + "".join(f" WHEN '{tier}' THEN {place}" for place, tier in enumerate(_TIERS))
    + f" END + 4 * i.trust + CASE i.state WHEN 'archived' THEN {_ARCHIVED} ELSE 0 END"
    + f" + CASE WHEN i.retired_at IS NULL THEN 0 ELSE {_RETIRED} END)"
)
"""`mark_of` in SQL, of the row `i` of `memory_items`."""
