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


def test_a_similarity_above_one_fills_the_bar_and_no_more() -> None:
    assert recalled([found(similarity="7")], [])[0]["similarity"] == 1.0
