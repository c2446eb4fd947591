"""What was recalled from memory, in a report."""

from __future__ import annotations

from typing import Any

from tests.unit.reports.pages import evidence, outcome, page, report

HOSTILE = '"><script>alert(1)</script>'


def case(number: int = 2, text: str = "judged benign", **attributes: Any) -> dict[str, Any]:
    told = {"label": "benign", "similarity": "0.67", "trust": "operator", "age_days": "3", "memory": "m", **attributes}
    return {
        **evidence(number, text, id=f"e{number}"),
        "kind": "similar_case",
        "provenance": "human",
        "attributes": told,
    }


def claim(*cites: str) -> dict[str, Any]:
    return {"rule": "memory.similar", "weight": -9.4, "closes": False, "techniques": [],
            "claim": {"text": "an analyst said so", "evidence": list(cites)}}  # fmt: skip


def test_each_recalled_item_is_drawn_and_says_which_claim_cites_it() -> None:
    verdict = {"evidence": [evidence(1, "x"), case(2), case(3)], "contributions": [claim("e2")]}

    made = page(report(outcome(1, verdict=verdict)))

    assert "Recalled from memory" in made.text
    assert "67%" in made.text
    assert "memory.similar \N{MINUS SIGN}9.4" in made.text
    assert "no claim" in made.text
    assert [tag for tag, _ in made.tags].count("svg") >= 2
    widths = [dict(attrs)["width"] for tag, attrs in made.tags if tag == "rect" and dict(attrs).get("class") == "is"]
    assert widths[:3] == ["53.6", "80.0", "77.4"]
    assert {each[1:] for each in made.all("href")} <= set(made.all("id"))


def test_each_recalled_item_names_the_command_that_shows_it_and_has_no_empty_room_for_bars() -> None:
    known, little = case(2, memory="01a206fa-0a30-7000-8d53-efb4cd4621e3"), case(3, similarity="", age_days="")

    made = page(report(outcome(1, verdict={"evidence": [known, little], "contributions": [claim("e2")]})))

    assert made.text.count("aurora memory show") == 1
    assert "aurora memory show cd4621e3" in made.text
    boxes = [dict(attrs).get("viewbox") for tag, attrs in made.tags if tag == "svg"]
    assert {"0 0 216 44", "0 0 216 14"} <= set(boxes)


def test_an_item_that_the_very_same_alert_outdoes_leads_to_the_evidence_that_is_cited() -> None:
    same = {**evidence(1, "judged benign", id="e1"), "kind": "past_verdict", "attributes": {"decided_by": "analyst"}}
    verdict = {"evidence": [same, case(2, decided_by="analyst")], "contributions": [claim("e1")]}

    made = page(report(outcome(1, verdict=verdict)))

    assert "no claim: e1 tells of the very same alert" in made.text
    assert {each[1:] for each in made.all("href")} <= set(made.all("id"))


def test_where_nothing_was_recalled_it_says_so() -> None:
    made = page(report(outcome(1)))

    assert "Recalled from memory" not in made.text
    assert "Nothing was recalled from memory." in made.text


def test_hostile_attributes_are_neither_drawn_nor_markup() -> None:
    bad = case(2, HOSTILE, label=HOSTILE, similarity=HOSTILE, trust=HOSTILE, age_days=HOSTILE, memory=HOSTILE)

    made = page(report(outcome(1, HOSTILE, verdict={"evidence": [bad], "contributions": [claim("e2")]})))

    assert "script" not in {tag for tag, _ in made.tags}
    assert all("script" not in value for value in made.all("class") + made.all("width"))
    assert "Recalled from memory" in made.text


def test_a_long_list_is_cut_and_the_rest_is_counted() -> None:
    verdict = {"evidence": [case(n) for n in range(2, 20)], "contributions": [claim("e2")]}

    assert "and 6 more" in page(report(outcome(1, verdict=verdict))).text
