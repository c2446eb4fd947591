"""The reference of how well memory is recalled, written from what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = "docs/reference/quality.md"
"""Where the text belongs, from the root of the repository."""

RESULTS = Path(__file__).parents[1] / "tests" / "bench" / "results.json"

_ROWS = "memory.quality."
_METRICS = {
    "recall": ("Evidence recall@10", "of the texts that answer a question, the part that is among the first ten"),
    "hit": ("Evidence hit@10", "the part of questions with a text that answers among the first ten"),
    "ndcg": (
        "nDCG@10",
        "the order too: what answers counts the more the further up it stands, and 1 is the best order",
    ),
}
_EMBEDDERS = {
    "minilm": "MiniLM, with the extra `embed`",
    "hashing": "hashing, with nothing installed",
}
_SETS = {
    "conversations": (
        "Conversations",
        "760 questions about 5 long chats of 2,760 turns, LoCoMo's, whose authors marked the turns that hold the",
        "evidence; questions that the chat does not answer are not asked. Each chat is a memory of its own, each turn",
        "an item.",
    ),
    "alerts": (
        "Alerts",
        "53 sentences as alerts say them, and the techniques of MITRE ATT&CK that they show, among the 689 whose",
        "description is at hand. Each technique is an item; an alert that shows none of them is not asked about.",
    ),
}


def text() -> str:
    """Return the page: how it was measured, then a table for each set of questions.

    Raises:
        ValueError: a row of the results is of no set, metric or embedder that the page explains.
    """
    return page(json.loads(RESULTS.read_text(encoding="utf-8")))


def page(results: Iterable[Mapping[str, Any]]) -> str:
    """Return the page of some results, of which only those of `memory.quality` count; see `text`."""
    rows = [each for each in results if each["name"].startswith(_ROWS)]
    found = _found(rows)
    lines = [
        "# How well memory is recalled",
        "",
        "Written by `make docs` from `tests/bench/results.json`; do not edit. To measure it again:",
        "`python -m tests.bench memory_quality`, with the open data set at hand.",
        "",
        "A question is asked as any program asks, and the ten best items are compared with those that are known to",
        "answer it. No model judges. *Together* is what people get: words and vectors, weighed against each other, and",
        "nothing below the floor. *BM25 alone* and *vectors alone* are the same code with the whole weight on one of",
        "them, and no floor.",
        "",
        "The settings were chosen on these same questions, so take the figures as the best case: the weight of vectors",
        "against words, the floor, how many items each side hands in, how much repetition and length count in BM25,",
        "and which words the hashing embedder leaves out. No second set was kept aside. MiniLM is used as its package",
        "ships it; nothing was trained.",
        "",
        *(f"- {name}: {meaning}." for name, meaning in _METRICS.values()),
        "",
    ]
    if not found:
        lines += ["Nothing has been measured yet.", ""]
    for known, (title, *about) in _SETS.items():
        table = [*_table(known, found)]
        if table:
            lines += [f"## {title}", "", *about, "", *table, "", *_worse(known, found)]
    if rows:
        lines += [f"Measured on {', '.join(sorted({each['machine'] for each in rows}))}.", ""]
    return "\n".join(lines).rstrip() + "\n"


_Found = Mapping[tuple[str, str, str], Mapping[str, float]]


def _found(rows: Iterable[Mapping[str, Any]]) -> _Found:
    """Return what was found `together`, by `text` and by `vectors`, by set, metric and embedder."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for each in rows:
        parts = each["name"].removeprefix(_ROWS).split(".")
        alone = parts[-1].removeprefix("beside_")
        if len(parts) != 4 or parts[0] not in _SETS or parts[1] not in _METRICS or parts[2] not in _EMBEDDERS:
            raise ValueError(f"{each['name']}: scripts/docs_quality.py does not know what this is")
        if alone not in {"text", "vectors"}:
            raise ValueError(f"{each['name']}: it ends in neither beside_text nor beside_vectors")
        values = found.setdefault((parts[0], parts[1], parts[2]), {"together": each["value"]})
        if values["together"] != each["value"]:
            raise ValueError(f"{each['name']}: its twin says {values['together']}, it says {each['value']}")
        values[alone] = each["peer_value"]
    return found


def _table(known: str, found: _Found) -> Iterator[str]:
    """Yield the lines of the table of one set; the best of each line is bold."""
    lines = [
        (metric, embedder, found[known, metric, embedder])
        for metric in _METRICS
        for embedder in _EMBEDDERS
        if (known, metric, embedder) in found
    ]
    if lines:
        yield "| Measure | Vectors | Together | BM25 alone | Vectors alone |"
        yield "|---|---|---:|---:|---:|"
    for metric, embedder, values in lines:
        shown = [values.get(way) for way in ("together", "text", "vectors")]
        best = max(value for value in shown if value is not None)
        cells = [f"**{each:.3f}**" if each == best else "" if each is None else f"{each:.3f}" for each in shown]
        yield f"| {_METRICS[metric][0]} | {_EMBEDDERS[embedder]} | {' | '.join(cells)} |"


def _worse(known: str, found: _Found) -> list[str]:
    """Return the lines that say which of both ways alone would be better than the two together."""
    lines = [
        f"- {_METRICS[metric][0]} with {_EMBEDDERS[embedder].partition(',')[0]} vectors: {name} is better by"
        f" {found[key][way] - found[key]['together']:.3f}."
        for key in found
        for where, metric, embedder in [key]
        for way, name in (("text", "BM25 alone"), ("vectors", "vectors alone"))
        if where == known and found[key].get(way, 0.0) > found[key]["together"]
    ]
    return ["Where together is not the best:", "", *lines, ""] if lines else []
