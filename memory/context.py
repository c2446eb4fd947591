"""What a memory hands to whoever writes the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from aurora.kernel.evidence import Finding
from memory.items import Trust
from memory.ledger import Dropped, DropReason
from memory.messages import Message
from memory.summary import Summary


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

    summary: Summary | None = None
    """What stands for the messages that are not in `turns` any more. Outside text, as `recalled` is."""

    left_out: tuple[Dropped, ...] = ()
    """What of the window this context has no room for, and what is in it without its middle, oldest first."""

    counts: Mapping[DropReason, int] = field(default_factory=lambda: MappingProxyType({}))
    """All that the thread lost for good, by reason."""

    unrecalled: int = 0
    """Findings of the other tiers for which there was no room."""

    tokens: int = 0
    """Of all parts together."""

    max_tokens: int = 0
    """What `tokens` never exceeds; the room for the answer is not in it."""

    answer_tokens: int = 0
    """What was kept free for the answer."""

    trust: Trust = Trust.OPERATOR
    """The least of all messages that are here or in the summary."""

    @property
    def messages(self) -> list[Message]:
        """The window with its instructions first, where every provider wants them."""
        return [*self.system, *self.turns]

    @property
    def prompt(self) -> list[Message]:
        """The same with the summary between, framed as data; for models that are called without Aurora's framing."""
        return [*self.system, *([self.summary.message()] if self.summary is not None else []), *self.turns]
