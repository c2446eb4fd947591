"""A chunk of records: read and normalised without the database, then written in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from aurora.ingest.dedup import fingerprint, join, joinable
from aurora.ingest.formats.base import Format
from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import RawRecord, RejectedRecord
from aurora.ingest.reading.records import KEPT_BYTES
from aurora.ingest.rows import alert_row, entity_rows, record_row, rejected_row, run_row, task_row
from aurora.kernel.errors import RecordRejected
from aurora.kernel.ids import AlertId, IdFactory
from aurora.kernel.models import Alert
from aurora.storage.repositories.batches import Batch
from aurora.storage.repositories.intake import Known
from aurora.storage.unit_of_work import Transaction

Placed = dict[bytes, tuple[UUID, UUID]]
"""By record key: id of the record, and of the alert that it is or repeats."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record of an alert, with the ids of what it becomes if it is new."""

    record: RawRecord
    alert: Alert
    fingerprint: str
    task_id: UUID
    run_id: UUID


@dataclass(slots=True)
class Chunk:
    """Consecutive records, told apart."""

    read: int = 0
    incoming: list[Incoming] = field(default_factory=list)
    rejects: list[tuple[UUID, RejectedRecord, str | None]] = field(default_factory=list)
    """Id, record, and id of the format that refused it."""
    formats: Counter[str] = field(default_factory=Counter)
    context: Counter[str] = field(default_factory=Counter)


class Preparer:
    """Detects and normalises. Uses neither the database nor the clock, so it may run in another thread.

    All ids are drawn here, one chunk after the other, so that they do not depend on threads.
    """

    def __init__(self, *, formats: Formats, ids: IdFactory, hint: str | None) -> None:
        self._formats = formats
        self._ids = ids
        self._hint = hint
        self._last: str | None = None
        """Id of the format of the record before: the next one is mostly of the same."""

    def prepare(self, items: Iterable[RawRecord | RejectedRecord]) -> Chunk:
        """Tell alerts from context, and both from what cannot be used."""
        chunk = Chunk()
        for item in items:
            chunk.read += 1
            if isinstance(item, RejectedRecord):
                chunk.rejects.append((self._ids(), item, None))
            else:
                self._tell(chunk, item)
        return chunk

    def _tell(self, chunk: Chunk, record: RawRecord) -> None:
        if self._hint:
            recognised: Format | None = self._formats.by_id(self._hint)
        else:
            recognised = self._formats.detect(record.document, hint=self._last)
        if recognised is None:
            message = "no known format matches this record; `aurora content list --kind format` shows the formats"
            chunk.rejects.append((self._ids(), _rejected(record, "unknown_format", message), None))
            return
        self._last = recognised.id
        chunk.formats[recognised.id] += 1
        kind = recognised.context(record.document)
        if kind is not None:
            chunk.context[kind] += 1
            return
        try:
            alert = recognised.normalise(record.document, id=AlertId(self._ids()))
        except RecordRejected as rejected:
            refused = _rejected(record, rejected.reason, rejected.message)
            chunk.rejects.append((self._ids(), refused, recognised.id))
            return
        chunk.incoming.append(Incoming(record, alert, fingerprint(alert), self._ids(), self._ids()))


class ChunkWriter:
    """Turns the new records of one chunk into rows; finds out which of them are duplicates."""

    def __init__(self, transaction: Transaction, batch: Batch, *, now: datetime, graph: str, window: timedelta) -> None:
        self._transaction = transaction
        self._batch = batch
        self._now = now
        self._graph = graph
        self._window = window
        self._rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("alerts", "entities", "tasks", "runs", "records")
        }

    async def write(self, incoming: Sequence[Incoming]) -> Placed:
        """Write alerts, records, tasks and runs; return what each record became."""
        intake = self._transaction.intake
        candidates: dict[str, list[Known]] = await intake.open_alerts(sorted({each.fingerprint for each in incoming}))
        positions = count(await self._transaction.correlation.next_seq(self._batch.id))
        placed: Placed = {}
        again: dict[UUID, Known] = {}
        for each in incoming:
            if each.record.key in placed:  # two copies of one file in a command
                continue
            at = each.alert.time or self._batch.opened_at
            seen = joinable(candidates.get(each.fingerprint, ()), at, window=self._window)
            if seen is None:
                seen = Known(each.alert.id, at, at, 1)
                candidates.setdefault(each.fingerprint, []).append(seen)
                self._new(each, at=at, seq=next(positions))
            else:
                join(seen, at)
                again[seen.id] = seen
            placed[each.record.key] = (each.alert.id, seen.id)
            self._rows["records"].append(
                record_row(
                    each.record,
                    id=each.alert.id,
                    alert_id=seen.id,
                    batch=self._batch,
                    at=at,
                    tenant=self._transaction.tenant,
                )
            )
        await intake.add(**self._rows)
        await intake.seen_again(list(again.values()))
        return placed

    async def reject(self, rejects: Iterable[tuple[UUID, RejectedRecord, str | None]]) -> None:
        """Keep what cannot be used, with its reason."""
        await self._transaction.batches.reject(
            [
                rejected_row(record, batch=self._batch, id=id_, at=self._now, format_id=format_id)
                for id_, record, format_id in rejects
            ]
        )

    def _new(self, incoming: Incoming, *, at: datetime, seq: int) -> None:
        tenant, alert = self._transaction.tenant, incoming.alert
        task_id, run_id = incoming.task_id, incoming.run_id
        self._rows["alerts"].append(
            alert_row(
                alert,
                raw=incoming.record.raw,
                dedup_hash=incoming.fingerprint,
                at=at,
                seq=seq,
                batch=self._batch,
                now=self._now,
                tenant=tenant,
            )
        )
        self._rows["entities"].extend(entity_rows(alert, at=at, batch=self._batch, tenant=tenant))
        self._rows["tasks"].append(
            task_row(
                alert,
                task_id=task_id,
                run_id=run_id,
                graph=self._graph,
                batch=self._batch,
                now=self._now,
                tenant=tenant,
            )
        )
        self._rows["runs"].append(run_row(task_id=task_id, run_id=run_id, graph=self._graph, tenant=tenant))


def _rejected(record: RawRecord, reason: str, message: str) -> RejectedRecord:
    return RejectedRecord(
        record.file, record.line, record.offset, record.key, record.raw[:KEPT_BYTES], len(record.raw), reason, message
    )
