"""What a report tells, and that its parts hang together."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from aurora.kernel.models.verdict import FALLBACK
from aurora.services.report import Rejects
from tests.unit.reports.pages import evidence, outcome, page, report


def rules_only(number: int = 1, **more):
    return outcome(
        number,
        f"alert {number}",
        verdict={"decided_by": "rules", "decided_name": "rules@abc", "degraded": False, "model": None, **more},
    )


def test_every_link_has_its_target_and_no_id_is_given_twice():
    made = page(report(*(outcome(n, f"alert {n}") for n in range(1, 6)), full=3))

    ids = made.all("id")
    assert len(ids) == len(set(ids))
    assert {each[1:] for each in made.all("href")} <= set(ids)
    assert {"a1", "a1-e1", "a1-e2", "c1"} <= {each[1:] for each in made.all("href")} | set(ids)
    assert set(made.all("for")) <= set(ids)
    assert {each for value in made.all("aria-labelledby") for each in value.split()} <= set(ids)


def test_tags_are_closed_in_the_order_in_which_they_were_opened():
    void = {"meta", "input", "br", "line", "rect"}
    opened: list[str] = []

    for tag, _ in page(report(outcome(1), outcome(2, "two", label="benign"), full=1)).tags:
        if tag.startswith("/") and tag[1:] not in void:
            assert opened.pop() == tag[1:]
        elif not tag.startswith("/") and tag not in void | {"declaration"}:
            opened.append(tag)

    assert opened == []


def test_claims_link_to_the_evidence_they_cite_which_says_who_wrote_it():
    made = page(report(outcome(1)))

    tags = [(tag, dict(attrs)) for tag, attrs in made.tags if isinstance(attrs, list)]
    assert [attrs["href"] for tag, attrs in tags if tag == "a" and attrs.get("href", "").startswith("#a1-e")] == [
        "#a1-e1",
        "#a1-e2",
        "#a1-e1",
    ]
    assert "possibly the attacker" in made.text
    assert "T1059.001 PowerShell (Execution)" in made.text
    assert "\N{MINUS SIGN}3.0" in made.text


def test_what_was_not_checked_is_told_for_each_alert_and_for_all():
    made = page(report(rules_only(1, dropped=[{"text": "T9999", "reason": "ATT&CK does not know this technique"}])))

    assert "Dropped: T9999 because ATT&CK does not know this technique" in made.text
    assert "No model was asked." in made.text
    assert "No model was asked about 1 of 1 alerts" in made.text
    assert "Verification dropped 1 claim: 1: ATT&CK does not know this technique" in made.text
    assert (
        "Looked for, and nothing was found: related, technique, warning list, network, domain, software." in made.text
    )
    assert "2 values of the record became no evidence: /unalert 1, /nested/inalert 1" in made.text


def test_a_model_is_told_with_its_prompt_and_its_cost():
    made = page(report(outcome(1, "m"), outcome(2, "m")))

    assert "m, prompt m: 2 alerts, 4 calls, 20 tokens in and 10 out, US$ 0.0200" in made.text
    assert "No model was asked" not in made.text


@pytest.mark.parametrize("cost", [None, "NaN", "rubbish", {}])
def test_a_price_that_is_not_known_is_not_zero(cost):
    made = page(report(outcome(1, "m", verdict={"model": {"name": "m", "cost_usd": cost, "calls": "many"}})))

    assert "price not known" in made.text
    assert report(outcome(1, "m", verdict={"model": {"cost_usd": "0.5"}})).tally.models[
        "a model without a name", ""
    ].cost_usd == Decimal("0.5")


def test_degraded_and_failed_verdicts_are_told_apart():
    made = page(
        report(
            outcome(1, label="suspicious", verdict={"decided_by": "rules"}),
            outcome(2, label="needs_review", verdict={"decided_by": "rules", "decided_name": FALLBACK}),
        )
    )

    assert "1 verdict is degraded" in made.text
    assert "Triage of 1 alert failed" in made.text


def test_more_alerts_than_are_told_in_full_are_told_of_honestly():
    made = report(*(rules_only(n) for n in range(1, 8)), full=2)
    del made.lines[3:]

    text = page(made).text
    assert "The first 2 are told in full, 3 more in a line each; 2 milder ones are only counted above" in text
    assert "aurora alerts show ID" in text


def test_the_worst_stand_first():
    alerts = [
        outcome(1, "benign one", label="benign"),
        outcome(2, "suspicious one", label="suspicious"),
        outcome(3, "malicious low", severity="low"),
        outcome(4, "malicious high"),
    ]

    text = page(report(*alerts, full=4)).text.partition("The worst first.")[2]

    places = [text.index(name) for name in ("malicious high", "malicious low", "suspicious one", "benign one")]
    assert places == sorted(places)


def test_rejected_records_and_unknown_files_are_named():
    made = page(report(outcome(1), text="in.log"))

    assert "6 records read = 3 triaged + 1 duplicate + 1 context + 1 rejected" in made.text
    assert "in.log not recognised" in made.text
    assert "in.log, line 3 invalid json in.log" in made.text


def test_the_same_fault_in_many_lines_of_a_file_is_told_once():
    shown = [{"file": "a.log", "line": n, "reason": "unknown_format", "message": "no known format"} for n in range(9)]

    made = page(report(outcome(1), rejects=Rejects(40, shown)))

    assert made.text.count("no known format") == 1
    assert "a.log, lines 0, 1, 2, 3, 4 and 4 more" in made.text
    assert "these are 9 of them" in made.text


def test_an_input_without_alerts_has_a_report_too():
    made = page(report(rejects=Rejects(0), context={}))

    assert "No alert" in made.text
    assert "Nothing was rejected." in made.text
    assert not [tag for tag, _ in made.tags if tag == "svg"]


def test_an_alert_that_waits_for_its_verdict_is_shown():
    waiting = outcome(1, "still waiting")
    object.__setattr__(waiting, "verdict", None)

    made = page(report(waiting))

    assert "This alert waits for its verdict." in made.text
    assert "1 alert waits for a verdict" in made.text


def test_evidence_beyond_the_cap_is_counted_and_what_claims_cite_is_kept():
    many = [evidence(number, f"value {number}") for number in range(1, 200)]
    claim = {"rule": "a.b", "weight": 1.0, "closes": False, "techniques": [],
             "claim": {"text": "the last", "evidence": ["f199", "f404"]}}  # fmt: skip

    made = page(report(rules_only(1, evidence=many, contributions=[claim])))

    assert "value 199" in made.text
    assert "and 119 more" in made.text
    assert "f404" in made.text
    assert made.all("href").count("#a1-e1") == 1


def test_pages_can_be_read_without_seeing_them():
    made = page(report(outcome(1)))

    tags = [(tag, dict(attrs)) for tag, attrs in made.tags if isinstance(attrs, list)]
    assert [attrs["lang"] for tag, attrs in tags if tag == "html"] == ["en"]
    assert all(attrs.get("aria-label") and attrs.get("role") == "img" for tag, attrs in tags if tag == "svg")
    assert all("scope" in attrs for tag, attrs in tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels.count(1) == 1
    assert all(lower - upper <= 2 for upper, lower in pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in tags}
