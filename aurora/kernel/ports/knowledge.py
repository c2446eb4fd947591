"""Public knowledge that rules and verification reason with."""

from __future__ import annotations

from typing import Protocol

from aurora.kernel.models.alert import ObservableType
from aurora.kernel.models.knowledge import Software, Tactic, Technique, WarningHit


class AttackKnowledge(Protocol):
    """ATT&CK Enterprise: which ids exist, what became of older ones, and known software."""

    @property
    def version(self) -> str:
        """Version of the technique ids, e.g. `19.2`."""
        ...

    def technique(self, technique_id: str) -> Technique | None:
        """Return the technique of exactly this id, current or not; `None` if there never was one."""
        ...

    def current(self, technique_id: str) -> str | None:
        """Return the id in use today for one of any version, or `None` if ATT&CK does not know it."""
        ...

    def tactics_of(self, technique_id: str) -> tuple[Tactic, ...]:
        """Return the tactics of a technique of any version; empty if it is unknown."""
        ...

    def software(self, name: str) -> Software | None:
        """Return the software of this name, alias or id."""
        ...

    def mentioned(self, text: str) -> tuple[Software, ...]:
        """Return the attack software that `text` names, in order of appearance."""
        ...


class ReputationLists(Protocol):
    """Lists that say what a value is known to be."""

    def lookup(self, type: ObservableType, value: str) -> tuple[WarningHit, ...]:
        """Return the lists that hold a canonical value, sorted by list id."""
        ...
