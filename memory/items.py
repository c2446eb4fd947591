"""What a memory holds: items of three tiers, with where they came from and how far they are trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from aurora.kernel.evidence import Provenance
from aurora.kernel.untrusted import UntrustedText

Json = dict[str, Any]

MAX_TEXT = 32_768
"""Characters of one item. What is longer is kept elsewhere, and its summary here."""


class Trust(IntEnum):
    """How far an item is trusted. It is set when the item is written; no summary and no copy raises it."""

    EXTERNAL_CONTENT = 0
    """Whoever caused an event may have written it: mail bodies, user agents, command lines, web pages."""
    TOOL_OUTPUT = 1
    """A sensor, a directory or an enricher answered it."""
    AGENT_DERIVED = 2
    """Aurora concluded it, by rules or with a model."""
    OPERATOR = 3
    """An authenticated person said it, or approved it."""


class Tier(StrEnum):
    """Where an item belongs. The working tier has tables of its own."""

    EPISODIC = "episodic"
    """What happened: cases, runs, decisions, outcomes. Append-only."""
    SEMANTIC = "semantic"
    """What is held to be true, from when to when."""
    PROCEDURAL = "procedural"
    """How things are done here: notes that an operator approved."""
    STORE = "store"
    """Values that a graph keeps through LangGraph's `BaseStore`."""


class State(StrEnum):
    """What may be done with an item."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"
    """Outside content that reads like instructions: kept, shown to people, never recalled."""
    ARCHIVED = "archived"
    """Decayed: kept as evidence, no longer recalled unless asked for."""
    ROLLED_BACK = "rolled_back"
    """Taken back by a person, with all that came from the same source or after the same moment."""
    ERASED = "erased"
    """Only its tombstone is left: no text, no value, no vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an item came from."""

    uri: str
    """Names it: `alert:<id>`, `run:<id>`, `case:<id>`, `verdict:<id>`, `user:<name>`, `message:<thread>/<n>`,
    `memory:<item id>`, `https://…`."""
    provenance: Provenance
    span: str | None = None
    """Which part of it: a path in the record, or `from-to` in characters; `[erased]` where the item that is the source
    was erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item to be remembered."""

    tier: Tier
    kind: str
    """`case`, `run`, `decision`, `outcome`, `thread`; `fact`, `indicator`, `asset`; `note`; `value`."""
    text: str
    """What is searched, and shown to people and models."""
    sources: tuple[Source, ...]
    """At least one. The least trusted of them bounds the item's trust."""
    trust: Trust | None = None
    """At most this; `None`: as the sources allow."""
    value: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """The same for programs, as JSON."""
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None
    """Of a fact. What has the same subject and predicate supersedes it, if it is trusted at least as much."""
    namespace: tuple[str, ...] = ()
    key: str | None = None
    """With the namespace, names at most one item that stands; `None`: it has no name of its own."""
    valid_from: datetime | None = None
    """Since when it is true; `None`: since it was recorded."""
    valid_to: datetime | None = None
    """Until when; `None`: still."""
    importance: float = 0.5
    """0 to 1."""
    expires_at: datetime | None = None
    links: tuple[tuple[str, UUID], ...] = ()
    """Relation and id of other items of the tenant: `evidence`, `corrects`, `summarises`."""
    id: UUID | None = None
    """Given, it is the item's id, and writing it twice writes it once; `None`: the memory draws one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item that is remembered."""

    id: UUID
    tenant: str
    tier: Tier
    kind: str
    text: UntrustedText
    sources: tuple[Source, ...]
    trust: Trust
    state: State
    value: Mapping[str, Any]
    subject: str | None
    predicate: str | None
    object: str | None
    namespace: tuple[str, ...]
    key: str | None
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    retired_at: datetime | None
    """Since when something else is recorded in its place; `None`: it stands."""
    superseded_by: UUID | None
    importance: float
    expires_at: datetime | None
    tokens: int
    content_hash: bytes
    """SHA-256 of what makes two items the same: tier, kind, namespace, key, subject, predicate, object, text, value."""
    version: int
    """Number of the event that wrote it, in the tenant's chain."""


class Fate(StrEnum):
    """What became of an item that was to be remembered."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """An equal item stands; its sources were joined to that one."""
    OUTRANKED = "outranked"
    """A fact of the same key that is trusted more stands; this one is kept beside it, retired from the start."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What became of one item, and why."""

    id: UUID
    """Of the item that stands for it now."""
    fate: Fate
    trust: Trust
    superseded: tuple[UUID, ...] = ()
    near: tuple[UUID, ...] = ()
    """Items that say nearly the same; they are linked, never merged."""
    redacted: tuple[str, ...] = ()
    """Kinds of secrets that were taken out."""
    reasons: tuple[str, ...] = ()
    """Why it is in quarantine, or trusted less than was asked."""
