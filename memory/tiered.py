"""An agent's memory: the window of its thread, and the tiers that outlive it where there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from aurora.kernel.errors import AuroraError
from aurora.kernel.evidence import Finding
from aurora.kernel.models import Observable
from memory.context import Context, Gap, Tier
from memory.ledger import Ledger
from memory.messages import Message
from memory.ports import EpisodicTier, ThreatIntelTier
from memory.presets import DEFAULT_MEMORY, MemoryPreset
from memory.tiers.working import SlidingWindow


class TieredAgentMemory:
    """What one agent remembers in one thread.

    The working tier is always there. The others are asked when a context is put together; one that is
    absent, fails or takes too long leaves a gap that the context names, and the agent goes on.

    Args:
        preset: How much the working tier holds.
        episodic: Past cases.
        threat_intel: What is known about indicators.
        patience: How long each tier may take to answer.
    """

    def __init__(
        self,
        preset: MemoryPreset = DEFAULT_MEMORY,
        *,
        episodic: EpisodicTier | None = None,
        threat_intel: ThreatIntelTier | None = None,
        patience: timedelta = timedelta(seconds=2),
    ) -> None:
        self._preset = preset
        self._working = SlidingWindow(max_messages=preset.max_messages)
        self._episodic = episodic
        self._threat_intel = threat_intel
        self._patience = patience

    @property
    def preset(self) -> MemoryPreset:
        """The preset it was made from."""
        return self._preset

    @property
    def max_messages(self) -> int:
        """Messages that the working tier holds."""
        return self._working.max_messages

    @property
    def working(self) -> SlidingWindow:
        """The working tier itself."""
        return self._working

    @property
    def ledger(self) -> Ledger:
        """What the working tier dropped."""
        return self._working.ledger

    def add(self, message: Message, *, pinned: bool = False) -> int:
        """Take in a message and return its position; see `SlidingWindow.add`."""
        return self._working.add(message, pinned=pinned)

    def get_all(self) -> list[Message]:
        """Return the messages of the working tier, oldest first, in a list of the caller's own."""
        return self._working.get_all()

    def clear(self) -> None:
        """Let go of the messages, except system messages and pins. The other tiers keep what they know."""
        self._working.clear()

    def reset(self) -> None:
        """Begin a new thread. The other tiers keep what they know."""
        self._working.reset()

    async def context(
        self, *, query: str | None = None, observables: Sequence[Observable] = (), limit: int = 5
    ) -> Context:
        """Return what a prompt is made of.

        Args:
            query: What past cases should resemble. `None`: they are not asked for.
            observables: Values that intelligence is wanted about. None: it is not asked for.
            limit: Findings wanted of each tier, at most; more are cut off.

        Raises:
            ValueError: `limit` is below 1.
        """
        if limit < 1:
            raise ValueError(f"limit={limit!r} must be >= 1")
        gaps: dict[Tier, Gap] = {}
        recalled: tuple[Finding, ...] = ()
        intelligence: tuple[Finding, ...] = ()
        if query is not None:
            answer = self._episodic.recall(query, limit=limit) if self._episodic is not None else None
            recalled = await self._asked(Tier.EPISODIC, answer, gaps)
        if observables:
            answer = self._threat_intel.lookup(observables, limit=limit) if self._threat_intel is not None else None
            intelligence = await self._asked(Tier.THREAT_INTEL, answer, gaps)
        return Context(
            system=tuple(self._working.system()),
            recalled=recalled[:limit],
            intelligence=intelligence[:limit],
            turns=tuple(self._working.turns()),
            gaps=MappingProxyType(gaps),
            dropped=self._working.ledger.total,
        )

    async def _asked(
        self, tier: Tier, answer: Coroutine[Any, Any, Sequence[Finding]] | None, gaps: dict[Tier, Gap]
    ) -> tuple[Finding, ...]:
        """Return what the tier says; if it says nothing, note why."""
        if answer is None:
            gaps[tier] = Gap.ABSENT
            return ()
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return tuple(await answer)
        except TimeoutError:
            gaps[tier] = Gap.TIMEOUT
        except AuroraError:
            gaps[tier] = Gap.FAILED
        return ()
