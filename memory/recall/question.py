"""What of a question is searched for: its words and its exact values, weighted by how rare they are. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memory.recall.words import EMPTY, stem, words
from memory.terms import exact_terms

MOST_WORDS = 64
"""Different words of a question that are looked up."""
MOST_EXACT = 32
FEWEST = 4
"""So many of the rarest words are always searched for, however frequent they are."""
BUDGET = 1_000
"""Items that the words searched for may stand in, together: each one costs 2 microseconds."""
COUNTED = 16_384
"""Characters of an item's text in which words of the question are counted."""

_SMALL_NUMBER = re.compile(r"\d{1,3}")


@dataclass(frozen=True, slots=True)
class Question:
    """What of a question can be searched for."""

    words: Mapping[str, str]
    """By what the index knows them as, as they were asked; in their order."""
    exact: Mapping[str, str]
    """Exact tokens, and what they stand for."""

    @property
    def is_empty(self) -> bool:
        return not self.words and not self.exact


def question(text: str) -> Question:
    """Return what of a text can be searched for. The text is not a query language; nothing in it is an operator."""
    exact = _exact(text)
    asked = dict.fromkeys(words(text))
    said = [word for word in asked if word not in EMPTY] or [*asked]
    if exact:  # the parts of an address say nothing beside the address
        said = [word for word in said if not _SMALL_NUMBER.fullmatch(word)] or said
    found: dict[str, str] = {}
    for word in said[:MOST_WORDS]:
        found.setdefault(stem(word), word)
    return Question(found, exact)


def _exact(text: str) -> dict[str, str]:
    tokens = exact_terms(text).split()[:MOST_EXACT]
    if not tokens:
        return {}
    shown = dict.fromkeys(tokens, "")
    for piece in text.split():
        for token in exact_terms(piece).split():
            if shown.get(token) == "":
                shown[token] = piece.strip("\"'`,;()<>{}")
    return shown


def rarity(frequency: int, *, of: int) -> float:
    """Return how much it says that an item has a word: more than 0, the more the fewer items have it.

    "Okapi at TREC-3" (Robertson et al., 1994), with 1 added as Lucene does, so that no word counts against an item.

    Args:
        frequency: Items that have it.
        of: Items in all.
    """
    frequency = min(frequency, of)
    return math.log(1 + (of - frequency + 0.5) / (frequency + 0.5))


def rarest(frequencies: Mapping[str, int], *, fewest: int = FEWEST, budget: int = BUDGET) -> list[str]:
    """Return the words to search for, the rarest first: all of them, or as many as the budget allows.

    Words that are not known to stand anywhere are kept: they cost nothing, and what is known may be old.
    """
    ordered = sorted(frequencies, key=lambda word: frequencies[word])
    spent = 0
    for place, word in enumerate(ordered):
        spent += frequencies[word]
        if place >= fewest and spent > budget:
            return ordered[:place]
    return ordered


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an item has of a question."""

    share: float
    """Of its words and exact values, weighted by how rare they are: 0 to 1."""
    has: tuple[str, ...]
    """These words, as they were asked, the rarest first."""
    exact: tuple[str, ...]
    """These exact values, as they were asked."""


def coverage(asked: Question, rarities: Mapping[str, float], text: str) -> Coverage:
    """Return what a text has of a question.

    Args:
        asked: The question.
        rarities: Of its words and its exact tokens; see `rarity`.
        text: Of the item; only its beginning is read.
    """
    text = text[:COUNTED]
    there = {stem(word) for word in set(words(text))}
    values = set(exact_terms(text).split()) if asked.exact else frozenset[str]()
    names = [*asked.words, *asked.exact]
    found = [name for name in asked.words if name in there]
    exact = [name for name in asked.exact if name in values]
    total = sum(rarities.get(name, 0.0) for name in names)
    shared = sum(rarities.get(name, 0.0) for name in (*found, *exact))
    found.sort(key=lambda name: -rarities.get(name, 0.0))
    return Coverage(
        share=shared / total if total > 0 else 0.0,
        has=tuple(asked.words[name] for name in found),
        exact=tuple(asked.exact[name] for name in exact),
    )


def any_of(terms: Sequence[str]) -> str:
    """Return an expression of FTS5 for items that have any of these terms.

    Args:
        terms: At least one. Each is quoted: whatever it holds, it is no operator.
    """
    return " OR ".join(map(_quoted, terms))


def in_scope(scope: str, terms: Sequence[str]) -> str:
    """Return the same for items of one scope.

    Args:
        scope: Token of the tenant; see `memory.schema.scope_of`.
        terms: As for `any_of`.
    """
    return f"scope : {_quoted(scope)} AND ({any_of(terms)})"


def _quoted(term: str) -> str:
    doubled = term.replace('"', '""').replace("\x00", " ")
    return f'"{doubled}"'
