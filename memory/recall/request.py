"""What is asked of a memory, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aurora.kernel.errors import InputError
from memory.items import Item, Tier, Trust
from memory.namespaces import bounds
from memory.preparing import storable

MAX_LIMIT = 200
MAX_QUERY = 32_768
"""Characters that are searched for; what follows is not read."""
FLOOR = 0.2
"""Relevance that the best answer must reach. Measured with MiniLM on 455 questions about conversations and alerts: it
answers 995 of 1000 of them, and abstains on 985 of 1000 about something else; with hashed words on 970 and 880."""


class RequestInvalid(InputError):
    """A memory cannot be asked this; the message names the field."""

    code = "aurora.input.recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a memory.

    Raises:
        RequestInvalid: a field has no meaning.
    """

    query: str
    """In any words; it is never run as a query language."""
    tiers: tuple[Tier, ...] | None = None
    """`None`: all."""
    kinds: tuple[str, ...] | None = None
    """`None`: all."""
    namespace: tuple[str, ...] = ()
    """Only what is in this namespace or below it."""
    subject: str | None = None
    """Only what is about this."""
    at: datetime | None = None
    """What was true then; `None`: now, or at `as_of`."""
    as_of: datetime | None = None
    """What was held then; `None`: now."""
    for_action: bool = False
    """Only what may move an action: see `memory.recall.gate`."""
    action_floor: Trust = Trust.OPERATOR
    """Trusted so far, an item may move an action without a second witness."""
    limit: int = 8
    tokens: int | None = None
    """What all items may cost together."""
    floor: float = FLOOR
    """Relevance, 0 to 1, that the best answer must reach, and each of them by half: half the share of the question's
    words that it has, weighted by how rare they are, half the likeness of its vector."""
    include_archived: bool = False
    exclude_sources: tuple[str, ...] = ()
    """URIs; one that ends in `*` names a beginning."""

    def __post_init__(self) -> None:
        if not isinstance(self.query, str):
            raise RequestInvalid("query must be text", field="query")
        if not 1 <= self.limit <= MAX_LIMIT:
            raise RequestInvalid(f"limit={self.limit!r} must be from 1 to {MAX_LIMIT}", field="limit")
        if self.tokens is not None and self.tokens < 1:
            raise RequestInvalid(f"tokens={self.tokens!r} must be at least 1, or None", field="tokens")
        if not 0.0 <= self.floor <= 1.0:
            raise RequestInvalid(f"floor={self.floor!r} must be from 0 to 1", field="floor")
        if self.action_floor not in (Trust.AGENT_DERIVED, Trust.OPERATOR):
            raise RequestInvalid(
                "action_floor must be OPERATOR or AGENT_DERIVED: what is trusted less can be caused from outside",
                field="action_floor",
            )
        for field in ("at", "as_of"):
            moment = getattr(self, field)
            if moment is not None and moment.utcoffset() is None:
                raise RequestInvalid(f"{field} must be a moment with a time zone", field=field)
        # As it is kept, so that it is found.
        object.__setattr__(self, "subject", None if self.subject is None else storable(self.subject))
        object.__setattr__(self, "kinds", None if self.kinds is None else tuple(map(storable, self.kinds)))
        object.__setattr__(self, "exclude_sources", tuple(map(storable, self.exclude_sources)))
        try:
            bounds(self.namespace)
        except ValueError as fault:
            raise RequestInvalid(f"namespace: {fault}", field="namespace") from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An item that answers, and how well."""

    item: Item
    score: float
    """Orders the hits of one answer: text and vectors together, times recency, importance and trust."""
    parts: Mapping[str, float]
    """What the score is made of: `text` and `vector`, each from 0 to 1 among all that was considered, and the factors
    `recency`, `importance` and `trust`."""
    why: str
    """The same for people, in one sentence. Words of the question in it are quoted."""
    relevance: float = 1.0
    """How well it answers whatever else there is, 0 to 1; compared with the floor."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that was considered and is not among the hits."""

    id: UUID
    reason: str
    """Why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What a memory answers."""

    items: tuple[Hit, ...]
    """The best first."""
    abstained: str | None = None
    """Why there is nothing; `None`: there is."""
    considered: int = 0
    """Items that were compared."""
    left_out: tuple[LeftOut, ...] = ()
    """The best of those that were not taken, the best first."""
