"""What a memory lets go of: by decay, by expiry, by retention.

Decay and expiry archive: what was known stays as evidence and is only no longer recalled. Retention erases.
Both go through `Memory`, so that its chain of events tells.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from aurora.kernel.errors import ConfigError
from memory.items import State, Tier
from memory.lineage import ERASED
from memory.models import ItemModel, SourceModel

if TYPE_CHECKING:
    from memory.jobs import Job, Jobs
    from memory.memory import Memory
    from memory.ports import Fence
    from memory.worker import Handler

ACTOR = "aurora/forgetting"

KIND = "forget"
"""Of the job in the queue."""

PAGE = 500
"""Items that are let go of in one transaction: it holds the tenant's other writers up for some 50 ms."""

_DAY = timedelta(days=1)

_HALF_LIVES: Mapping[tuple[Tier, str | None], timedelta | None] = MappingProxyType(
    {
        (Tier.EPISODIC, None): 90 * _DAY,
        (Tier.EPISODIC, "run"): 30 * _DAY,
        (Tier.EPISODIC, "thread"): 30 * _DAY,
        (Tier.EPISODIC, "outcome"): None,
        (Tier.SEMANTIC, None): 365 * _DAY,
        (Tier.SEMANTIC, "indicator"): 60 * _DAY,
        (Tier.PROCEDURAL, None): None,
        (Tier.STORE, None): None,
    }
)


class PolicyInvalid(ConfigError):
    """A retention policy cannot be used; the message names the field."""

    code = "aurora.memory.policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What is let go of, and when. Pure: no clock, no I/O."""

    half_lives: Mapping[tuple[Tier, str | None], timedelta | None] = field(default_factory=lambda: _HALF_LIVES)
    """By tier and kind, then by tier and `None`: when an item counts half. `None`, or not named: never less."""

    floor: float = 0.02
    """What counts less is archived: a case of importance 0.4 after thirteen months."""

    keep: Mapping[tuple[Tier, str | None], timedelta] = field(default_factory=lambda: MappingProxyType({}))
    """By tier and kind, then by tier and `None`: how long an item may be kept at all; then it is erased, archived or
    not. Not named: for ever."""

    erase_expired: frozenset[Tier] = frozenset({Tier.STORE})
    """Tiers where what has expired is erased. Elsewhere it is archived."""

    holds: frozenset[str] = frozenset()
    """Sources on legal hold: nothing that came from one of them is erased by this policy, nor archived."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.floor < 1.0:
            raise PolicyInvalid(f"floor={self.floor!r} must be in [0, 1)", field="floor")
        for name, spans in (("half_lives", self.half_lives), ("keep", self.keep)):
            for (tier, kind), span in spans.items():
                if span is not None and span <= timedelta():
                    raise PolicyInvalid(f"{name}[{tier}, {kind}] must be longer than nothing", field=name)

    def weight(self, tier: Tier, kind: str, *, importance: float, age: timedelta) -> float:
        """Return what an item counts: its importance, halved with each half-life of its kind."""
        half_life = self._of(self.half_lives, tier, kind)
        return importance if half_life is None else importance * math.pow(2, -max(age, timedelta()) / half_life)

    def has_decayed(self, tier: Tier, kind: str, *, importance: float, age: timedelta) -> bool:
        """Whether an item counts less than the floor. However unimportant, it lives for one half-life."""
        half_life = self._of(self.half_lives, tier, kind)
        if half_life is None or age <= half_life:
            return False
        return self.weight(tier, kind, importance=importance, age=age) < self.floor

    def is_overdue(self, tier: Tier, kind: str, *, age: timedelta) -> bool:
        """Whether an item may be kept no longer."""
        limit = self._of(self.keep, tier, kind)
        return limit is not None and age > limit

    @staticmethod
    def _of(
        spans: Mapping[tuple[Tier, str | None], timedelta | None] | Mapping[tuple[Tier, str | None], timedelta],
        tier: Tier,
        kind: str,
    ) -> timedelta | None:
        named = (tier, kind)
        return spans[named] if named in spans else spans.get((tier, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was let go of."""

    archived: int = 0
    erased: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: UUID
    tier: Tier
    kind: str
    state: State
    importance: float
    recorded_at: datetime
    expires_at: datetime | None
    is_retired: bool
    last_seen: datetime | None


@dataclass(frozen=True)
class Forgetting:
    """Lets a tenant's memory go of what its policy says.

    Args:
        memory: The tenant's.
        policy: What is let go of, and when.
    """

    memory: Memory
    policy: RetentionPolicy = field(default_factory=RetentionPolicy)

    async def run(self, *, fence: Fence | None = None) -> Forgotten:
        """Let go of all that is due. Run twice, or killed and run again, it lets go of the same.

        Args:
            fence: Called first in each of its transactions; a worker that lost its job stops there.
        """
        archived = erased = 0
        now = self.memory.clock.now()
        async for page in self._pages():
            overdue = [each.id for each in page if self._is_to_erase(each, now)]
            gone = set(overdue)
            decayed = [each.id for each in page if each.id not in gone and self._is_to_archive(each, now)]
            if overdue:
                erased += await self.memory.forget(
                    overdue, actor=ACTOR, reason="kept as long as the policy says", fence=fence
                )
            if decayed:
                archived += await self.memory.archive(decayed, actor=ACTOR, fence=fence)
        return Forgotten(archived=archived, erased=erased)

    async def enqueue(self, jobs: Jobs) -> bool:
        """Ask for today's run; whoever asks again today asks for nothing."""
        async with jobs.transactions.writing() as connection:
            return await jobs.enqueue(connection, KIND, jobs.clock.now().date().isoformat())

    def handler(self, jobs: Jobs) -> Handler:
        """Return what does a job of kind `KIND`."""

        async def handle(job: Job) -> None:
            await self.run(fence=jobs.fence(job))

        return handle

    def _is_to_erase(self, each: _Candidate, now: datetime) -> bool:
        has_expired = each.expires_at is not None and each.expires_at <= now and each.tier in self.policy.erase_expired
        return has_expired or self.policy.is_overdue(each.tier, each.kind, age=now - each.recorded_at)

    def _is_to_archive(self, each: _Candidate, now: datetime) -> bool:
        if each.state is not State.ACTIVE or each.is_retired:
            return False
        if each.expires_at is not None and each.expires_at <= now:
            return True
        age = now - max(each.recorded_at, each.last_seen or each.recorded_at)
        return self.policy.has_decayed(each.tier, each.kind, importance=each.importance, age=age)

    async def _pages(self) -> AsyncIterator[list[_Candidate]]:
        after = 0
        while True:
            async with self.memory.transactions.reading() as connection:
                rows = (await connection.execute(self._page(after))).all()
            if not rows:
                return
            after = rows[-1].seq
            yield [
                _Candidate(
                    id=row.id,
                    tier=Tier(row.tier),
                    kind=row.kind,
                    state=State(row.state),
                    importance=row.importance,
                    recorded_at=row.recorded_at,
                    expires_at=row.expires_at,
                    is_retired=row.retired_at is not None,
                    last_seen=_moment(row.last_seen),
                )
                for row in rows
            ]

    def _page(self, after: int) -> Select[Any]:
        item = ItemModel
        of_item = (SourceModel.tenant == self.memory.tenant, SourceModel.seq == item.seq)
        # Spans of sightings are moments of one width in one zone: the greatest as text is the latest.
        last_seen = (
            select(func.max(SourceModel.span))
            .where(*of_item, item.kind.in_(("indicator", "asset")), SourceModel.span != ERASED)
            .correlate(item)
            .scalar_subquery()
        )
        kept: list[ColumnElement[bool]] = [item.tenant == self.memory.tenant, item.state != State.ERASED.value]
        if self.policy.holds:
            held = select(SourceModel.uri).where(*of_item, SourceModel.uri.in_(sorted(self.policy.holds)))
            kept.append(~held.correlate(item).exists())
        return (
            select(
                item.seq,
                item.id,
                item.tier,
                item.kind,
                item.state,
                item.importance,
                item.recorded_at,
                item.expires_at,
                item.retired_at,
                last_seen.label("last_seen"),
            )
            .where(*kept, item.seq > after)
            .order_by(item.seq)
            .limit(PAGE)
        )


def _moment(span: str | None) -> datetime | None:
    try:
        seen = datetime.fromisoformat(span or "")
    except ValueError:
        return None
    return None if seen.tzinfo is None else seen
