"""Which alerts were announced on the streams."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from aurora.kernel.ids import AlertId
from aurora.storage.models import AlertModel
from aurora.storage.repositories.base import Repository, table_of

_ALERTS = table_of(AlertModel)
_KEY = "announced_at"
"""In the alert's `metadata`."""


class Announcements(Repository):
    """Announcements of alerts."""

    async def is_made(self, alert: AlertId) -> bool:
        """Tell whether the alert was announced."""
        query = select(_ALERTS.c.metadata).where(_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == alert)
        return _KEY in (await self._connection.scalar(query) or {})

    async def made(self, alert: AlertId, *, at: datetime) -> None:
        """Note that the alert was announced."""
        mine = (_ALERTS.c.tenant == self._tenant, _ALERTS.c.id == alert)
        query = select(_ALERTS.c.metadata).where(*mine).with_for_update()  # SQLite has one writer anyway
        kept = await self._connection.scalar(query) or {}
        await self._connection.execute(update(_ALERTS).where(*mine).values(metadata={**kept, _KEY: at.isoformat()}))
