"""Takes alerts from programs: one call, one alert, announced once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aurora.ingest.book import AlertBook, MemoryBook, StoredBook, incoming
from aurora.kernel.clock import Clock, SystemClock
from aurora.kernel.errors import BrokerError
from aurora.kernel.ids import IdFactory, Uuid7Factory
from aurora.kernel.models import Alert
from aurora.kernel.ports.publisher import Publisher
from aurora.kernel.windows import WINDOW
from aurora.storage.base import DEFAULT_TENANT
from aurora.storage.unit_of_work import Storage

log = logging.getLogger(__name__)


class AlertService:
    """Creates alerts.

    An alert is entered by the rules of acceptance (same fingerprint, same window, same task to triage it), and
    only then announced. What is announced names the alert and carries none of its text. A broker that fails loses
    nothing: the alert and its task are in the database, where whoever polls finds them, and the next call with
    this alert announces it.

    Args:
        publisher: Where new alerts are announced.
        storage: Where alerts are entered; left out, they are kept in the memory of this process and triaged
            by nobody.
        clock: Time; the machine's if left out.
        ids: Where ids come from; of the clock and the machine's entropy if left out.
        graph: Id of the graph that triages.
        window: How far apart occurrences of one alert may be.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        storage: Storage | None = None,
        clock: Clock | None = None,
        ids: IdFactory | None = None,
        graph: str = "triage",
        window: timedelta = WINDOW,
    ) -> None:
        clock = clock or SystemClock()
        self._publisher = publisher
        self._ids = ids or Uuid7Factory(clock=clock)
        self._tenant = DEFAULT_TENANT if storage is None else storage.tenant
        self._book: AlertBook = (
            MemoryBook(clock=clock, window=window)
            if storage is None
            else StoredBook(storage=storage, clock=clock, ids=self._ids, graph=graph, window=window)
        )

    async def create_alert(self, data: Mapping[str, Any]) -> Alert:
        """Enter an alert and announce it once; return it, or the open alert that it repeats.

        Called again with the same `id` (or, without one, the same content) it changes nothing and returns the same
        alert. Two calls at once may both announce it; the publisher knows the second for the first.

        Args:
            data: An alert in Aurora's own format: `title`, `severity`, `source`, and what else there is to tell.

        Raises:
            RecordRejected: it is no such alert; the message names the field. Nothing was entered.
            Conflict: the id belongs to something else. Nothing was entered.
            StorageUnavailable: the database refused. Call again with the same data.
        """
        entry = await self._book.enter(incoming(data, ids=self._ids))
        if not entry.is_announced:
            await self._announce(entry.alert)
        return entry.alert

    async def _announce(self, alert: Alert) -> None:
        message = {"alert_id": str(alert.id), "tenant": self._tenant, "severity": alert.severity.value}
        try:
            await self._publisher.publish_alert(message)
        except BrokerError as error:
            log.warning("alert.not_announced", extra={"alert_id": str(alert.id), "error": error.code})
            return
        await self._book.announced(alert.id)
