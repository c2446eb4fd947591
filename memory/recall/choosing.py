"""What is handed out of what was found: what is relevant, may be used and fits, each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.hand import micros
from memory.items import Item
from memory.recall import gate
from memory.recall.explaining import why
from memory.recall.fusion import TRUSTED, Mix, recency, relevance, scaled, share, weight
from memory.recall.gathering import Gathered
from memory.recall.packing import SAME, alike, collapsed, packed
from memory.recall.question import Coverage, Question, coverage
from memory.recall.request import Hit, LeftOut, Recalled, Request
from memory.recall.sql import Light, Statements

SPARE = 4
"""Items that are read whole at a time beside those that are asked for: some are not relevant, or said already."""
PAGES = 8
"""So many times at most."""
MOST_LEFT_OUT = 50
EACH = 0.5
"""Part of the floor that each answer must reach: whether there is an answer at all is told by the best of them, and of
those that answer an alert every fourth has less than the floor."""


@dataclass(slots=True)
class Candidate:
    """An item that may answer."""

    light: Light
    text: float
    vector: float
    cosine: float | None
    factors: Mapping[str, float]
    score: float
    item: Item | None = None
    covered: Coverage | None = None
    relevance: float = 0.0


class Choosing:
    """Chooses in one transaction what answers one request.

    Args:
        statements: Of that transaction.
        request: What is asked.
        asked: The words of it.
        mix: How vectors are weighed against text.
        now: The present, or the moment that is looked back to.
    """

    def __init__(self, statements: Statements, *, request: Request, asked: Question, mix: Mix, now: datetime) -> None:
        self._statements = statements
        self._request = request
        self._asked = asked
        self._mix = mix
        self._now = micros(now) or 0
        self._rarities: Mapping[str, float] = {}
        self._left: list[tuple[Candidate, str]] = []

    async def choose(self, found: Gathered) -> Recalled:
        """Return what is taken of what was found, and why the rest is not."""
        request, left = self._request, self._left
        self._rarities = found.rarities
        ranked = self._ranked(found)
        if request.for_action:
            # Each by itself: what is trusted is not to wait behind any number of items that are to be refused.
            kept = await self._fit([each for each in ranked if each.light.trust >= request.action_floor])
            kept += await self._fit([each for each in ranked if each.light.trust < request.action_floor])
            kept = await self._once(sorted(kept, key=lambda each: -each.score))
        else:
            kept = await self._fit(ranked)
        if all(each.relevance < request.floor for each in kept):
            self._leave(kept, request.floor)
            kept = []
        costs = [_item(each).tokens for each in kept]
        taken = packed([each.score for each in kept], costs, limit=request.limit, tokens=request.tokens)
        is_full = len(taken) == request.limit
        for number, each in enumerate(kept):
            if number not in taken:
                left.append((each, f"{len(taken)} are better" if is_full else f"its {costs[number]} tokens do not fit"))
        left.sort(key=lambda each: -each[0].score)
        return Recalled(
            items=tuple(self._hit(kept[number]) for number in taken),
            abstained=None if taken else _abstained(request, ranked, left),
            considered=len(ranked),
            left_out=tuple(LeftOut(each.light.id, reason) for each, reason in left[:MOST_LEFT_OUT]),
        )

    def _ranked(self, found: Gathered) -> list[Candidate]:
        """Return all that may answer, the best first; of equals, the newer."""
        best = max((found.texts.get(seq, 0.0) for seq in found.items), default=0.0)
        cosines = [found.cosines.get(seq) for seq in found.items]
        vectors = scaled(cosines, least=min(found.cosines.values(), default=None))
        ranked = []
        for (seq, light), vector in zip(found.items.items(), vectors, strict=True):
            text = share(found.texts.get(seq, 0.0), of=best)
            factors = {
                "recency": recency(light.tier, light.kind, light.age(self._now)),
                "importance": weight(light.importance),
                "trust": TRUSTED[light.trust],
            }
            score = self._mix.alpha * vector + (1 - self._mix.alpha) * text
            for factor in factors.values():
                score *= factor
            ranked.append(Candidate(light, text, vector, found.cosines.get(seq), factors, score))
        ranked.sort(key=lambda each: (-each.score, -each.light.seq))
        return ranked

    def _leave(self, weak: Sequence[Candidate], floor: float) -> None:
        self._left += ((each, f"relevance {_shown(each.relevance)} is below {floor:.2f}") for each in weak)

    async def _fit(self, ranked: Sequence[Candidate]) -> list[Candidate]:
        """Return the best that are relevant and may be used, each thing once, at least as many as are asked for."""
        request = self._request
        kept: list[Candidate] = []
        size = request.limit + SPARE
        for place in range(0, min(len(ranked), PAGES * size), size):
            page = await self._read_whole(ranked[place : place + size])
            least = request.floor * EACH
            self._leave([each for each in page if each.relevance < least], least)
            fit = [each for each in page if each.relevance >= least]
            if not fit:
                break
            if request.for_action:
                fit = await self._gated(fit)
            kept = await self._once([*kept, *fit])
            if len(kept) >= request.limit:
                break
        return kept

    async def _read_whole(self, page: Sequence[Candidate]) -> list[Candidate]:
        items = await self._statements.items([each.light.seq for each in page])
        whole = [each for each in page if each.light.seq in items]
        for each in whole:
            item = each.item = items[each.light.seq]
            told = "\n".join(filter(None, (str.__str__(item.text), item.subject, item.object)))
            each.covered = coverage(self._asked, self._rarities, told)
            each.relevance = relevance(
                coverage=each.covered.share,
                likeness=None if each.cosine is None else self._mix.likeness(each.cosine),
                is_exact=bool(each.covered.exact),
            )
        return whole

    async def _gated(self, fit: Sequence[Candidate]) -> list[Candidate]:
        """Return those that may move an action."""
        floor = self._request.action_floor
        unsure = [_item(each) for each in fit if _item(each).trust < floor]
        others = await self._statements.saying(unsure) if unsure else []
        passed = []
        for each in fit:
            refusal = gate.refusal(_item(each), others, floor=floor)
            if refusal is None:
                passed.append(each)
            else:
                self._left.append((each, refusal))
        return passed

    async def _once(self, kept: Sequence[Candidate]) -> list[Candidate]:
        """Return them without those that say what a better one says."""
        groups = alike(_item(each) for each in kept)
        if not groups:
            return [*kept]
        near = await self._statements.near([item for group in groups for item in group], least=SAME)
        instead = collapsed(groups, near)
        standing = []
        for each in kept:
            if (other := instead.get(_item(each).id)) is None:
                standing.append(each)
            else:
                self._left.append((each, f"says nearly the same as {other}"))
        return standing

    def _hit(self, each: Candidate) -> Hit:
        item, covered = _item(each), each.covered or Coverage(0.0, (), ())
        told = why(
            item,
            covered=covered,
            asked=len(self._asked.words),
            cosine=each.cosine,
            is_alike=each.cosine is not None and self._mix.likeness(each.cosine) > 0,
            age=each.light.age(self._now),
        )
        parts = {"text": each.text, "vector": each.vector, **each.factors}
        return Hit(item=item, score=each.score, parts=parts, why=told, relevance=each.relevance)


def _item(each: Candidate) -> Item:
    if each.item is None:
        raise RuntimeError("a candidate is compared before it was read")
    return each.item


def _abstained(request: Request, ranked: Sequence[Candidate], left: Sequence[tuple[Candidate, str]]) -> str:
    if not ranked:
        return "nothing that this request admits shares a word or a meaning with the question"
    best = max(left, key=lambda each: each[0].relevance, default=None)
    if request.for_action and best is not None and best[0].relevance >= request.floor:
        return f"of {len(ranked)} items that were compared none may move an action; the best: {best[1]}"
    if best is not None and best[0].relevance >= request.floor:
        return f"nothing fits into {request.tokens} tokens"
    shown = 0.0 if best is None else best[0].relevance
    return (
        f"nothing is relevant enough: the best of {len(ranked)} has {_shown(shown)}, the floor is {request.floor:.2f}"
    )


def _shown(relevance: float) -> str:
    """Return a relevance rounded down: what is below a floor must not look like the floor."""
    return f"{int(relevance * 100) / 100:.2f}"
