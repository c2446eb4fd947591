"""Closed cases as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Decider, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from memory.cases import (
    MAX_CASE_SOURCES,
    CaseInvalid,
    ClosedCase,
    Ioc,
    SimilarCase,
    case_text,
    case_value,
    id_of,
    read_case,
    read_decision,
    sources_of,
    subject_of,
    witnessed,
)
from memory.items import Item, Source, State, Tier, Trust
from memory.similar import current, diverse

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALERT = Source(uri="alert:1", provenance=Provenance.SENSOR)


def closed(**more: Any) -> ClosedCase:
    told: dict[str, Any] = {
        "case_id": "c1",
        "summary": UntrustedText("Password spraying against the VPN gateway."),
        "outcome": VerdictLabel.MALICIOUS,
        "decided_by": Decider.RULES,
        "decided_name": "triage-2",
        "reason": UntrustedText("forty accounts from one address"),
        "closed_at": NOON,
        "techniques": ("T1110.003",),
        "iocs": (Ioc("ip", "203.0.113.7"),),
        "cps_devices_involved": ("plc-7",),
        "alerts": ("a1", "a2"),
        "sources": (ALERT,),
        **more,
    }
    return ClosedCase(**told)


def as_item(case: ClosedCase, **more: Any) -> Item:
    told: dict[str, Any] = {
        "id": id_of("t1", "case", case.case_id),
        "tenant": "t1",
        "tier": Tier.EPISODIC,
        "kind": "case",
        "text": UntrustedText(case_text(case)),
        "sources": sources_of(case),
        "trust": Trust.TOOL_OUTPUT,
        "state": State.ACTIVE,
        "value": case_value(case),
        "subject": case.uri,
        "predicate": None,
        "object": None,
        "namespace": ("aurora_cases",),
        "key": None,
        "valid_from": NOON,
        "valid_to": None,
        "recorded_at": NOON,
        "retired_at": None,
        "superseded_by": None,
        "importance": 0.5,
        "expires_at": None,
        "tokens": 10,
        "content_hash": b"",
        "version": 1,
        **more,
    }
    return Item(**told)


def test_a_case_is_read_back_as_it_was_told_with_who_decided_among_its_sources() -> None:
    case = closed()

    again = read_case(as_item(case))

    assert replace(again, sources=()) == replace(case, sources=())
    assert [source.uri for source in again.sources] == ["alert:1", "case:c1"]


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("case_id", {"case_id": ""}),
        ("case_id", {"case_id": "x" * 201}),
        ("summary", {"summary": UntrustedText("  ")}),
        ("summary", {"summary": UntrustedText("x" * 20_000)}),
        ("closed_at", {"closed_at": NOON.replace(tzinfo=None)}),
        ("sources", {"sources": (ALERT,) * (MAX_CASE_SOURCES + 1)}),
    ],
)
def test_a_case_that_cannot_be_kept_is_refused_and_the_field_named(field: str, more: dict[str, Any]) -> None:
    with pytest.raises(CaseInvalid) as caught:
        closed(**more)

    assert caught.value.context["field"] == field


def test_all_that_names_a_case_can_be_searched() -> None:
    text = case_text(closed())

    for name in ("Password spraying", "T1110.003", "203.0.113.7", "plc-7"):
        assert name in text


def test_an_analyst_who_decides_is_a_source_and_rules_are_not() -> None:
    by_rules = sources_of(closed())
    by_analyst = sources_of(closed(decided_by=Decider.ANALYST, decided_name="j.doe"))

    assert [each.provenance for each in by_rules] == [Provenance.SENSOR, Provenance.AGENT_DERIVED]
    assert by_analyst[-1] == Source(uri="user:j.doe", provenance=Provenance.HUMAN)


def test_an_outcome_counts_as_an_analysts_only_with_that_person_among_the_sources() -> None:
    claimed = closed(decided_by=Decider.ANALYST, decided_name="j.doe")
    somebody = Source(uri="user:m.roe", provenance=Provenance.HUMAN)

    verified = [
        read_decision(as_item(claimed, sources=sources)).is_verified
        for sources in (sources_of(claimed), (ALERT,), (somebody,))
    ]

    assert verified == [True, False, False]


def test_an_open_question_bears_witness_to_nothing() -> None:
    case = closed(iocs=(Ioc("ip", "203.0.113.7"), Ioc("ip", "203.0.113.7")))

    assert witnessed(case, VerdictLabel.NEEDS_REVIEW) == []
    assert witnessed(case, VerdictLabel.BENIGN) == [
        {"subject": "indicator:ip:203.0.113.7", "predicate": "case_outcome", "object": "benign"}
    ]


def test_a_thing_with_a_long_name_keeps_a_subject_of_its_own() -> None:
    long = ["https://example.com/" + "a" * 500 + ending for ending in "xy"]

    subjects = [subject_of("indicator", "url", url) for url in long]

    assert len(set(subjects)) == 2
    assert all(len(subject) <= 300 for subject in subjects)


def test_the_same_thing_has_the_same_id_in_one_tenant_and_another_in_another() -> None:
    one, again, other = id_of("t1", "case", "c1"), id_of("t1", "case", "c1"), id_of("t2", "case", "c1")

    assert one == again != other
    assert one.version == 8


def test_a_persons_decision_stands_before_a_later_one_of_rules() -> None:
    person = closed(decided_by=Decider.ANALYST, decided_name="j.doe", outcome=VerdictLabel.BENIGN)
    later = as_item(closed(), id=UUID(int=2))

    assert current([later, as_item(person)]).outcome is VerdictLabel.BENIGN
    assert current([later]).outcome is VerdictLabel.MALICIOUS


def test_a_flood_of_false_alarms_gives_up_its_last_place_to_the_best_adverse_case() -> None:
    def similar(n: int, outcome: VerdictLabel, score: float) -> SimilarCase:
        case = closed(case_id=f"c{n}", outcome=outcome)
        item = as_item(case)
        return SimilarCase(case=case, decision=read_decision(item), corrected_by=None, score=score, why="", item=item)

    flood = [similar(n, VerdictLabel.BENIGN, 0.9 - n / 100) for n in range(10)]
    weak, weaker = similar(20, VerdictLabel.SUSPICIOUS, 0.3), similar(21, VerdictLabel.MALICIOUS, 0.2)

    assert [each.case.case_id for each in diverse([*flood, weaker, weak], 3)] == ["c0", "c1", "c20"]
    assert [each.case.case_id for each in diverse([*flood, weak], 1)] == ["c20"]
    assert [each.case.case_id for each in diverse(flood, 3)] == ["c0", "c1", "c2"]
    assert diverse([weak], 3) == [weak]
