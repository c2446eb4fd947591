"""Items for the tests of recall."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aurora.kernel.evidence import Provenance
from aurora.kernel.untrusted import UntrustedText
from memory.items import Item, Source, State, Tier, Trust

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

SENSOR = Source(uri="alert:1", provenance=Provenance.SENSOR)
DIRECTORY = Source(uri="directory:1", provenance=Provenance.IDENTITY_SERVER)
SANDBOX = Source(uri="sandbox:1", provenance=Provenance.SANDBOX)
PERSON = Source(uri="user:j.doe", provenance=Provenance.HUMAN)
AURORA = Source(uri="run:1", provenance=Provenance.AGENT_DERIVED)
MAIL = Source(uri="message:1", provenance=Provenance.ATTACKER_WRITABLE)


def item(number: int = 1, text: str = "The host is a scanner", **more: Any) -> Item:
    """Return an item that a sensor told."""
    told: dict[str, Any] = {
        "id": UUID(int=number),
        "tenant": "t1",
        "tier": Tier.SEMANTIC,
        "kind": "fact",
        "text": UntrustedText(text),
        "sources": (SENSOR,),
        "trust": Trust.TOOL_OUTPUT,
        "state": State.ACTIVE,
        "value": {},
        "subject": None,
        "predicate": None,
        "object": None,
        "namespace": (),
        "key": None,
        "valid_from": NOON,
        "valid_to": None,
        "recorded_at": NOON,
        "retired_at": None,
        "superseded_by": None,
        "importance": 0.5,
        "expires_at": None,
        "tokens": 5,
        "content_hash": bytes(32),
        "version": number,
        **more,
    }
    return Item(**told)


def fact(number: int = 1, object: str = "scanner", **more: Any) -> Item:
    """Return a statement about one host."""
    return item(number, subject="host:web1", predicate="is", object=object, **more)
