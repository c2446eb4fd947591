"""What every broker must do. The clauses race: several brokers on the same streams, at the same time."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.contract.broker.events import EventClauses
from tests.contract.broker.faults import FaultClauses
from tests.contract.broker.trimming import TrimmingClauses
from tests.contract.broker.wake_ups import WakeUpClauses


class BrokerContract(WakeUpClauses, EventClauses, TrimmingClauses, FaultClauses):
    """Subclass it for each broker and provide the fixture `house`."""

    clauses: ClassVar[int] = 32
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """Declared, never guessed: `restart`, `wipe`, `forge`."""

    @classmethod
    def held_to(cls) -> int:
        """Return how many clauses run here; each backend says the number, so that none is left out in silence."""
        clauses = [getattr(cls, name) for name in dir(cls) if name.startswith("test_")]
        assert len(clauses) == cls.clauses, f"{len(clauses)} clauses, {cls.clauses} declared"
        return sum(getattr(clause, "needs", None) in cls.capabilities | {None} for clause in clauses)

    @pytest.fixture(autouse=True)
    def _only_what_it_can(self, request: pytest.FixtureRequest) -> None:
        capability = getattr(request.function, "needs", None)
        if capability is not None and capability not in self.capabilities:
            pytest.skip(f"this broker declares no capability {capability!r}")
