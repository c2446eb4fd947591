"""The tiers that outlive a process, as far as an agent's memory asks them. It works without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aurora.kernel.evidence import Finding
from aurora.kernel.models import Observable


class EpisodicTier(Protocol):
    """Past cases of the tenant that it was opened for."""

    async def recall(self, query: str, *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` past cases that resemble `query`, the best first.

        Raises:
            AuroraError: the store cannot answer; the memory goes on without it.
        """


class ThreatIntelTier(Protocol):
    """What is known about indicators."""

    async def lookup(self, observables: Sequence[Observable], *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` findings about exactly these values.

        Raises:
            AuroraError: the store cannot answer; the memory goes on without it.
        """
