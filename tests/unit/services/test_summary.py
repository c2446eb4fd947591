"""What an input came to is collected in bounded memory, the worst first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from aurora.kernel.models import VerdictLabel
from aurora.services.outcomes import outcome_document, ranked
from aurora.services.summary import Summary
from aurora.storage.repositories.alerts import Outcome

MORNING = datetime(2026, 6, 16, 8, tzinfo=UTC)


def outcome(number: int, label: str = "malicious", severity: str = "high", **more) -> Outcome:
    verdict = {
        "label": label,
        "confidence": 0.9,
        "decided_by": "rules",
        "decided_name": "rules@1",
        "model": None,
        "degraded": False,
        "run_id": None,
        "techniques": [],
        "evidence": [],
        "contributions": [],
    }
    alert = {
        "id": UUID(int=number),
        "title": f"alert {number}",
        "severity": severity,
        "case_id": None,
        "first_seen": MORNING + timedelta(minutes=number),
        "event_time": MORNING,
        "count": 1,
        "source": "edr",
        "format": "aurora",
        "iocs": [],
        "entities": [],
    }
    return Outcome(
        record_id=more.pop("record_id", UUID(int=number)),
        file="a.jsonl",
        line=number,
        alert={**alert, **more.pop("alert", {})},
        verdict=more.pop("verdict", {**verdict, **more}),
        event_time=MORNING + timedelta(hours=1),
        run_id=None,
    )


def test_the_worst_stand_first_by_verdict_then_severity_then_confidence():
    summary = Summary()
    for number, (label, severity, confidence) in enumerate(
        [
            ("suspicious", "critical", 0.9),
            ("malicious", "low", 0.9),
            ("malicious", "high", 0.7),
            ("needs_review", "high", 0.9),
            ("malicious", "high", 0.8),
            ("benign", "critical", 0.9),
        ],
        start=1,
    ):
        summary.add(outcome(number, label, severity, confidence=confidence))

    summary.finish({})

    assert [each.line for each in summary.worst] == [5, 3, 2, 1, 4]
    assert summary.verdicts.total() == 6


def test_of_many_alerts_only_the_worst_are_kept():
    summary = Summary(most=3)
    for number in range(1, 500):
        summary.add(outcome(number, confidence=0.5))
    summary.add(outcome(500, confidence=0.99))

    assert len(summary.worst) < 30, "memory does not grow with the input"
    summary.finish({})
    assert [each.line for each in summary.worst] == [500, 1, 2]


def test_alerts_whose_triage_failed_are_named_but_a_correction_of_one_is_not():
    summary = Summary()
    summary.add(outcome(1, "needs_review", degraded=True, decided_name="fallback"))
    summary.add(outcome(2, "needs_review", degraded=True, decided_by="analyst", decided_name="fallback"))
    summary.add(outcome(3, verdict=None))
    summary.add(outcome(4, "benign", degraded=True))  # without its model, but done

    assert [each.line for each in summary.failed] == [1]
    assert summary.corrected == 1


def test_cases_are_counted_named_and_the_largest_stand_first():
    summary = Summary()
    small, large = UUID(int=901), UUID(int=902)
    for number, case in ((1, small), (3, large), (2, large)):
        summary.add(outcome(number, alert={"case_id": case}))

    summary.finish({large: {"title": "large", "severity": "high"}})

    first, second = summary.largest_cases()
    assert (first.case_id, first.alerts, first.title) == (large, 2, "large")
    assert first.first == MORNING + timedelta(minutes=2)
    assert second.case_id == small


def test_a_duplicate_of_an_alert_that_names_no_time_has_none_either():
    first = UUID(int=1)

    told = outcome_document(outcome(2, alert={"id": first}))
    silent = outcome_document(outcome(2, alert={"id": first, "event_time": None}))

    assert (told["duplicate_of"], told["time"]) == (str(first), "2026-06-16T09:00:00Z")
    assert silent["time"] is None


def test_an_alert_without_a_verdict_still_is_a_document():
    document = outcome_document(outcome(1, verdict=None))

    assert (document["verdict"], document["confidence"], document["claims"]) == (None, None, [])


def test_the_order_of_verdicts_is_the_order_of_the_domain():
    assert [each.value for each in VerdictLabel] == ["malicious", "suspicious", "needs_review", "benign"]


def test_an_analysts_word_stands_before_stronger_weights():
    rules = [{"rule": "a.b", "weight": 3.0}, {"rule": "c.d", "weight": -20.0}, {"rule": "analyst", "weight": 0.0}]

    assert [each["rule"] for each in ranked(rules)] == ["analyst", "c.d", "a.b"]


def test_what_models_were_asked_is_summed_up_by_model():
    summary = Summary()
    use = {"calls": 2, "input_tokens": 100, "output_tokens": 10, "cost_usd": "0.01"}
    summary.add(outcome(1, "benign", model={"model": "openai:a", **use}))
    summary.add(outcome(2, "benign", model={"model": "openai:a", **use}, degraded=True))
    summary.add(outcome(3, "benign", model={"model": "ollama:b", **use, "cost_usd": None}))

    tally = summary.models["openai:a"]
    assert (tally.heard, tally.unheard, tally.calls, str(tally.cost_usd)) == (1, 1, 4, "0.02")
    assert summary.models["ollama:b"].cost_usd is None
