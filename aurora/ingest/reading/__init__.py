"""Alert files become a stream of records: any shape of JSON, plain or compressed, in bounded memory."""

from __future__ import annotations

from aurora.ingest.reading.reader import MAX_RECORD_BYTES, read
from aurora.ingest.reading.records import Item, RawRecord, Reason, RejectedRecord
from aurora.ingest.reading.sources import Source, discover

__all__ = ["MAX_RECORD_BYTES", "Item", "RawRecord", "Reason", "RejectedRecord", "Source", "discover", "read"]
