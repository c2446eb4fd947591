"""What a memory hands to whoever writes the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from aurora.kernel.evidence import Finding
from memory.messages import Message


class Tier(StrEnum):
    """The tiers that a memory may do without."""

    EPISODIC = "episodic"
    THREAT_INTEL = "threat_intel"


class Gap(StrEnum):
    """Why a tier that was wanted said nothing."""

    ABSENT = "absent"
    """It is not set up."""
    FAILED = "failed"
    """It could not answer."""
    TIMEOUT = "timeout"
    """It took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of a prompt, not the prompt: what was recalled is outside text, and is framed as data first."""

    system: tuple[Message, ...] = ()
    """Instructions, in the order in which they were given."""

    recalled: tuple[Finding, ...] = ()
    """Past cases, the best first."""

    intelligence: tuple[Finding, ...] = ()
    """What is known about the observables that were asked about."""

    turns: tuple[Message, ...] = ()
    """The rest of the window, oldest first. Calls and results of tools are whole."""

    gaps: Mapping[Tier, Gap] = field(default_factory=lambda: MappingProxyType({}))
    """Tiers that should have been asked and said nothing: an answer built on this must not claim otherwise."""

    dropped: int = 0
    """Messages that this thread once had and the window no longer holds."""

    @property
    def messages(self) -> list[Message]:
        """The window with its instructions first, where every provider wants them."""
        return [*self.system, *self.turns]
