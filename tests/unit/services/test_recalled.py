"""What a run recalled, read off its verdict."""

from __future__ import annotations

from typing import Any

import pytest

from aurora.services.recalled import TRUSTS, recalled
from memory.items import Trust


def found(id: str = "e1", kind: str = "similar_case", **attributes: Any) -> dict[str, Any]:
    return {"id": id, "kind": kind, "text": "t", "provenance": "human", "source": "memory:1", "attributes": attributes}


def claim(rule: str, weight: float, *evidence: str) -> dict[str, Any]:
    return {"rule": rule, "weight": weight, "claim": {"text": "t", "evidence": list(evidence)}}


def test_the_names_of_trust_are_those_of_the_memory() -> None:
    assert tuple(each.name.lower() for each in sorted(Trust)) == TRUSTS


def test_a_similar_case_is_told_with_what_is_drawn_of_it_and_the_claims_that_cite_it() -> None:
    case = found(label="benign", similarity="0.67", trust="operator", age_days="90", memory="m1")

    (told,) = recalled([case], [claim("memory.similar", -9.4, "e1"), claim("other", 3.0, "f1")])

    assert (told["label"], told["similarity"], told["trust_share"], told["freshness"]) == ("benign", 0.67, 1.0, 0.5)
    assert told["cited_by"] == [{"rule": "memory.similar", "weight": -9.4}]


def test_only_what_memory_found_is_told_in_the_order_of_the_evidence() -> None:
    evidence = [found("f1", "field"), found("e1", "fact"), found("e2", "past_verdict"), found("e3")]

    assert [each["id"] for each in recalled(evidence, [])] == ["e1", "e3"]


@pytest.mark.parametrize("nonsense", ["", "nan", "inf", "-1", "1e99", "<b>", None])
def test_attributes_that_make_no_sense_draw_nothing(nonsense: Any) -> None:
    case = found(label=nonsense, similarity=nonsense, trust=nonsense, age_days=nonsense)

    (told,) = recalled([case], [])

    assert [told[name] for name in ("label", "similarity", "trust", "trust_share", "age_days", "freshness")] == [
        None
    ] * 6


def test_what_no_claim_cites_because_the_very_same_alert_was_decided_says_which_evidence_is_cited_instead() -> None:
    same, others = found("e1", "past_verdict", decided_by="analyst"), found("e2", "past_verdict", decided_by="rules")
    case, fact = found("e3", decided_by="analyst"), found("e4", "fact", decided_by="analyst")
    by_rules = found("e5", decided_by="rules")
    evidence = [others, same, case, fact, by_rules]

    told = recalled(evidence, [claim("memory.analyst", -35.0, "e1"), claim("memory.machine", 1.0, "e2")])
    cited = recalled(evidence, [claim("memory.analyst", -35.0, "e1"), claim("memory.similar", -9.4, "e3")])
    unused = recalled(evidence, [claim("memory.machine", 1.0, "e2")])

    assert [each["told_by"] for each in told] == ["e1", None, None]
    assert [each["told_by"] for each in (*cited, *unused)] == [None] * 6


@pytest.mark.parametrize("memory", ["$(reboot)", "01a206fa; id", "", "short", "--db=x"])
def test_what_is_no_id_stands_in_no_command(memory: str) -> None:
    good = "01a206fa-0a30-7000-8d53-efb4cd4621e3"

    told = recalled([found(memory=memory), found("e2", memory=good)], [])

    assert [each["memory"] for each in told] == ["", good]


def test_a_similarity_above_one_fills_the_bar_and_no_more() -> None:
    assert recalled([found(similarity="7")], [])[0]["similarity"] == 1.0
