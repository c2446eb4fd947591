"""Verdicts: append, recall, history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from aurora.kernel.ids import AlertId, BatchId, VerdictId
from aurora.kernel.models import Decider, Verdict, VerdictLabel
from aurora.storage.models import VerdictModel
from aurora.storage.repositories.alerts import StoredAlert
from aurora.storage.repositories.base import Repository, chunks, table_of

_VERDICTS = table_of(VerdictModel)
_AS_JSON = {
    "confidence",
    "score",
    "reason",
    "evidence",
    "contributions",
    "techniques",
    "dropped",
    "decided_name",
    "degraded",
    "model",
}


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """What was concluded before of an alert with the same fingerprint."""

    verdict_id: VerdictId
    alert_id: AlertId
    label: str
    confidence: float
    decided_by: Decider
    decided_name: str
    reason: str
    created_at: datetime
    batch_id: BatchId | None
    """The batch in which it was reached; `None`: a correction."""


class Standing(NamedTuple):
    """The verdict that stands after one was written."""

    id: VerdictId
    label: VerdictLabel


class Verdicts(Repository):
    """Verdicts of one tenant. Append-only."""

    async def add(self, verdicts: Sequence[tuple[Verdict, StoredAlert]]) -> dict[VerdictId, Standing]:
        """Write verdicts of alerts; return, for the id of each, the one that stands.

        They differ where the same run wrote a verdict before: a node may run twice, and its first word stands.
        """
        statement = self._insert(_VERDICTS).on_conflict_do_nothing(index_elements=["run_id"])
        await self._connection.execute(statement, [self._row(verdict, stored) for verdict, stored in verdicts])
        runs = [verdict.run_id for verdict, _ in verdicts if verdict.run_id is not None]
        query = select(_VERDICTS.c.run_id, _VERDICTS.c.id, _VERDICTS.c.label).where(
            _VERDICTS.c.tenant == self._tenant, _VERDICTS.c.run_id.in_(runs)
        )
        of_run = {
            row.run_id: Standing(VerdictId(row.id), VerdictLabel(row.label))
            for row in (await self._connection.execute(query) if runs else ())
        }
        return {
            verdict.id: of_run[verdict.run_id] if verdict.run_id else Standing(verdict.id, verdict.label)
            for verdict, _ in verdicts
        }

    def _row(self, verdict: Verdict, stored: StoredAlert) -> dict[str, Any]:
        return {
            **verdict.model_dump(mode="json", include=_AS_JSON),
            "id": verdict.id,
            "tenant": self._tenant,
            "alert_id": verdict.alert_id,
            "run_id": verdict.run_id,
            "batch_id": None if verdict.decided_by is Decider.ANALYST else stored.batch_id,
            "dedup_hash": stored.dedup_hash,
            "label": verdict.label.value,
            "decided_by": verdict.decided_by.value,
            "created_at": verdict.created_at,
        }

    async def recall(self, dedup_hashes: Sequence[str]) -> dict[str, list[PastVerdict]]:
        """Return the verdicts of fingerprints: corrections by analysts first, then the newest."""
        found: dict[str, list[PastVerdict]] = {}
        for part in chunks(dedup_hashes):
            query = (
                select(
                    _VERDICTS.c.id,
                    _VERDICTS.c.alert_id,
                    _VERDICTS.c.label,
                    _VERDICTS.c.confidence,
                    _VERDICTS.c.decided_by,
                    _VERDICTS.c.decided_name,
                    _VERDICTS.c.reason,
                    _VERDICTS.c.created_at,
                    _VERDICTS.c.dedup_hash,
                    _VERDICTS.c.batch_id,
                )
                .where(_VERDICTS.c.tenant == self._tenant, _VERDICTS.c.dedup_hash.in_(part))
                .order_by(
                    (_VERDICTS.c.decided_by == Decider.ANALYST).desc(),
                    _VERDICTS.c.created_at.desc(),
                    _VERDICTS.c.id.desc(),
                )
            )
            for row in await self._connection.execute(query):
                found.setdefault(row.dedup_hash, []).append(
                    PastVerdict(
                        verdict_id=VerdictId(row.id),
                        alert_id=AlertId(row.alert_id),
                        label=row.label,
                        confidence=row.confidence,
                        decided_by=Decider(row.decided_by),
                        decided_name=row.decided_name,
                        reason=row.reason,
                        created_at=row.created_at,
                        batch_id=row.batch_id,
                    )
                )
        return found

    async def history(self, alert_id: AlertId) -> list[dict[str, Any]]:
        """Return every verdict of an alert, the oldest first, as plain columns."""
        query = (
            select(_VERDICTS)
            .where(_VERDICTS.c.tenant == self._tenant, _VERDICTS.c.alert_id == alert_id)
            .order_by(_VERDICTS.c.created_at, _VERDICTS.c.id)
        )
        return [dict(row._mapping) for row in await self._connection.execute(query)]

    async def of_run(self, run_id: UUID) -> dict[str, Any] | None:
        """Return the verdict that a run reached, as plain columns."""
        query = select(_VERDICTS).where(_VERDICTS.c.tenant == self._tenant, _VERDICTS.c.run_id == run_id)
        row = (await self._connection.execute(query)).first()
        return None if row is None else dict(row._mapping)
