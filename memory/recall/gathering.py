"""What may answer a question: gathered by text and by vectors, then only what the request admits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory.items import Trust
from memory.marks import Only
from memory.recall.fusion import scaled, share
from memory.recall.question import Question
from memory.recall.sql import Head, Light, Scope, Statements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from memory.recall.text import TextSearch
    from memory.vectors import VectorSearch

MATCHING = 200
"""Items that text hands in. With 100, evidence recall@10 on conversations fell from .690 to .683."""
NEAREST = 50
"""Items that vectors hand in. With 200 it was no better: what text found has its cosine too."""
SHORT = 64
"""Items whose rows are read, the best of what both found."""
ENOUGH = 24
"""If the request admits fewer of them, others took their places: it looks again among those alone that it admits."""
AMONG = 50_000
"""Items that a narrow request may leave to the vectors."""


@dataclass(slots=True)
class Gathered:
    """What was found, and how well."""

    texts: dict[int, float] = field(default_factory=dict)
    """By row: what text made of it."""
    cosines: dict[int, float] = field(default_factory=dict)
    items: dict[int, Light] = field(default_factory=dict)
    """Those that the request admits."""
    rarities: Mapping[str, float] = field(default_factory=dict)


class Gathering:
    """Gathers candidates in one transaction.

    Args:
        statements: Of that transaction.
        text: Searches text.
        vectors: Searches vectors; `None`: there are none.
        alpha: Share of the vectors, for what is read first.
        asked: The words of the question.
        vector: Its vector.
    """

    def __init__(
        self,
        statements: Statements,
        *,
        text: TextSearch,
        vectors: VectorSearch | None,
        alpha: float,
        asked: Question,
        vector: NDArray[np.float32],
    ) -> None:
        self._statements = statements
        self._text = text
        self._vectors = vectors
        self._alpha = alpha
        self._asked = asked
        self._vector = vector

    async def gather(self, scope: Scope, *, head: Head) -> Gathered:
        """Return what may answer.

        Args:
            scope: Which items may.
            head: How much there is.
        """
        request = scope.request
        if request.for_action:
            # What a person said is looked for by itself: no flood of what moves no action hides it.
            found = Gathered()
            for least in (request.action_floor, Trust.TOOL_OUTPUT):
                await self._narrowly(scope.trusting(least), found, head=head)
            return found
        found = await self._widely(scope, head=head)
        is_cut = len(found.texts) >= MATCHING or len(found.cosines) >= NEAREST
        if is_cut and len(found.items) < max(ENOUGH, 2 * request.limit):
            await self._narrowly(scope, found, head=head)
        return found

    async def _widely(self, scope: Scope, *, head: Head) -> Gathered:
        """Search among all of the tenant's items first: most requests admit most of them."""
        text = await self._text.search(self._statements, self._asked, scope, head=head, limit=MATCHING, is_narrow=False)
        found = Gathered(dict(text.scores), await self._nearest(scope), rarities=text.rarities)
        await self._measure(found.texts, found)
        ordered = self._ordered(found)
        short = max(SHORT, 4 * scope.request.limit)
        found.items = await self._statements.light(ordered[:short], scope)
        if len(found.items) < max(ENOUGH, 2 * scope.request.limit) and len(ordered) > short:
            found.items |= await self._statements.light(ordered[short:], scope)
        return found

    async def _narrowly(self, scope: Scope, found: Gathered, *, head: Head) -> None:
        """Search among those items alone that the request admits."""
        text = await self._text.search(self._statements, self._asked, scope, head=head, limit=MATCHING, is_narrow=True)
        among = await self._statements.admitted(scope, limit=AMONG) if self._vectors is not None else []
        nearest = await self._nearest(scope, among=among)
        found.texts |= text.scores
        found.cosines |= nearest
        found.rarities = text.rarities
        await self._measure(text.scores, found)
        missing = [seq for seq in (*text.scores, *nearest) if seq not in found.items]
        found.items |= await self._statements.light(dict.fromkeys(missing), scope)

    async def _nearest(self, scope: Scope, *, among: Sequence[int] | None = None) -> dict[int, float]:
        if self._vectors is None or (among is not None and not among):
            return {}
        request = scope.request
        only = Only(
            tiers=None if request.tiers is None else frozenset(request.tiers),
            floor=scope.least,
            archived=request.include_archived,
            retired=scope.looks_back,
        )
        k = max(NEAREST, 2 * request.limit)
        return _read(await self._vectors.search(self._statements.connection, self._vector, k=k, only=only, among=among))

    async def _measure(self, seqs: Iterable[int], found: Gathered) -> None:
        """Find out how near that is which text found."""
        rest = [seq for seq in seqs if seq not in found.cosines]
        if self._vectors is not None and rest:
            only = Only(archived=True, retired=True)
            found.cosines |= _read(
                await self._vectors.search(
                    self._statements.connection, self._vector, k=len(rest), only=only, among=rest
                )
            )

    def _ordered(self, found: Gathered) -> list[int]:
        seqs = [*dict.fromkeys((*found.texts, *found.cosines))]
        best = max(found.texts.values(), default=0.0)
        vectors = scaled([found.cosines.get(seq) for seq in seqs])
        fused = {
            seq: self._alpha * vector + (1 - self._alpha) * share(found.texts.get(seq, 0.0), of=best)
            for seq, vector in zip(seqs, vectors, strict=True)
        }
        return sorted(seqs, key=lambda seq: -fused[seq])


def _read(found: tuple[NDArray[np.int64], NDArray[np.float32]]) -> dict[int, float]:
    return dict(zip(found[0].tolist(), found[1].tolist(), strict=True))
