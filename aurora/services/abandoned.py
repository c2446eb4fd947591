"""Accepts batches whose command is gone, so that what it had handed in is triaged."""

from __future__ import annotations

import logging
from datetime import timedelta

from aurora.ingest.grouping import correlate_batch
from aurora.kernel.clock import Clock
from aurora.storage.unit_of_work import Storage

SILENCE = timedelta(minutes=15)
"""A command that reads nothing for so long is taken for dead. One that is not goes on with a batch of its own."""

log = logging.getLogger(__name__)


async def accept_abandoned(storage: Storage, *, clock: Clock, silence: timedelta = SILENCE) -> int:
    """Accept all batches that are being accepted and got no record for `silence`; return how many that were.

    Their alerts are correlated, and their tasks may run. Safe to run anywhere, any number of times.

    Args:
        storage: Any tenant's: batches of all are looked for.
        clock: Time.
        silence: How long a command may be silent.

    Raises:
        StorageUnavailable: the database refused; what was accepted before stays accepted.
    """
    since = clock.now() - silence
    async with storage.reading() as transaction:
        found = await transaction.overdue.silent_batches(since)
    accepted = 0
    for tenant, batch in found:
        async with storage.of(tenant).accepting() as transaction:
            if not await transaction.overdue.is_silent(batch, since):
                continue  # its command is back, or another scheduler was first
            await correlate_batch(transaction.correlation, batch)
            await transaction.batches.accepted(batch, at=clock.now())
        accepted += 1
        log.warning("batch.abandoned", extra={"tenant": tenant, "batch_id": str(batch)})
    return accepted
