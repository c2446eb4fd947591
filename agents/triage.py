"""The triage analyst: a model that reads the evidence, looks things up, and gives an opinion with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents import analyst
from agents.opinion import Opinion
from aurora.kernel.evidence import Evidence
from aurora.kernel.models.alert import moment
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import AgentSpec
from aurora.sdk.view import TriageView

SHOWN = 48
"""Pieces of evidence that a model is shown; what rules cite and what look-ups found comes first."""

LONGEST = 240
"""Characters of each."""

TRIAGE = AgentSpec(
    id="triage",
    version="1",
    title="Triage analyst",
    description="Judges an alert from its evidence: looks up what is missing, thinks, and gives reasons for and "
    "against that cite evidence.",
    prompt="prompts/triage.md",
    answer=Opinion,
    tools=("lookup_indicator", "past_alerts", "technique", "warning_list"),
)


def dossier(view: TriageView, contributions: Sequence[Contribution]) -> Mapping[str, Any]:
    """Return what the analyst is shown, as JSON values: alert, evidence, and what the rules concluded.

    The same view gives the same dossier, so that a replay asks the same question.
    """
    alert = view.alert
    shown, left_out = _chosen(view, contributions)
    verdict = analyst.decide(view, contributions)
    return {
        "alert": {
            "title": _short(alert.title),
            "description": _short(alert.description, limit=600),
            "severity": alert.severity.value,
            "product": alert.product or alert.source,
            "time": None if alert.time is None else moment(alert.time),
        },
        "evidence": [
            {"id": each.id, "kind": each.kind, "provenance": each.provenance.value, "text": _short(each.text)}
            for each in shown
        ],
        "evidence_not_shown": left_out,
        "rules": {
            "label": verdict.label.value,
            "decibans": verdict.score,
            "claims": [
                {
                    "rule": each.rule,
                    "decibans": each.weight,
                    "text": _short(each.claim.text),
                    "evidence": list(each.claim.evidence),
                }
                for each in contributions
            ],
        },
    }


def _chosen(view: TriageView, contributions: Sequence[Contribution]) -> tuple[list[Evidence], int]:
    """Return the evidence to show, in its own order, and how much was left out."""
    cited = {each for contribution in contributions for each in contribution.claim.evidence}
    first = sorted(view.evidence, key=lambda each: (each.id not in cited, each.kind == "field"))[:SHOWN]
    kept = {each.id for each in first}
    return [each for each in view.evidence if each.id in kept], len(view.evidence) - len(kept)


def _short(text: str, *, limit: int = LONGEST) -> str:
    plain = str.__str__(text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
