"""How well a candidate answers: text and vectors together, then what else speaks for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from memory.items import Tier, Trust

_DAY = timedelta(days=1)

HALF_LIVES: Mapping[tuple[Tier, str], timedelta] = MappingProxyType(
    {
        (Tier.EPISODIC, "case"): 180 * _DAY,
        (Tier.EPISODIC, "decision"): 180 * _DAY,
        (Tier.EPISODIC, "outcome"): 180 * _DAY,
        (Tier.EPISODIC, "run"): 30 * _DAY,
        (Tier.EPISODIC, "thread"): 30 * _DAY,
        (Tier.SEMANTIC, "fact"): 365 * _DAY,
        (Tier.SEMANTIC, "asset"): 180 * _DAY,
        (Tier.SEMANTIC, "indicator"): 90 * _DAY,  # addresses change hands
    }
)
"""After so long half of what is new about an item is gone. Notes and values of the store do not age."""

FRESH = 0.3
"""What recency is worth: an item without age counts in full, an ancient one this much less."""

TRUSTED: Mapping[Trust, float] = MappingProxyType(
    {Trust.EXTERNAL_CONTENT: 0.85, Trust.TOOL_OUTPUT: 0.95, Trust.AGENT_DERIVED: 1.0, Trust.OPERATOR: 1.1}
)
"""Only for the order of what is shown; what may move an action is decided by `memory.recall.gate`."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How an embedder's vectors are weighed against text.

    Measured on 760 questions about conversations and 53 alerts, see `tests/bench/bench_memory_quality.py`: MiniLM is
    best from .5 to .7. Hashed words add little to words: with .2 nothing is worse than with words alone on either set,
    evidence recall@10 .639 against .637 and nDCG@10 .459 against .430; with .1 and .3 one of the two is no better.
    """

    alpha: float
    """Share of the vectors."""
    unlike: float
    """Cosine of texts that have nothing in common."""
    alike: float
    """Cosine from which texts say the same."""

    @classmethod
    def of(cls, embedder: str) -> Mix:
        """Return the weights for an embedder of that name."""
        return HASHED if embedder.startswith("hashing") else LEARNED

    def likeness(self, cosine: float) -> float:
        """Return a cosine as a number from 0 to 1 that means the same whatever the embedder."""
        return min(1.0, max(0.0, (cosine - self.unlike) / (self.alike - self.unlike)))


LEARNED = Mix(alpha=0.6, unlike=0.15, alike=0.65)
HASHED = Mix(alpha=0.2, unlike=0.1, alike=0.5)


ROUNDING = 1e-4
"""Cosines that differ by less are equal: the index keeps them no better, and the scale would make all of it."""


def scaled(values: Sequence[float | None], *, least: float | None = None) -> list[float]:
    """Return values between the least and the greatest of them as numbers from 0 to 1; `None` is 0.

    Where all are equal, but for rounding, they are 1: what is found in one way alone is not worth less for that.

    Args:
        values: What is compared.
        least: What is 0, if it is less than all of them.
    """
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    low, high = min(known), max(known)
    low = low if least is None else min(low, least)
    if high - low <= ROUNDING:
        return [0.0 if value is None else 1.0 for value in values]
    return [0.0 if value is None else (value - low) / (high - low) for value in values]


def share(value: float, *, of: float) -> float:
    """Return a value as part of the greatest one: text that does not match at all has 0, so 0 is the least."""
    return max(0.0, value) / of if of > 0 else 0.0


def recency(tier: Tier, kind: str, age: timedelta) -> float:
    """Return the factor for an item's age, from `1 - FRESH` to 1. What lies ahead has no age."""
    half_life = HALF_LIVES.get((tier, kind))
    if half_life is None or age <= timedelta():
        return 1.0
    left: float = 0.5 ** (age / half_life)
    return 1.0 - FRESH * (1.0 - left)


def weight(importance: float) -> float:
    """Return the factor for an item's importance: 1 where it is .5, from .85 to 1.15."""
    return 0.85 + 0.3 * importance


def relevance(*, coverage: float, likeness: float | None, is_exact: bool) -> float:
    """Return how well an item answers, whatever else there is: 0 to 1.

    Args:
        coverage: Share of the question's words that it has, weighted by how rare they are.
        likeness: See `Mix.likeness`; `None`: it has no vector, or the question has none.
        is_exact: It has an address, a digest, a name or an id that the question has.
    """
    found = coverage if likeness is None else (coverage + likeness) / 2
    return max(found, 0.5) if is_exact else found
