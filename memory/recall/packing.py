"""Which of the hits are handed out: what is nearly the same once, and no more than fits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from memory.items import Item

SAME = 0.97
"""Cosine from which two items that are about the same thing are shown once."""


def alike(items: Iterable[Item]) -> list[list[Item]]:
    """Return those among some items that could be one thing said twice or more, in groups and in their order.

    Statements about different things, or different statements about one, stay apart however alike they read:
    a contradiction is closer to what it contradicts than a paraphrase is.
    """
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        name = (item.namespace, item.key) if item.key is not None else None
        about = (item.tier, item.kind, item.subject, item.predicate, item.object, name)
        groups.setdefault(about, []).append(item)
    return [group for group in groups.values() if len(group) > 1]


def collapsed(groups: Iterable[Sequence[Item]], near: Collection[frozenset[UUID]]) -> dict[UUID, UUID]:
    """Return of each item for which another stands that other: they say the same.

    Of two that say the same the better trusted stands; of equals, the one that comes first.

    Args:
        groups: As `alike` returns them, the best first.
        near: Pairs whose vectors are as good as equal.
    """
    instead: dict[UUID, UUID] = {}
    for group in groups:
        texts: dict[str, UUID] = {}
        neighbours: dict[UUID, UUID] = {}
        pairs = [pair for pair in near if len(pair) > 1]
        for item in sorted(group, key=lambda each: -each.trust):
            text = str.__str__(item.text)
            stands = texts.get(text) or neighbours.get(item.id)
            if stands is not None:
                instead[item.id] = stands
                continue
            texts[text] = item.id
            for pair in pairs:
                if item.id in pair:
                    (other,) = pair - {item.id}
                    neighbours.setdefault(other, item.id)
    return instead


def packed(scores: Sequence[float], costs: Sequence[int], *, limit: int, tokens: int | None) -> list[int]:
    """Return the places of those that are taken, in their order.

    The best by score per token that fit, or the best by score alone if these are worth more together.

    Args:
        scores: The highest first.
        costs: Tokens of each.
        limit: At most so many.
        tokens: At most so many in all; `None`: any number.
    """
    by_score = range(len(scores))
    if tokens is None:
        return [*by_score][:limit]
    by_worth = sorted(by_score, key=lambda place: (-scores[place] / max(1, costs[place]), place))
    taken = (_fitting(order, costs, limit=limit, tokens=tokens) for order in (by_score, by_worth))
    return sorted(max(taken, key=lambda places: sum(scores[place] for place in places)))


def _fitting(order: Sequence[int], costs: Sequence[int], *, limit: int, tokens: int) -> list[int]:
    taken: list[int] = []
    for place in order:
        if len(taken) == limit:
            break
        if costs[place] <= tokens:
            taken.append(place)
            tokens -= costs[place]
    return taken
