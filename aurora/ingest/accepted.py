"""The account of one input: what each of its records became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from aurora.ingest.reading import RejectedRecord
from aurora.kernel.errors import InputError
from aurora.kernel.ids import AlertId
from aurora.storage.repositories.batches import Batch

SHOWN = 100
"""Rejected records that the account keeps for people; all are kept in storage."""


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
    """The first hundred."""
    read: int = 0
    alerts: int = 0
    duplicates: int = 0
    rejects: int = 0
    known: int = 0
    """Alerts and duplicates that an earlier command had accepted."""
    by_file: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Records by (file, what became of them), in the words of `check`."""
    _records: bytearray = field(default_factory=bytearray)

    def add(self, record_id: UUID, alert_id: UUID) -> None:
        """Note the next record of the input, in input order."""
        self._records += record_id.bytes + alert_id.bytes + (len(self.files) - 1).to_bytes(4)
        if record_id == alert_id:
            self.alerts += 1
            self.by_file[self.files[-1], "triaged"] += 1
        else:
            self.duplicates += 1
            self.by_file[self.files[-1], "duplicate"] += 1

    def reject(self, record: RejectedRecord) -> None:
        """Note a record that cannot be used."""
        self.rejects += 1
        self.by_file[record.file, "rejected"] += 1
        if len(self.rejected) < SHOWN:
            self.rejected.append(record)

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
