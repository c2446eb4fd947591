"""How much each kind of agent keeps in mind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPreset:
    """The size of a memory.

    Raises:
        ValueError: there is no room for a single message.
    """

    name: str
    """The word by which content asks for it."""

    max_messages: int
    """Messages that the working tier holds; see `memory.tiers.working.SlidingWindow` for what may exceed it."""

    def __post_init__(self) -> None:
        if self.max_messages < 1:
            raise ValueError(f"max_messages={self.max_messages!r} must be >= 1")


DEFAULT_MEMORY = MemoryPreset(name="default", max_messages=20)
"""For an agent with one short question."""
HUNTER_MEMORY = MemoryPreset(name="hunter", max_messages=30)
"""For pivots along one hypothesis."""
RESPONDER_MEMORY = MemoryPreset(name="responder", max_messages=40)
"""For a plan and the outcomes of its steps."""
ANALYST_MEMORY = MemoryPreset(name="analyst", max_messages=50)
"""For an alert, its look-ups and the thinking about them."""
ORCHESTRATOR_MEMORY = MemoryPreset(name="orchestrator", max_messages=100)
"""For the reports of all the others."""

PRESETS: Mapping[str, MemoryPreset] = MappingProxyType(
    {each.name: each for each in (DEFAULT_MEMORY, HUNTER_MEMORY, RESPONDER_MEMORY, ANALYST_MEMORY, ORCHESTRATOR_MEMORY)}
)
"""All presets by name."""
