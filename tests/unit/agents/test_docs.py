"""The reference of rules says what the rules say."""

from __future__ import annotations

from pathlib import Path

from scripts import docs_rules
from tests.unit.agents.making import ENRICHERS, RULES

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_rules_say_now():
    assert (ROOT / docs_rules.PAGE).read_text() == docs_rules.text(), "run `make docs`"


def test_every_rule_and_enricher_is_on_the_page():
    page = docs_rules.text()

    assert all(f"### `{each.id}`" in page for each in (*RULES, *ENRICHERS))
