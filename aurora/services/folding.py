"""Makes one alert of those that turn out to be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from aurora.ingest.dedup import overlapping
from aurora.kernel.clock import Clock
from aurora.kernel.windows import WINDOW
from aurora.storage.repositories.duplicates import Candidate
from aurora.storage.repositories.intake import Known
from aurora.storage.unit_of_work import Storage, Transaction

PAGE = 200
"""Fingerprints in one transaction: acceptance waits for it."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What one sweep did."""

    folded: int
    """Alerts that became duplicates."""
    left: int
    """Duplicates that stay alerts of their own, because somebody has judged them or is about to."""


async def fold_duplicates(storage: Storage, *, clock: Clock, window: timedelta = WINDOW) -> Folded:
    """Fold open alerts of one fingerprint whose windows meet. Safe to run anywhere, any number of times.

    Acceptance lets none in when records arrive in order. Those that arrive late may bring two alerts, each with
    a window of its own, within reach of one another. Only an alert that nobody has judged, and whose triage
    has not begun, becomes a duplicate: a verdict is never taken back here.

    Raises:
        StorageUnavailable: the database refused; what was folded before stays folded.
    """
    folded = left = 0
    after = ""
    while True:
        async with storage.accepting() as transaction:
            fingerprints = await transaction.duplicates.repeated(after=after, limit=PAGE)
            if not fingerprints:
                return Folded(folded, left)
            candidates = await transaction.duplicates.candidates(fingerprints)
            for _, same in groupby(candidates, key=attrgetter("dedup_hash")):
                for group in overlapping(same, window=window):
                    count = await _fold_group(transaction, group, clock)
                    folded += count
                    left += len(group) - 1 - count
        after = fingerprints[-1]


async def _fold_group(transaction: Transaction, group: Sequence[Candidate], clock: Clock) -> int:
    """Fold what may be folded into the alert that was judged first, or else the earliest; return how many."""
    kept = next((each for each in group if not each.is_untouched), group[0])
    seen = Known(kept.id, kept.first_seen, kept.last_seen, kept.count)
    count = 0
    for each in group:
        if each is kept or not each.is_untouched:
            continue
        if await transaction.duplicates.fold(each.id, into=kept.id, now=clock.now()):
            seen.count += each.count
            seen.first_seen = min(seen.first_seen, each.first_seen)
            seen.last_seen = max(seen.last_seen, each.last_seen)
            count += 1
    if count:
        await transaction.intake.seen_again([seen])
    return count
