"""From files to verdicts: accept everything, then triage everything, then account for everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from aurora.dispatch.dispatcher import Dispatcher
from aurora.dispatch.tally import Progress
from aurora.ingest.accept import Acceptor
from aurora.ingest.accepted import Accepted
from aurora.ingest.reading import Source
from aurora.kernel.clock import Clock
from aurora.kernel.ids import AlertId, CaseId
from aurora.storage.repositories.base import CHUNK
from aurora.storage.unit_of_work import Storage, Transaction


@dataclass(frozen=True, slots=True)
class Triaged:
    """What one command did."""

    accepted: Accepted
    counts: dict[str, int]
    """`read` = `triaged` + `duplicate` + `context` + `rejected`, checked."""
    failed: int
    """Alerts whose triage failed and that wait for a person."""


class Pipeline:
    """Runs one input from its bytes to its verdicts."""

    def __init__(self, *, storage: Storage, acceptor: Acceptor, dispatcher: Dispatcher, clock: Clock) -> None:
        self._storage = storage
        self._acceptor = acceptor
        self._dispatcher = dispatcher
        self._clock = clock

    async def triage(
        self,
        sources: Sequence[Source],
        *,
        hint: str | None = None,
        on_read: Callable[[int], None] | None = None,
        on_accepted: Callable[[Accepted], None] | None = None,
        on_done: Callable[[Progress], None] | None = None,
    ) -> Triaged:
        """Accept the sources whole, triage what has no verdict yet, and check the account.

        Killed at any moment and called again with the same sources, it goes on where it stopped.

        Raises:
            SourceUnreadable: a source cannot be read.
            StorageUnavailable: the database refused.
        """
        accepted = await self._acceptor.accept(sources, hint=hint, on_progress=on_read)
        if on_accepted is not None:
            on_accepted(accepted)
        progress = await self._dispatcher.complete(_alerts(accepted), on_done=on_done)
        counts = accepted.check()
        now = self._clock.now()
        async with self._storage.writing() as transaction:
            await transaction.cases.refresh(await _cases(transaction, accepted), now=now)
            await transaction.batches.finished(accepted.batch.id, counts=counts, at=now)
        return Triaged(accepted, counts, progress.failed)


async def _cases(transaction: Transaction, accepted: Accepted) -> list[CaseId]:
    """Return the cases of an input's alerts, those that an earlier command had accepted included."""
    found: set[CaseId] = set()
    alerts = _alerts(accepted)
    while part := list(islice(alerts, CHUNK)):
        found |= await transaction.cases.of_alerts(part)
    return sorted(found)


def _alerts(accepted: Accepted) -> Iterator[AlertId]:
    """Yield the alerts of an input in order, each about once: what repeats far apart costs one look-up."""
    recent: dict[UUID, None] = {}
    for _, alert_id, _ in accepted.records():
        if alert_id in recent:
            continue
        recent[alert_id] = None
        if len(recent) > 100_000:
            recent.pop(next(iter(recent)))
        yield alert_id
