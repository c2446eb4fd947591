"""The page of how well memory is recalled says what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts import docs_quality

ROOT = Path(__file__).parents[3]


def row(name: str, value: float, alone: float) -> dict[str, Any]:
    return {"name": f"memory.quality.{name}", "value": value, "peer_value": alone, "machine": "a desk, 2 cores"}


BOTH = [
    row("conversations.recall.minilm.beside_text", 0.7, 0.6),
    row("conversations.recall.minilm.beside_vectors", 0.7, 0.5),
]


def test_the_page_is_what_the_results_say_now() -> None:
    assert (ROOT / docs_quality.PAGE).read_text(encoding="utf-8") == docs_quality.text(), "run `make docs`"


def test_a_line_shows_both_ways_alone_beside_the_two_together_and_the_best_is_bold() -> None:
    page = docs_quality.page(BOTH)

    assert "| Evidence recall@10 | MiniLM, with the extra `embed` | **0.700** | 0.600 | 0.500 |" in page
    assert "Measured on a desk, 2 cores." in page


def test_a_way_alone_that_is_better_is_shown_as_better() -> None:
    page = docs_quality.page([row("alerts.ndcg.hashing.beside_text", 0.4, 0.45)])

    assert "| nDCG@10 | hashing, with nothing installed | 0.400 | **0.450** |  |" in page
    assert "- nDCG@10 with hashing vectors: BM25 alone is better by 0.050." in page


def test_where_together_is_the_best_nothing_else_is_said() -> None:
    assert "is not the best" not in docs_quality.page(BOTH)


def test_a_set_that_was_not_measured_has_no_table() -> None:
    assert "## Alerts" not in docs_quality.page(BOTH)


def test_where_nothing_was_measured_the_page_says_so() -> None:
    others = {"name": "memory.recall.10k.p50", "value": 3.0, "peer_value": None, "machine": "a desk, 2 cores"}

    assert "Nothing has been measured yet." in docs_quality.page([others])


@pytest.mark.parametrize(
    "name",
    [
        "mails.recall.minilm.beside_text",
        "alerts.luck.minilm.beside_text",
        "alerts.ndcg.other.beside_text",
        "alerts.ndcg.minilm.beside_luck",
        "alerts.ndcg.minilm",
    ],
)
def test_a_row_that_the_page_does_not_explain_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        docs_quality.page([row(name, 0.5, 0.5)])


def test_rows_that_contradict_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match="its twin says"):
        docs_quality.page([BOTH[0], row("conversations.recall.minilm.beside_vectors", 0.71, 0.5)])
