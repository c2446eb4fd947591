"""How one record of an input, with the verdict of its alert, is told as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from aurora.kernel.models import Decider
from aurora.kernel.models.alert import moment
from aurora.kernel.models.verdict import FALLBACK
from aurora.storage.repositories.alerts import Outcome

ANALYST_RULE = "analyst"
"""Name under which an analyst's word stands among the contributions of a correction."""

Document = dict[str, Any]


def outcome_document(outcome: Outcome, *, file: str | None = None) -> Document:
    """Return a record and the verdict of its alert as it is now; the order of the keys is fixed.

    Args:
        outcome: One record, first or duplicate.
        file: The file as this command names it; by default the one it was read from first.
    """
    alert, verdict = outcome.alert, outcome.verdict or {}
    return {
        "alert_id": str(outcome.record_id),
        "title": alert["title"],
        "source": alert["source"],
        "format": alert["format"],
        "severity": alert["severity"],
        "time": told(_time(outcome)),
        "verdict": verdict.get("label"),
        "confidence": round(verdict["confidence"], 4) if verdict else None,
        "techniques": list(verdict.get("techniques", ())),
        "observables": [_pair(each) for each in alert["iocs"]],
        "entities": [_pair(each) for each in alert["entities"]],
        "evidence": [
            {key: each[key] for key in ("id", "kind", "provenance", "text")} for each in verdict.get("evidence", ())
        ],
        "claims": [
            {"text": each["claim"]["text"], "evidence": list(each["claim"]["evidence"])}
            for each in ranked(verdict.get("contributions", ()))
        ],
        "decided_by": verdict.get("decided_by"),
        "degraded": bool(verdict.get("degraded", False)),
        "duplicate_of": _text(outcome.duplicate_of),
        "case_id": _text(alert["case_id"]),
        "run_id": _text(verdict.get("run_id") or outcome.run_id),
        "file": outcome.file if file is None else file,
        "line": outcome.line,
    }


def ranked(contributions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return contributions by strength; an analyst's word stands first whatever the weights say."""
    return sorted(contributions, key=lambda each: (each["rule"] != ANALYST_RULE, -abs(each["weight"])))


def has_failed(verdict: Mapping[str, Any] | None) -> bool:
    """Tell whether the verdict only says that triage could not be done."""
    return verdict is not None and (verdict["decided_by"], verdict["decided_name"]) == (Decider.RULES, FALLBACK)


def told(value: datetime | None) -> str | None:
    """Return a moment as JSON has it."""
    return None if value is None else moment(value)


def _time(outcome: Outcome) -> datetime | None:
    """When this record says that it happened.

    A duplicate keeps the moment that dedup placed it at, which is invented where the alert names none.
    """
    first: datetime | None = outcome.alert["event_time"]
    return first if outcome.duplicate_of is None or first is None else outcome.event_time


def _pair(value: Mapping[str, Any]) -> dict[str, str]:
    return {"type": value["type"], "value": value["value"]}


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
