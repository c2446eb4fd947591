"""Finds what several episodes bear witness to. What an episode claims is in its value, under `facts`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text as sql

from memory.items import Trust

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MAX_EVIDENCE = 32
"""Episodes that a fact names, the latest first: more of them make it no truer."""

# A case that was filed anew counts by its new filing alone: whatever a standing item corrects is left out.
# Values are JSON that anybody may have shaped: what is no list of objects of texts claims nothing.
_CLAIMS = """
WITH claims AS (
  SELECT i.id AS id, coalesce(i.subject, {id_text}) AS episode, i.trust AS trust, i.seq AS seq,
         {subject} AS subject, {predicate} AS predicate, {object} AS object
  FROM memory_items i, {facts}
  WHERE i.tenant = :tenant AND i.tier = 'episodic' AND i.retired_at IS NULL AND i.state IN ('active', 'archived')
    AND NOT EXISTS (
      SELECT 1 FROM memory_links l JOIN memory_items c ON c.id = l.from_id AND c.tenant = l.tenant
      WHERE l.tenant = i.tenant AND l.to_id = i.id AND l.relation = 'corrects' AND c.kind = i.kind
        AND c.state IN ('active', 'archived'))
), usable AS (
  SELECT * FROM claims
  WHERE length(subject) BETWEEN 1 AND 400 AND length(predicate) BETWEEN 1 AND 100 AND length(object) BETWEEN 1 AND 1000
), repeated AS (
  SELECT DISTINCT subject, predicate FROM usable
  GROUP BY subject, predicate, object HAVING count(DISTINCT episode) >= :least
)
SELECT u.subject, u.predicate, u.object, u.episode, u.id, u.trust
FROM usable u JOIN repeated r ON r.subject = u.subject AND r.predicate = u.predicate
ORDER BY u.subject, u.predicate, u.seq DESC
"""

_SQLITE = _CLAIMS.format(
    id_text="i.id",
    facts="json_each(CASE WHEN json_type(i.value, '$.facts') = 'array' THEN i.value ELSE '{}' END, '$.facts') f",
    **{
        name: f"CASE WHEN f.type = 'object' AND json_type(f.value, '$.{name}') = 'text' "
        f"THEN json_extract(f.value, '$.{name}') END"
        for name in ("subject", "predicate", "object")
    },
)
_POSTGRES = _CLAIMS.format(
    id_text="i.id::text",
    facts="jsonb_array_elements(CASE WHEN jsonb_typeof(i.value -> 'facts') = 'array' "
    "THEN i.value -> 'facts' ELSE '[]'::jsonb END) f",
    **{
        name: f"CASE WHEN jsonb_typeof(f.value -> '{name}') = 'string' THEN f.value ->> '{name}' END"
        for name in ("subject", "predicate", "object")
    },
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one episode says of a subject and a predicate."""

    object: str
    episode: str
    id: UUID
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """What episodes say of one subject and predicate, where enough of them say the same."""

    subject: str
    predicate: str
    object: str | None
    """What more than half of them say; `None`: they disagree."""
    evidence: tuple[UUID, ...]
    """The latest episodes that say so; of those that disagree, the latest of all."""
    trust: Trust
    """The least of the evidence."""
    votes: tuple[tuple[str, int], ...]
    """How many episodes say what, the most frequent first."""


async def recurrences(connection: AsyncConnection, *, tenant: str, least: int) -> list[Recurrence]:
    """Return what at least `least` episodes of a tenant say alike; see `weigh`."""
    statement = sql(_POSTGRES if connection.dialect.name == "postgresql" else _SQLITE)
    rows = (await connection.execute(statement, {"tenant": tenant, "least": least})).all()
    return list(_weighed(rows, least))


def _weighed(rows: Sequence[Any], least: int) -> Iterator[Recurrence]:
    for (subject, predicate), group in groupby(rows, key=lambda row: (row.subject, row.predicate)):
        claims = [Claim(row.object, row.episode, _uuid(row.id), Trust(row.trust)) for row in group]
        yield weigh(subject, predicate, claims, least=least)


def weigh(subject: str, predicate: str, claims: Sequence[Claim], *, least: int) -> Recurrence:
    """Return what the claims about one subject and predicate amount to.

    The most trusted are heard first: enough of them that agree are not outvoted by any number of lesser ones, and
    what somebody outside repeats makes a fact no less trusted than the episodes that carry it without him.

    Args:
        subject: Their subject.
        predicate: Their predicate.
        claims: At least one, the latest first.
        least: Episodes that must say the same.
    """
    for trust in sorted(Trust, reverse=True):
        heard = [claim for claim in claims if claim.trust >= trust]
        votes = _votes(heard)
        if votes and votes[0][1] >= least and 2 * votes[0][1] > sum(number for _, number in votes):
            agreed: str | None = votes[0][0]
            said = [claim for claim in heard if claim.object == agreed]
            break
    else:
        agreed, said, votes = None, list(claims), _votes(claims)
    evidence = list(_once_each(said))[:MAX_EVIDENCE]
    return Recurrence(
        subject=subject,
        predicate=predicate,
        object=agreed,
        evidence=tuple(claim.id for claim in evidence),
        trust=min(claim.trust for claim in evidence),
        votes=votes,
    )


def _votes(claims: Sequence[Claim]) -> tuple[tuple[str, int], ...]:
    """Return how many episodes say what, the most frequent first."""
    episodes: defaultdict[str, set[str]] = defaultdict(set)
    for claim in claims:
        episodes[claim.object].add(claim.episode)
    return tuple(Counter({name: len(who) for name, who in episodes.items()}).most_common())


def _once_each(claims: Iterable[Claim]) -> Iterator[Claim]:
    seen: set[str] = set()
    for claim in claims:
        if claim.episode not in seen:
            seen.add(claim.episode)
            yield claim


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
