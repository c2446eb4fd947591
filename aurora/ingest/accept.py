"""Acceptance: a whole input becomes rows before the first of its alerts is triaged."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from aurora.ingest.dedup import fingerprint, join, joinable
from aurora.ingest.formats.base import Format
from aurora.ingest.formats.registry import Formats
from aurora.ingest.grouping import correlate_batch
from aurora.ingest.reading import MAX_RECORD_BYTES, RawRecord, RejectedRecord, Source, read
from aurora.ingest.rows import alert_row, entity_rows, record_row, rejected_row, run_row, task_row
from aurora.kernel.clock import Clock
from aurora.kernel.errors import InputError, RecordRejected
from aurora.kernel.ids import AlertId, BatchId, IdFactory
from aurora.kernel.models import Alert
from aurora.kernel.windows import WINDOW
from aurora.storage.repositories.batches import Batch
from aurora.storage.repositories.intake import Known
from aurora.storage.unit_of_work import Storage, Transaction

CHUNK = 2000
"""Records in one transaction: 0.5 s of work, so a kill repeats little; half as many cost 8 % more."""


@dataclass
class Accepted:
    """What one input became. Grows with the number of alert records: 36 bytes each."""

    batch: Batch
    files: list[str] = field(default_factory=list)
    formats: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Records by (file, id of the format that was detected)."""
    context: Counter[str] = field(default_factory=Counter)
    """Records that are no alerts, by kind."""
    rejected: list[RejectedRecord] = field(default_factory=list)
    """The first hundred; all are kept in storage."""
    read: int = 0
    alerts: int = 0
    duplicates: int = 0
    rejects: int = 0
    known: int = 0
    """Alerts and duplicates that an earlier command had accepted."""
    _records: bytearray = field(default_factory=bytearray)

    def add(self, record_id: UUID, alert_id: UUID) -> None:
        """Note the next record of the input, in input order."""
        self._records += record_id.bytes + alert_id.bytes + (len(self.files) - 1).to_bytes(4)
        if record_id == alert_id:
            self.alerts += 1
        else:
            self.duplicates += 1

    def records(self) -> Iterator[tuple[UUID, AlertId, str]]:
        """Yield (record id, alert id, file) in input order."""
        for at in range(0, len(self._records), 36):
            entry = self._records[at : at + 36]
            yield (
                UUID(bytes=bytes(entry[:16])),
                AlertId(UUID(bytes=bytes(entry[16:32]))),
                self.files[int.from_bytes(entry[32:])],
            )

    def check(self) -> dict[str, int]:
        """Return the counts, having made sure that every record is accounted for.

        Raises:
            InputError: records went missing; this is a fault of Aurora.
        """
        counts = {
            "read": self.read,
            "triaged": self.alerts,
            "duplicate": self.duplicates,
            "context": self.context.total(),
            "rejected": self.rejects,
        }
        if self.read != sum(counts.values()) - self.read:
            raise InputError(f"records do not add up: {counts}; please report this", **counts)
        return counts


Detected = tuple[RawRecord, Format]


class Acceptor:
    """Reads sources and writes what they hold, a chunk a transaction."""

    def __init__(
        self,
        *,
        storage: Storage,
        formats: Formats,
        clock: Clock,
        ids: IdFactory,
        graph: str,
        window: timedelta = WINDOW,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._storage = storage
        self._window = window
        self._max_record_bytes = max_record_bytes
        self._formats = formats
        self._clock = clock
        self._ids = ids
        self._graph = graph

    async def accept(
        self, sources: Sequence[Source], *, hint: str | None = None, on_progress: Callable[[int], None] | None = None
    ) -> Accepted:
        """Accept everything that the sources hold; continue where a killed command stopped.

        Args:
            sources: Inputs, in order.
            hint: Id of the format that all records have; `None`: detect it for each record.
            on_progress: Called with the number of bytes (as stored) that were read since the last call.

        Raises:
            SourceUnreadable: a source went away while it was read.
            StorageUnavailable: the database refused; what was accepted before stays.
        """
        accepted = Accepted(await self._open_batch(sources, hint))
        for source in sources:
            accepted.files.append(source.name)
            records = read(source, max_record_bytes=self._max_record_bytes, on_progress=on_progress)
            while chunk := await asyncio.to_thread(lambda: list(islice(records, CHUNK))):  # noqa: B023 - awaited here
                await self._accept_chunk(accepted, chunk, hint)
        await self._close_batch(accepted.batch)
        return accepted

    async def _open_batch(self, sources: Sequence[Source], hint: str | None) -> Batch:
        names = [source.name for source in sources]
        digest = hashlib.sha256("\0".join([str(Path.cwd()), *names, hint or ""]).encode()).digest()
        async with self._storage.writing() as transaction:
            batch = await transaction.batches.unfinished(digest)
            if batch is None:
                batch = Batch(BatchId(self._ids()), "accepting", self._clock.now())
                await transaction.batches.open(batch, inputs=names, inputs_digest=digest)
        return batch

    async def _close_batch(self, batch: Batch) -> None:
        if batch.state != "accepting":
            return
        async with self._storage.writing() as transaction:
            await correlate_batch(transaction.correlation, batch.id)
            await transaction.batches.accepted(batch.id, at=self._clock.now())

    async def _accept_chunk(
        self, accepted: Accepted, chunk: Sequence[RawRecord | RejectedRecord], hint: str | None
    ) -> None:
        found, rejects = self._detect(accepted, chunk, hint)
        async with self._storage.writing() as transaction:
            known = await transaction.intake.records([record.key for record, _ in found])
            fresh = [each for each in found if each[0].key not in known]
            alerts, unusable = await asyncio.to_thread(self._normalise, fresh)
            writer = _ChunkWriter(
                transaction,
                accepted.batch,
                now=self._clock.now(),
                ids=self._ids,
                graph=self._graph,
                window=self._window,
            )
            placed = await writer.write(alerts)
            await transaction.batches.reject(
                [
                    rejected_row(each, batch=accepted.batch, id=self._ids(), at=self._clock.now(), format_id=format_id)
                    for each, format_id in (*rejects, *unusable)
                ]
            )
        self._account(accepted, found, known, placed, [each for each, _ in (*rejects, *unusable)])
        accepted.read += len(chunk)

    def _detect(
        self, accepted: Accepted, chunk: Sequence[RawRecord | RejectedRecord], hint: str | None
    ) -> tuple[list[Detected], list[tuple[RejectedRecord, str | None]]]:
        """Tell alerts from context and from what nobody recognises."""
        alerts: list[Detected] = []
        rejects: list[tuple[RejectedRecord, str | None]] = []
        file = accepted.files[-1]
        for item in chunk:
            if isinstance(item, RejectedRecord):
                rejects.append((item, None))
                continue
            recognised = self._formats.by_id(hint) if hint else self._formats.detect(item.document)
            if recognised is None:
                rejects.append(
                    (
                        _rejected(
                            item,
                            "unknown_format",
                            "no known format matches this record; `aurora content list --kind format` "
                            "shows the formats",
                        ),
                        None,
                    )
                )
                continue
            accepted.formats[file, recognised.id] += 1
            kind = recognised.context(item.document)
            if kind is None:
                alerts.append((item, recognised))
            else:
                accepted.context[kind] += 1
        return alerts, rejects

    def _normalise(
        self, found: Sequence[Detected]
    ) -> tuple[list[tuple[RawRecord, Alert]], list[tuple[RejectedRecord, str | None]]]:
        alerts: list[tuple[RawRecord, Alert]] = []
        rejects: list[tuple[RejectedRecord, str | None]] = []
        for record, recognised in found:
            try:
                alerts.append((record, recognised.normalise(record.document, id=AlertId(self._ids()))))
            except RecordRejected as rejected:
                rejects.append((_rejected(record, rejected.reason, rejected.message), recognised.id))
        return alerts, rejects

    def _account(
        self,
        accepted: Accepted,
        found: Sequence[Detected],
        known: dict[bytes, tuple[UUID, UUID]],
        placed: dict[bytes, tuple[UUID, UUID]],
        rejects: Sequence[RejectedRecord],
    ) -> None:
        """Note every record of the chunk, in input order."""
        refused = {each.key for each in rejects}
        for record, _ in found:
            if record.key in refused:
                continue
            if record.key in known:
                accepted.known += 1
            accepted.add(*(known.get(record.key) or placed[record.key]))
        accepted.rejects += len(rejects)
        accepted.rejected.extend(rejects[: max(0, 100 - len(accepted.rejected))])


class _ChunkWriter:
    """Turns the alerts of one chunk into rows; finds out which of them are duplicates."""

    def __init__(
        self, transaction: Transaction, batch: Batch, *, now: datetime, ids: IdFactory, graph: str, window: timedelta
    ) -> None:
        self._transaction = transaction
        self._batch = batch
        self._now = now
        self._ids = ids
        self._graph = graph
        self._window = window
        self._rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("alerts", "entities", "tasks", "runs", "records")
        }

    async def write(self, alerts: Sequence[tuple[RawRecord, Alert]]) -> dict[bytes, tuple[UUID, UUID]]:
        """Write all rows; return {record key: (record id, alert id)}."""
        prints = [fingerprint(alert) for _, alert in alerts]
        intake = self._transaction.intake
        candidates: dict[str, list[Known]] = await intake.open_alerts(sorted(set(prints)))
        seq = await self._transaction.correlation.next_seq(self._batch.id)
        placed: dict[bytes, tuple[UUID, UUID]] = {}
        again: dict[UUID, Known] = {}
        for (record, alert), dedup_hash in zip(alerts, prints, strict=True):
            if record.key in placed:  # two copies of one file in a command
                continue
            at = alert.time or self._batch.opened_at
            seen = joinable(candidates.get(dedup_hash, ()), at, window=self._window)
            if seen is None:
                seen = Known(alert.id, at, at, 1)
                candidates.setdefault(dedup_hash, []).append(seen)
                self._new(record, alert, dedup_hash, at=at, seq=seq)
                seq += 1
            else:
                join(seen, at)
                again[seen.id] = seen
            placed[record.key] = (alert.id, seen.id)
            self._rows["records"].append(
                record_row(
                    record, id=alert.id, alert_id=seen.id, batch=self._batch, at=at, tenant=self._transaction.tenant
                )
            )
        await intake.add(**self._rows)
        await intake.seen_again(list(again.values()))
        return placed

    def _new(self, record: RawRecord, alert: Alert, dedup_hash: str, *, at: datetime, seq: int) -> None:
        tenant = self._transaction.tenant
        task_id, run_id = self._ids(), self._ids()
        self._rows["alerts"].append(
            alert_row(
                alert,
                raw=record.raw,
                dedup_hash=dedup_hash,
                at=at,
                seq=seq,
                batch=self._batch,
                now=self._now,
                tenant=tenant,
            )
        )
        self._rows["entities"].extend(entity_rows(alert, at=at, batch=self._batch, tenant=tenant))
        self._rows["tasks"].append(
            task_row(alert, task_id=task_id, run_id=run_id, graph=self._graph, now=self._now, tenant=tenant)
        )
        self._rows["runs"].append(run_row(task_id=task_id, run_id=run_id, graph=self._graph, tenant=tenant))


def _rejected(record: RawRecord, reason: str, message: str) -> RejectedRecord:
    return RejectedRecord(
        record.file, record.line, record.offset, record.key, record.raw[: 64 * 1024], len(record.raw), reason, message
    )
