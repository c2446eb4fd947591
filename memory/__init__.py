"""What agents remember. The three tiers live here; imports only `aurora.kernel`."""

from memory.context import Context, Gap, Tier
from memory.ledger import Dropped, DropReason, Ledger
from memory.ports import EpisodicTier, ThreatIntelTier
from memory.presets import (
    ANALYST_MEMORY,
    DEFAULT_MEMORY,
    HUNTER_MEMORY,
    ORCHESTRATOR_MEMORY,
    PRESETS,
    RESPONDER_MEMORY,
    MemoryPreset,
)
from memory.tiered import TieredAgentMemory
from memory.tiers.working import SlidingWindow

AURORA_PACKAGE = "aurora-soc"

__all__ = [
    "ANALYST_MEMORY",
    "DEFAULT_MEMORY",
    "HUNTER_MEMORY",
    "ORCHESTRATOR_MEMORY",
    "PRESETS",
    "RESPONDER_MEMORY",
    "Context",
    "DropReason",
    "Dropped",
    "EpisodicTier",
    "Gap",
    "Ledger",
    "MemoryPreset",
    "SlidingWindow",
    "ThreatIntelTier",
    "Tier",
    "TieredAgentMemory",
]
