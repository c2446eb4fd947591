"""Everything that is known of one alert, for people and programs."""

from __future__ import annotations

from typing import Any

from aurora.services.outcomes import Document, outcome_document, ranked, told
from aurora.services.recalled import recalled
from aurora.storage.unit_of_work import Storage

OCCURRENCES = 20
"""Occurrences that are listed; the count tells how many there are."""


async def describe_alert(storage: Storage, alert: str) -> Document:
    """Return an alert with its fields, evidence, contributions, what was recalled, history, raw record.

    It begins with the keys of `outcome_document`.

    Args:
        storage: Where the alert is.
        alert: Id of the alert or of one of its duplicates, or the end of one.

    Raises:
        NotFound: there is no such alert, or more than one.
    """
    async with storage.reading() as transaction:
        alert_id = await transaction.alerts.resolve(alert)
        outcome = (await transaction.alerts.outcomes([alert_id]))[0]
        history = await transaction.verdicts.history(alert_id)
        occurrences = await transaction.alerts.occurrences(alert_id, limit=OCCURRENCES)
        case_id = outcome.alert["case_id"]
        cases = await transaction.cases.by_id([case_id]) if case_id else {}
    row, verdict = outcome.alert, outcome.verdict or {}
    return {
        **outcome_document(outcome),
        "description": row["description"],
        "product": row["product"],
        "rule": row["rule"],
        "status": row["status"],
        "count": row["count"],
        "first_seen": told(row["first_seen"]),
        "last_seen": told(row["last_seen"]),
        "claimed_techniques": list(row["mitre_techniques"]),
        "reason": verdict.get("reason"),
        "score": verdict.get("score"),
        "decided_name": verdict.get("decided_name"),
        "model": verdict.get("model"),
        "contributions": [_contribution(each) for each in ranked(verdict.get("contributions", ()))],
        "recalled": recalled(verdict.get("evidence", ()), verdict.get("contributions", ())),
        "dropped": [dict(each) for each in verdict.get("dropped", ())],
        "fields": [{"id": f"f{number}", **field} for number, field in enumerate(row["fields"], start=1)],
        "case": _case(cases[case_id]) if case_id in cases else None,
        "history": [_past(each) for each in history],
        "occurrences": [
            {
                "alert_id": str(each["id"]),
                "time": told(each["event_time"]),
                "file": each["file"],
                "line": each["line"],
                "offset_bytes": each["offset_bytes"],
            }
            for each in occurrences
        ],
        "raw": row["raw_log"],
    }


def _contribution(each: Any) -> Document:
    return {
        "rule": each["rule"],
        "weight": each["weight"],
        "closes": each["closes"],
        "text": each["claim"]["text"],
        "evidence": list(each["claim"]["evidence"]),
        "techniques": list(each["techniques"]),
    }


def _case(row: dict[str, Any]) -> Document:
    return {"case_id": str(row["id"]), "title": row["title"], "severity": row["severity"], "status": row["status"]}


def _past(row: dict[str, Any]) -> Document:
    return {
        "time": told(row["created_at"]),
        "verdict": row["label"],
        "confidence": round(row["confidence"], 4),
        "decided_by": row["decided_by"],
        "decided_name": row["decided_name"],
        "reason": row["reason"],
        "run_id": None if row["run_id"] is None else str(row["run_id"]),
    }
