"""What tools look up, answered by storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import ObservableType
from aurora.kernel.models.alert import moment
from aurora.kernel.ports.lookup import Tie
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.storage.unit_of_work import Storage

MOST = 20
"""Alerts in one answer."""


class StoredLookup:
    """Implements `aurora.kernel.ports.lookup.Lookup` on one tenant's storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def past_alerts(self, alert_id: AlertId, tie: Tie, value: str, *, days: int) -> Sequence[Finding]:
        async with self._storage.reading() as transaction:
            rows = await transaction.lookup.past_alerts(alert_id, tie, value, days=days, limit=MOST)
        return [_past(row) for row in rows]

    async def indicator(self, type: ObservableType, value: str) -> Sequence[Finding]:
        async with self._storage.reading() as transaction:
            rows = await transaction.lookup.indicators(type, value)
        return [_indicator(row) for row in rows]


def _past(row: Mapping[str, Any]) -> Finding:
    verdict = row["label"] or "none yet"
    return Finding(
        kind="past_alert",
        provenance=Provenance.AGENT_DERIVED,
        source=f"alert:{row['id']}",
        text=UntrustedText(
            f"{moment(row['first_seen'])} {row['severity']} {quoted(row['title'], limit=100)}, verdict {verdict}"
            + (f" by {row['decided_by']}" if row["decided_by"] else "")
            + (f", seen {row['count']} times" if row["count"] > 1 else "")
        ),
        attributes={
            "alert": str(row["id"]),
            "title": row["title"],
            "severity": row["severity"],
            "verdict": verdict,
            "decided_by": row["decided_by"] or "",
            "time": moment(row["first_seen"]),
            "rule": row["rule"] or "",
        },
    )


def _indicator(row: Mapping[str, Any]) -> Finding:
    return Finding(
        kind="indicator",
        # That the value matters here is a model's idea, whoever vouches for the entry.
        provenance=Provenance.AGENT_DERIVED,
        source=f"indicator:{row['id']}",
        text=UntrustedText(
            f"{row['source']} vouches that {quoted(row['value'], limit=80)} is bad, "
            f"confidence {row['confidence']:.2f}, {row['status']}"
        ),
        attributes={
            "type": row["type"],
            "value": row["value"],
            "source": row["source"],
            "confidence": f"{row['confidence']:.2f}",
            "status": row["status"],
        },
    )
