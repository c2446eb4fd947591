"""Verdicts: append, recall, history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from aurora.kernel.ids import AlertId, BatchId, VerdictId
from aurora.kernel.models import Decider, Verdict
from aurora.storage.models import VerdictModel
from aurora.storage.repositories.base import Repository, chunks, table_of

_VERDICTS = table_of(VerdictModel)


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


class Verdicts(Repository):
    """Verdicts of one tenant. Append-only."""

    async def add(self, verdict: Verdict, *, dedup_hash: str, batch_id: BatchId | None) -> VerdictId:
        """Write a verdict; return its id, or that of the one which the same run wrote before.

        A node may run twice: the run's first verdict stands.
        """
        data = verdict.model_dump(mode="json")
        values: Mapping[str, Any] = {
            **{
                name: data[name]
                for name in (
                    "confidence",
                    "score",
                    "reason",
                    "evidence",
                    "contributions",
                    "techniques",
                    "dropped",
                    "decided_name",
                    "degraded",
                )
            },
            "id": verdict.id,
            "tenant": self._tenant,
            "alert_id": verdict.alert_id,
            "run_id": verdict.run_id,
            "batch_id": batch_id,
            "dedup_hash": dedup_hash,
            "label": verdict.label.value,
            "decided_by": verdict.decided_by.value,
            "created_at": verdict.created_at,
        }
        statement = (
            self._insert(_VERDICTS)
            .values(**values)
            .on_conflict_do_nothing(index_elements=["run_id"])
            .returning(_VERDICTS.c.id)
        )
        written = (await self._connection.execute(statement)).scalar()
        if written is None:
            written = await self._connection.scalar(
                select(_VERDICTS.c.id).where(_VERDICTS.c.tenant == self._tenant, _VERDICTS.c.run_id == verdict.run_id)
            )
        return VerdictId(_present(written))

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


def _present(value: UUID | None) -> UUID:
    if value is None:
        raise RuntimeError("a verdict was refused and is not there either")
    return value
