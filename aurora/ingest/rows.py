"""How an accepted alert is written: plain rows for the bulk inserts of acceptance.

JSON columns hold their text, made in one go: models that become dictionaries and then text cost
a quarter of the time of a whole acceptance.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic_core import to_json

from aurora.ingest.reading import RawRecord, RejectedRecord
from aurora.kernel.models import Alert, Entity, EntityType, Observable, ObservableType, Severity
from aurora.storage.models.task import HELD
from aurora.storage.repositories.batches import Batch

Row = dict[str, Any]

_EMPTY = "{}"
_JSON_COLUMNS = ("affected_assets", "iocs", "entities", "fields", "mitre_techniques", "metadata")

PRIORITY = {Severity.CRITICAL: 9, Severity.HIGH: 7, Severity.MEDIUM: 5, Severity.LOW: 3, Severity.INFO: 1}
"""Task priority by severity; 9 is the most urgent."""

_NUL = "\N{SYMBOL FOR NULL}"
"""What a NUL character is shown as; as long as itself, so that no value outgrows its column."""

_LONGEST = 300
"""Longest value in the correlation index, in characters."""

_LINKING: dict[EntityType | ObservableType, str] = {
    EntityType.HOST: "host",
    EntityType.USER: "user",
    EntityType.ADDRESS: "ip",
    EntityType.MAILBOX: "email",
    EntityType.FILE: "file",
    ObservableType.IP: "ip",
    ObservableType.DOMAIN: "domain",
    ObservableType.URL: "url",
    ObservableType.EMAIL: "email",
    ObservableType.HASH_MD5: "hash",
    ObservableType.HASH_SHA1: "hash",
    ObservableType.HASH_SHA256: "hash",
}


def alert_row(
    alert: Alert, *, raw: bytes, dedup_hash: str, at: datetime, seq: int, batch: Batch, now: datetime, tenant: str
) -> Row:
    """Return the row of a new alert; it is its own group until the batch is accepted."""
    row: Row = {
        "id": alert.id,
        "tenant": tenant,
        "title": str.__str__(alert.title),
        "description": str.__str__(alert.description),
        "severity": alert.severity.value,
        "status": "new",
        "source": alert.source,
        "format": alert.format,
        "product": alert.product,
        "rule": alert.rule,
        "affected_assets": _json(sorted({each.value for each in alert.entities if each.type is EntityType.HOST})),
        "iocs": _json(alert.observables),
        "entities": _json(alert.entities),
        "fields": _json(alert.fields),
        "mitre_techniques": _json(alert.mitre_techniques),
        "raw_log": raw.decode("utf-8", "replace"),
        "dedup_hash": dedup_hash,
        "count": 1,
        "first_seen": at,
        "last_seen": at,
        "event_time": alert.time,
        "batch_id": batch.id,
        "batch_seq": seq,
        "group_id": alert.id,
        "metadata": _EMPTY,
        "created_at": now,
    }
    return _visible(row) if b"\\u0000" in raw else row


def entity_rows(alert: Alert, *, at: datetime, batch: Batch, tenant: str) -> list[Row]:
    """Return one row for each distinct value that can tie alerts together."""
    values = set[tuple[str, str]]()
    named: tuple[Entity | Observable, ...] = (*alert.entities, *alert.observables)
    for each in named:
        kind = _LINKING.get(each.type)
        if kind is not None:
            values.add((kind, _short(each.value).replace("\0", _NUL)))
    return [
        {
            "alert_id": alert.id,
            "type": kind,
            "value": value,
            "tenant": tenant,
            "batch_id": batch.id,
            "event_time": at,
        }
        for kind, value in sorted(values)
    ]


def task_row(alert: Alert, *, task_id: UUID, run_id: UUID, graph: str, batch: Batch, now: datetime, tenant: str) -> Row:
    """Return the task that triages a new alert, held until its batch is accepted."""
    return {
        "id": task_id,
        "tenant": tenant,
        "run_id": run_id,
        "graph": graph,
        "thread_id": f"{graph}:{run_id}",
        "alert_id": alert.id,
        "priority": PRIORITY[alert.severity],
        "idempotency_key": f"{graph}:{alert.id}",
        "state": "queued",
        "epoch": 0,
        "attempt": 0,
        "max_attempts": 5,
        "cancel_requested": False,
        "woken": False,
        "result_due": False,
        "batch_id": batch.id,
        "run_at": HELD,
        "created_at": now,
    }


def run_row(*, task_id: UUID, run_id: UUID, graph: str, tenant: str) -> Row:
    """Return the run of that task, written before anything else of it."""
    return {
        "id": run_id,
        "tenant": tenant,
        "task_id": task_id,
        "graph": graph,
        "thread_id": f"{graph}:{run_id}",
        "details": _EMPTY,
    }


def record_row(record: RawRecord, *, id: UUID, alert_id: UUID, batch: Batch, at: datetime, tenant: str) -> Row:
    """Return the row of one record; a duplicate keeps its own raw text."""
    return {
        "id": id,
        "tenant": tenant,
        "record_key": record.key,
        "alert_id": alert_id,
        "batch_id": batch.id,
        "file": record.file,
        "line": record.line,
        "offset_bytes": record.offset,
        "event_time": at,
        "raw": None if id == alert_id else record.raw,
    }


def rejected_row(record: RejectedRecord, *, batch: Batch, id: UUID, at: datetime, format_id: str | None) -> Row:
    """Return the row of a record that cannot be used."""
    return {
        "id": id,
        "record_key": record.key,
        "batch_id": batch.id,
        "file": record.file,
        "line": record.line,
        "offset_bytes": record.offset,
        "size_bytes": record.size_bytes,
        "format": format_id,
        "reason": record.reason,
        "message": record.message[:500],
        "raw": record.raw,
        "rejected_at": at,
    }


def _json(value: Any) -> str:
    return to_json(value).decode()


def _visible(row: Row) -> Row:
    """Make NUL characters of a row visible; in JSON they hide behind an escape."""
    plain = {key: orjson.loads(value) if key in _JSON_COLUMNS else value for key, value in row.items()}
    return {key: _json(value) if key in _JSON_COLUMNS else value for key, value in _without_nul(plain).items()}


def _without_nul(value: Any) -> Any:
    """Make NUL characters visible: PostgreSQL stores none, neither in text nor in JSON."""
    if isinstance(value, str):
        return value.replace("\0", _NUL)
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_nul(each) for key, each in value.items()}
    return value


def _short(value: str) -> str:
    if len(value) <= _LONGEST:
        return value
    return f"sha256:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
