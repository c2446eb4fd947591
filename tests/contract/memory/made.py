"""Memories and cases for the contracts of the tiers, and of what works on them in the background."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import IdFactory
from aurora.kernel.models import Decider, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from memory.cases import ClosedCase, Ioc
from memory.embed.hashing import HashingEmbedder
from memory.items import Source
from memory.memory import Memory
from memory.ports import Transactions

SENSOR = Source(uri="alert:1", provenance=Provenance.SENSOR)
MAIL = Source(uri="alert:2", provenance=Provenance.ATTACKER_WRITABLE)

WEBSHELL = "A web shell was uploaded to the mail gateway and spawned cmd.exe as the service account"
SPRAY = "Password spraying against the VPN concentrator from one address, forty accounts, no success"


def open_memory(transactions: Transactions, *, clock: Clock, ids: IdFactory, tenant: str = "t1") -> Memory:
    """Return the memory of a tenant, with the embedder that is always there."""
    return Memory(transactions, tenant=tenant, clock=clock, ids=ids, embedder=HashingEmbedder())


def closed(case_id: str = "c1", **more: Any) -> ClosedCase:
    """Return a case that rules closed as benign."""
    told: dict[str, Any] = {
        "case_id": case_id,
        "summary": UntrustedText(SPRAY),
        "outcome": VerdictLabel.BENIGN,
        "decided_by": Decider.RULES,
        "decided_name": "triage-2",
        "closed_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "sources": (SENSOR,),
        **more,
    }
    return ClosedCase(**told)


def ip(value: str) -> tuple[Ioc, ...]:
    """Return an address as the indicators of a case."""
    return (Ioc("ip", value),)
