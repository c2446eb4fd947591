"""Single alerts that a program hands in: entered by the rules of acceptance, one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import orjson
from sqlalchemy.exc import IntegrityError

from aurora.ingest.chunks import ChunkWriter, Incoming
from aurora.ingest.dedup import fingerprint, join, joinable
from aurora.ingest.formats.aurora import FORMAT
from aurora.ingest.grouping import correlate_batch
from aurora.ingest.reading import MAX_RECORD_BYTES, RawRecord
from aurora.kernel.clock import Clock
from aurora.kernel.errors import Conflict, NotFound, RecordRejected
from aurora.kernel.ids import AlertId, BatchId, IdFactory
from aurora.kernel.models import Alert
from aurora.storage.repositories.batches import Batch
from aurora.storage.repositories.intake import Known
from aurora.storage.unit_of_work import Storage, Transaction

NAME = "api"
"""Where the record of such an alert says that it was read."""

REMEMBERED = 10_000
"""Alerts that a book in memory holds; the oldest go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the book says of an alert that was handed in."""

    alert: Alert
    """The alert itself, or the one that it repeats."""
    is_announced: bool


class AlertBook(Protocol):
    """Where alerts are entered."""

    async def enter(self, incoming: Incoming) -> Entry:
        """Enter an alert; what was entered before, or repeats an open alert, gives that one."""

    async def announced(self, alert: AlertId) -> None:
        """Note that the alert was announced."""


def incoming(data: Mapping[str, Any], *, ids: IdFactory) -> Incoming:
    """Return what a program handed in as acceptance sees a record.

    Its `id`, a UUID, becomes that of the alert, and whatever comes with the same id again is the same record.
    Without one the whole content is the identity, as it is in a file.

    Args:
        data: An alert in Aurora's own format; see `aurora.ingest.formats.aurora`.
        ids: Where the other ids come from.

    Raises:
        RecordRejected: it is no such alert; the message names the field.
    """
    try:
        raw = orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise RecordRejected(f"the alert cannot be written as JSON: {error}", reason="invalid_json") from error
    if len(raw) > MAX_RECORD_BYTES:
        message = f"the alert takes {len(raw)} bytes, at most {MAX_RECORD_BYTES} are allowed"
        raise RecordRejected(message, reason="record_too_large", size_bytes=len(raw))
    document = orjson.loads(raw)
    given = _given_id(document)
    identity = raw if given is None else given.bytes
    alert = FORMAT.normalise(document, id=AlertId(given or ids()))
    key = hashlib.sha256(b"aurora.alert\0" + identity).digest()
    record = RawRecord(file=NAME, line=1, offset=0, key=key, raw=raw, document=document)
    return Incoming(record, alert, fingerprint(alert), ids(), ids())


def _given_id(document: Mapping[str, Any]) -> UUID | None:
    value = document.get("id")
    if value is None or value == "":
        return None
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise RecordRejected("id must be a UUID; leave it out to get one", reason="invalid_value", field="id") from None


class StoredBook:
    """Enters alerts into the database: alert, record, task and relations in one transaction."""

    def __init__(self, *, storage: Storage, clock: Clock, ids: IdFactory, graph: str, window: timedelta) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._graph = graph
        self._window = window

    async def enter(self, incoming: Incoming) -> Entry:
        """As `AlertBook` says.

        Raises:
            Conflict: the id is that of something that is no alert of this tenant.
            StorageUnavailable: the database refused; nothing was entered.
        """
        try:
            async with self._storage.accepting() as transaction:
                alert_id = await _known(transaction, incoming)
                if alert_id is None:
                    alert_id = await self._accept(transaction, incoming)
                stored = await transaction.alerts.load(alert_id)
                return Entry(stored.alert, await transaction.announcements.is_made(alert_id))
        except IntegrityError as error:
            raise Conflict("this id is taken; leave it out to get a free one", id=str(incoming.alert.id)) from error

    async def announced(self, alert: AlertId) -> None:
        async with self._storage.writing() as transaction:
            await transaction.announcements.made(alert, at=self._clock.now())

    async def _accept(self, transaction: Transaction, incoming: Incoming) -> AlertId:
        now = self._clock.now()
        batch = Batch(BatchId(self._ids()), "accepting", now)
        await transaction.batches.open(batch, inputs=[NAME], inputs_digest=incoming.record.key)
        writer = ChunkWriter(transaction, batch, now=now, graph=self._graph, window=self._window)
        placed = await writer.write([incoming])
        await correlate_batch(transaction.correlation, batch.id)
        await transaction.batches.accepted(batch.id, at=now)
        return AlertId(placed[incoming.record.key][1])


async def _known(transaction: Transaction, incoming: Incoming) -> AlertId | None:
    """Return the alert of a record that was entered before, or that acceptance gave this id."""
    records = await transaction.intake.records([incoming.record.key])
    if incoming.record.key in records:
        return AlertId(records[incoming.record.key][1])
    try:
        return await transaction.alerts.resolve(str(incoming.alert.id))
    except NotFound:
        return None


class MemoryBook:
    """Enters alerts by the same rules into the memory of this process: for tests, and where nothing is kept."""

    def __init__(self, *, clock: Clock, window: timedelta, most: int = REMEMBERED) -> None:
        self._clock = clock
        self._window = window
        self._most = most
        self._entered: dict[UUID, Incoming] = {}
        self._by_key: dict[bytes, UUID] = {}
        self._open: dict[str, list[Known]] = {}
        self._announced: set[UUID] = set()

    async def enter(self, incoming: Incoming) -> Entry:
        key = incoming.record.key
        known = self._by_key.get(key)
        if known not in self._entered:
            self._by_key.pop(key, None)
            known = self._by_key[key] = self._place(incoming)
            if len(self._by_key) > self._most:
                del self._by_key[next(iter(self._by_key))]
        return Entry(self._entered[known].alert, known in self._announced)

    async def announced(self, alert: AlertId) -> None:
        self._announced.add(alert)

    def _place(self, incoming: Incoming) -> UUID:
        """Return the id of the alert that it repeats, or of itself."""
        at: datetime = incoming.alert.time or self._clock.now()
        seen = joinable(self._open.get(incoming.fingerprint, ()), at, window=self._window)
        if seen is not None:
            join(seen, at)
            return seen.id
        if len(self._entered) >= self._most:
            self._forget(next(iter(self._entered)))
        alert_id = incoming.alert.id
        self._entered[alert_id] = incoming
        self._open.setdefault(incoming.fingerprint, []).append(Known(alert_id, at, at, 1))
        return alert_id

    def _forget(self, alert: UUID) -> None:
        mark = self._entered.pop(alert).fingerprint
        self._announced.discard(alert)
        self._open[mark] = [each for each in self._open[mark] if each.id != alert]
        if not self._open[mark]:
            del self._open[mark]
