"""What a run recalled from memory, and which of its claims cite it: read off the evidence of a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aurora.kernel.models import VerdictLabel
from aurora.services.outcomes import Document

KINDS = ("similar_case", "fact", "memory")
"""Kinds of findings that memory makes."""

TRUSTS = ("external_content", "tool_output", "agent_derived", "operator")
"""From the least trusted; a test holds them to the memory's own."""

_ID = re.compile(r"[0-9a-f-]{8,36}")
"""What may stand in a command that a person copies."""

HALF_FRESH_DAYS = 90
"""Age at which freshness is a half: a quarter, for which an analyst's decision counts in full."""


def recalled(evidence: Iterable[Mapping[str, Any]], contributions: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return what was recalled, in the order of the evidence.

    `similarity`, `trust_share` and `freshness` are from 0 to 1; `None` where the finding does not say. `cited_by` are
    the rules whose claims cite it, with their weight in decibans. `told_by` is the evidence that claims cite in its
    place: what an analyst decided of the very same alert says more than what they decided of a similar one.

    Args:
        evidence: Of a verdict.
        contributions: Of the same verdict.
    """
    evidence = [*evidence]
    citing: dict[str, list[Document]] = {}
    for each in contributions:
        for cited in each["claim"]["evidence"]:
            citing.setdefault(cited, []).append({"rule": each["rule"], "weight": float(each["weight"])})
    same = next((each["id"] for each in evidence if _is_analysts(each, "past_verdict") and each["id"] in citing), None)
    return [_recalled(each, citing.get(each["id"], []), same) for each in evidence if each["kind"] in KINDS]


def _is_analysts(each: Mapping[str, Any], kind: str) -> bool:
    return each["kind"] == kind and (each.get("attributes") or {}).get("decided_by") == "analyst"


def _recalled(each: Mapping[str, Any], cited_by: list[Document], same: str | None) -> Document:
    attributes = each.get("attributes") or {}
    label, trust = str(attributes.get("label", "")), str(attributes.get("trust", ""))
    memory = str(attributes.get("memory", ""))
    days = _number(attributes.get("age_days"))
    similarity = _number(attributes.get("similarity"))
    return {
        "id": each["id"],
        "kind": each["kind"],
        "text": each["text"],
        "memory": memory if _ID.fullmatch(memory) else "",
        "label": label if label in set(VerdictLabel) else None,
        "similarity": None if similarity is None else min(1.0, similarity),
        "trust": trust if trust in TRUSTS else None,
        "trust_share": (TRUSTS.index(trust) + 1) / len(TRUSTS) if trust in TRUSTS else None,
        "age_days": None if days is None else int(days),
        "freshness": None if days is None else round(HALF_FRESH_DAYS / (HALF_FRESH_DAYS + days), 4),
        "cited_by": cited_by,
        "told_by": same if _is_analysts(each, "similar_case") and not cited_by else None,
    }


def _number(text: object) -> float | None:
    """Return a number that is not negative; attributes are text, and of an older Aurora perhaps something else."""
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if 0.0 <= number < 1e6 else None
