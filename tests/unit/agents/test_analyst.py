"""Verification and decision: what holds counts once, what does not is dropped, and the sum gives the label."""

from __future__ import annotations

import pytest

from agents import analyst
from aurora.kernel.evidence import Claim, Provenance
from aurora.kernel.models import Severity
from aurora.kernel.models.verdict import Contribution, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk import rule
from tests.unit.agents.making import RULES, WRITABLE, found, make_alert, see


def weighs(weight: float, *evidence: str, rule: str = "test.rule", closes: bool = False, techniques: tuple = ()):
    return Contribution(
        rule=rule,
        weight=weight,
        closes=closes,
        techniques=techniques,
        claim=Claim(text=UntrustedText(f"{rule} {weight}"), evidence=evidence),
    )


@pytest.mark.parametrize(
    ("score", "label"),
    [
        (13.0, VerdictLabel.MALICIOUS),
        (12.9, VerdictLabel.SUSPICIOUS),
        (5.0, VerdictLabel.SUSPICIOUS),
        (4.9, VerdictLabel.NEEDS_REVIEW),
        (-4.9, VerdictLabel.NEEDS_REVIEW),
        (-5.0, VerdictLabel.BENIGN),
    ],
)
def test_the_score_gives_the_label(score, label):
    view = see(make_alert())

    decision = analyst.decide(view, [weighs(score, "f1")])

    assert decision.label is label
    assert decision.score == score


def test_confidence_follows_the_score_and_stays_within_its_bounds():
    view = see(make_alert())

    sure = [analyst.decide(view, [weighs(score, "f1")]).confidence for score in (-60.0, -20.0, 0.0, 5.0, 13.0, 60.0)]

    assert sure == [0.99, 0.99, 0.99, 0.76, 0.952, 0.99]
    assert analyst.decide(view, [weighs(4.9, "f1")]).confidence == pytest.approx(0.489)


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_a_severe_alert_is_never_benign_without_a_reason_that_closes(severity):
    view = see(make_alert(severity=severity))

    open_, closed = (analyst.decide(view, [weighs(-50.0, "f1", closes=closes)]) for closes in (False, True))

    assert open_.label is VerdictLabel.NEEDS_REVIEW
    assert severity.value in open_.reason
    assert closed.label is VerdictLabel.BENIGN


def test_a_raise_marked_as_closing_closes_nothing():
    view = see(make_alert(severity=Severity.HIGH))

    decision = analyst.decide(view, [weighs(-50.0, "f1"), weighs(1.0, "f2", closes=True, rule="other.rule")])

    assert decision.label is VerdictLabel.NEEDS_REVIEW


def test_nothing_to_weigh_asks_for_a_person():
    decision = analyst.decide(see(make_alert()), ())

    assert decision.label is VerdictLabel.NEEDS_REVIEW
    assert "no evidence" in decision.reason


def test_a_claim_without_evidence_or_with_evidence_that_is_not_there_is_dropped(knowledge):
    view = see(make_alert())

    kept, dropped = analyst.verify(view, [weighs(9.0), weighs(8.0, "f1", "f99"), weighs(7.0, "f1")], knowledge.attack)

    assert [each.weight for each in kept] == [7.0]
    assert ["f99" in each.reason for each in dropped] == [False, True]


def test_a_lowering_claim_that_rests_only_on_attacker_writable_evidence_is_dropped(knowledge):
    view = see(
        make_alert(("user_agent.original", "harmless", WRITABLE)),
        found("domain", Provenance.ATTACKER_WRITABLE, registered="example.org"),
    )
    tried = [
        weighs(-9.0, "f3"),
        weighs(-9.0, "f3", "e1", rule="b.rule"),
        weighs(0.0, "f3", closes=True, rule="c.rule"),
        weighs(-9.0, "f3", "f1", rule="d.rule"),
        weighs(9.0, "f3", rule="e.rule"),
    ]

    kept, dropped = analyst.verify(view, tried, knowledge.attack)

    assert [each.rule for each in kept] == ["d.rule", "e.rule"]
    assert len(dropped) == 3
    assert all("milder" in each.reason for each in dropped)


def test_old_technique_ids_become_current_and_unknown_ones_are_dropped(knowledge):
    view = see(make_alert())

    kept, dropped = analyst.verify(view, [weighs(9.0, "f1", techniques=("T1562.001", "T9999"))], knowledge.attack)

    assert kept[0].techniques == ("T1685",)
    assert [each.text for each in dropped] == ["T9999"]
    assert analyst.decide(view, kept).techniques == ("T1685",)


def test_one_theme_counts_once_in_each_direction_and_the_rest_stays_visible(knowledge):
    view = see(make_alert())
    tried = [
        weighs(9.0, "f1", rule="a.one"),
        weighs(8.0, "f1", rule="a.two"),
        weighs(-3.0, "f1", rule="a.three"),
        weighs(-4.0, "f1", rule="a.four"),
        weighs(2.0, "f1", rule="b.one"),
    ]

    kept, _ = analyst.verify(view, tried, knowledge.attack)

    assert {each.rule: each.weight for each in kept} == {"a.one": 9, "a.two": 0, "a.three": 0, "a.four": -4, "b.one": 2}
    assert analyst.decide(view, kept).score == 7.0
    assert "a.one" in str.__str__(next(each for each in kept if each.rule == "a.two").claim.text)


def test_the_strongest_of_a_theme_is_chosen_among_what_verification_kept(knowledge):
    view = see(make_alert())

    tried = [weighs(14.0, "f99", rule="a.one"), weighs(8.0, "f1", rule="a.two")]

    kept, _ = analyst.verify(view, tried, knowledge.attack)

    assert [each.weight for each in kept] == [8.0]


def test_the_name_of_a_rule_set_changes_with_a_version_and_not_with_the_order():
    changed = rule(id=RULES[0].id, version="99", title="Changed")(lambda _view: iter(()))

    names = [analyst.rules_name(rules) for rules in (RULES, tuple(reversed(RULES)), [changed, *RULES[1:]])]

    assert names[0] == names[1] != names[2]
    assert names[0].startswith("rules@")


def test_every_rule_is_sound_and_explains_its_weights():
    for each in RULES:
        assert list(each.faults()) == []
        assert "Why:" in each.doc, each.id
        assert "Weight" in each.doc, each.id
        assert "Refuted by:" in each.doc, each.id
