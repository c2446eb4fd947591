"""An agent's memory: the window of its thread, and the tiers that outlive it where there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from aurora.kernel.errors import AuroraError
from aurora.kernel.evidence import Finding
from aurora.kernel.models import Observable
from memory.composing import Carried, carried_on, compose, worth
from memory.context import Context, Gap, Tier
from memory.items import Trust
from memory.ledger import FELL, DropReason, Ledger
from memory.messages import Message
from memory.packing import Entry, pack
from memory.ports import EpisodicTier, ThreatIntelTier
from memory.presets import DEFAULT_MEMORY, MemoryPreset
from memory.tiers.working import SlidingWindow
from memory.tokens import TokenCounter

_FOLDED_AT = 200
"""Messages that fell out and wait for their extract, at most."""


class TieredAgentMemory:
    """What one agent remembers in one thread.

    The working tier is always there. The others are asked when a context is put together; one that is
    absent, fails or takes too long leaves a gap that the context names, and the agent goes on.

    A context is packed under a hard ceiling, with room kept free for the answer: instructions and pins, then the
    current turn, then what was recalled by what it says for its tokens, then a summary of what fell out, then the
    other turns, the oldest of which go first. It says what it has no room for.

    Args:
        preset: How much the working tier holds, and how much a context.
        episodic: Past cases.
        threat_intel: What is known about indicators.
        patience: How long each tier may take to answer.
        count: Counts tokens; left out, a counter with the default encoding does.
    """

    def __init__(
        self,
        preset: MemoryPreset = DEFAULT_MEMORY,
        *,
        episodic: EpisodicTier | None = None,
        threat_intel: ThreatIntelTier | None = None,
        patience: timedelta = timedelta(seconds=2),
        count: TokenCounter | None = None,
    ) -> None:
        self._preset = preset
        self._count = count if count is not None else TokenCounter()
        self._working = SlidingWindow(
            max_messages=preset.max_messages,
            max_tokens=preset.prompt_tokens - preset.summary_tokens,
            count=self._count,
            on_drop=self._fell,
        )
        self._carried = Carried()
        self._fallen: list[Entry] = []
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

    def add(self, message: Message, *, pinned: bool = False, trust: Trust | None = None) -> int:
        """Take in a message and return its position; see `SlidingWindow.add`."""
        return self._working.add(message, pinned=pinned, trust=trust)

    def get_all(self) -> list[Message]:
        """Return the messages of the working tier, oldest first, in a list of the caller's own."""
        return self._working.get_all()

    def clear(self) -> None:
        """Let go of the messages and their summary, except system messages and pins. The other tiers stay."""
        self._working.clear()
        self._forget()

    def reset(self) -> None:
        """Begin a new thread. The other tiers keep what they know."""
        self._working.reset()
        self._forget()

    async def context(
        self,
        *,
        query: str | None = None,
        observables: Sequence[Observable] = (),
        limit: int = 5,
        max_tokens: int | None = None,
    ) -> Context:
        """Return what a prompt is made of.

        Args:
            query: What past cases should resemble. `None`: they are not asked for.
            observables: Values that intelligence is wanted about. None: it is not asked for.
            limit: Findings wanted of each tier, at most; more are cut off.
            max_tokens: Of prompt and answer together, where it is less than the preset's.

        Raises:
            NoRoom: system messages and pins alone are too much for `max_tokens`.
            ValueError: `limit` or `max_tokens` is below 1.
        """
        if limit < 1 or (max_tokens is not None and max_tokens < 1):
            raise ValueError(f"limit={limit!r} and max_tokens={max_tokens!r} must be >= 1")
        gaps: dict[Tier, Gap] = {}
        recalled: tuple[Finding, ...] = ()
        intelligence: tuple[Finding, ...] = ()
        if query is not None:
            answer = self._episodic.recall(query, limit=limit) if self._episodic is not None else None
            recalled = await self._asked(Tier.EPISODIC, answer, gaps)
        if observables:
            answer = self._threat_intel.lookup(observables, limit=limit) if self._threat_intel is not None else None
            intelligence = await self._asked(Tier.THREAT_INTEL, answer, gaps)
        size = self._preset
        if max_tokens is not None and max_tokens < size.max_tokens:
            size = replace(size, max_tokens=max_tokens)
        return self._packed(size, recalled[:limit], intelligence[:limit], gaps)

    def _packed(
        self,
        size: MemoryPreset,
        recalled: tuple[Finding, ...],
        intelligence: tuple[Finding, ...],
        gaps: dict[Tier, Gap],
    ) -> Context:
        units, latest = self._working.units, self._working.latest
        first = pack(
            [unit for unit in units if unit.is_protected or unit is latest],
            latest=latest,
            room=size.prompt_tokens,
            count=self._count,
        )
        room = min(size.recalled_tokens, size.prompt_tokens - first.tokens)
        # The tiers take turns in the order of their findings: neither takes all the room from the other.
        pairs = zip_longest(recalled, intelligence)
        wanted = [finding for pair in pairs for finding in pair if finding is not None]
        chosen, spent = worth(wanted, room=room, count=self._count)
        kept = {id(finding) for finding in chosen}
        thread = compose(
            units,
            latest=latest,
            room=size.prompt_tokens - spent,
            summary_tokens=size.summary_tokens,
            carried=self._carry(),
            count=self._count,
        )
        return Context(
            system=thread.messages(is_system=True),
            recalled=tuple(each for each in recalled if id(each) in kept),
            intelligence=tuple(each for each in intelligence if id(each) in kept),
            turns=thread.messages(is_system=False),
            gaps=MappingProxyType(gaps),
            dropped=self._working.ledger.total,
            summary=thread.summary,
            left_out=thread.left_out,
            counts=self._working.ledger.counts,
            unrecalled=len(wanted) - len(chosen),
            tokens=thread.tokens + spent,
            max_tokens=size.prompt_tokens,
            answer_tokens=size.answer_tokens,
            trust=thread.trust,
        )

    def _fell(self, entry: Entry, reason: DropReason) -> None:
        if reason not in FELL:
            return
        # The extract is made when somebody looks: most messages fall between two contexts, one at a time.
        self._fallen.append(entry)
        if len(self._fallen) >= _FOLDED_AT:
            self._carry()

    def _carry(self) -> Carried:
        if self._fallen:
            fallen, self._fallen = self._fallen, []
            self._carried = carried_on(
                self._carried, fallen, summary_tokens=self._preset.summary_tokens, count=self._count
            )
        return self._carried

    def _forget(self) -> None:
        self._carried = Carried()
        self._fallen = []

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
