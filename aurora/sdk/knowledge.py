"""Public knowledge as enrichers and rules get it."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.kernel.ports.knowledge import AttackKnowledge, ReputationLists


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of the world without asking anybody: no network, no key."""

    attack: AttackKnowledge
    """ATT&CK: techniques, tactics, software."""

    lists: ReputationLists
    """Warning lists: what an address, domain or hash is known to be."""
