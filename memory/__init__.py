"""What agents remember. The three tiers live here; imports only `aurora.kernel`.

Names that need a database, numpy or LangGraph are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memory.context import Context, Gap, Tier
from memory.items import Item, NewItem, Remembered, Source, State, Trust
from memory.items import Tier as ItemTier
from memory.ledger import Dropped, DropReason, Ledger
from memory.packing import NoRoom
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
from memory.tokens import TokenCounter

if TYPE_CHECKING:
    from memory.cases import ClosedCase
    from memory.memory import Memory
    from memory.opening import open_memory
    from memory.recall import Recalled, Request
    from memory.store import AuroraStore
    from memory.tiers.episodic import EpisodicMemoryStore
    from memory.tiers.semantic import SemanticMemory
    from memory.tiers.thread import ThreadMemory

AURORA_PACKAGE = "aurora-soc"

_LATER = {
    "AuroraStore": "memory.store",
    "ClosedCase": "memory.cases",
    "EpisodicMemoryStore": "memory.tiers.episodic",
    "Memory": "memory.memory",
    "Recalled": "memory.recall",
    "Request": "memory.recall",
    "SemanticMemory": "memory.tiers.semantic",
    "ThreadMemory": "memory.tiers.thread",
    "open_memory": "memory.opening",
}

__all__ = [
    "ANALYST_MEMORY",
    "DEFAULT_MEMORY",
    "HUNTER_MEMORY",
    "ORCHESTRATOR_MEMORY",
    "PRESETS",
    "RESPONDER_MEMORY",
    "AuroraStore",
    "ClosedCase",
    "Context",
    "DropReason",
    "Dropped",
    "EpisodicMemoryStore",
    "EpisodicTier",
    "Gap",
    "Item",
    "ItemTier",
    "Ledger",
    "Memory",
    "MemoryPreset",
    "NewItem",
    "NoRoom",
    "Recalled",
    "Remembered",
    "Request",
    "SemanticMemory",
    "SlidingWindow",
    "Source",
    "State",
    "ThreadMemory",
    "ThreatIntelTier",
    "Tier",
    "TieredAgentMemory",
    "TokenCounter",
    "Trust",
    "open_memory",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
