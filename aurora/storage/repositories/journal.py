"""The journal of runs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from aurora.kernel.errors import StorageError
from aurora.kernel.ids import RunId
from aurora.storage.models import JournalModel
from aurora.storage.repositories.base import Repository, table_of

_JOURNAL = table_of(JournalModel)
_LEVEL = 1  # zlib's fastest: prompts shrink to a fifth, the slowest level saves a tenth of that


class JournalDamaged(StorageError):
    """An entry of the journal is not what was written; its run cannot be replayed."""

    code = "aurora.storage.journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer, with all that it was an answer to."""

    run_id: RunId
    scope: str
    number: int
    kind: str
    name: str
    request: bytes
    """Canonical JSON."""
    request_sha256: bytes
    answer: bytes
    """Canonical JSON."""
    answer_sha256: bytes
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    took_ms: int | None = None


class Journals(Repository):
    """Journals of one tenant."""

    async def write(self, entries: Sequence[tuple[Entry, Any]]) -> None:
        """Write entries with the moment of each. One of the same place gives way, and so do those after it.

        They are answers to other requests than those that the run makes now: of a run that was stopped and
        goes on with another prompt, say.
        """
        for entry, _ in entries:
            await self._connection.execute(
                delete(_JOURNAL).where(
                    _JOURNAL.c.tenant == self._tenant,
                    _JOURNAL.c.run_id == entry.run_id,
                    _JOURNAL.c.scope == entry.scope,
                    _JOURNAL.c.number >= entry.number,
                )
            )
        if not entries:
            return
        await self._connection.execute(
            _JOURNAL.insert(),
            [
                {
                    "run_id": entry.run_id,
                    "scope": entry.scope,
                    "number": entry.number,
                    "tenant": self._tenant,
                    "kind": entry.kind,
                    "name": entry.name,
                    "request": zlib.compress(entry.request, _LEVEL),
                    "request_sha256": entry.request_sha256,
                    "answer": zlib.compress(entry.answer, _LEVEL),
                    "answer_sha256": entry.answer_sha256,
                    "input_tokens": entry.input_tokens,
                    "output_tokens": entry.output_tokens,
                    "cost_usd": entry.cost_usd,
                    "took_ms": entry.took_ms,
                    "created_at": moment,
                }
                for entry, moment in entries
            ],
        )

    async def forget(self, run_id: UUID, *, after_step: int) -> None:
        """Delete what was answered in steps of a run that are still to be done: `6.assess/…` is of step 6."""
        query = select(_JOURNAL.c.scope).where(_JOURNAL.c.tenant == self._tenant, _JOURNAL.c.run_id == run_id)
        scopes = set((await self._connection.execute(query)).scalars())
        later = [scope for scope in scopes if (step := scope.partition(".")[0]).isdigit() and int(step) > after_step]
        if later:
            await self._connection.execute(
                delete(_JOURNAL).where(
                    _JOURNAL.c.tenant == self._tenant, _JOURNAL.c.run_id == run_id, _JOURNAL.c.scope.in_(later)
                )
            )

    async def of_run(self, run_id: UUID) -> list[Entry]:
        """Return all entries of a run, by scope and number.

        Raises:
            JournalDamaged: an entry cannot be read.
        """
        query = (
            select(_JOURNAL)
            .where(_JOURNAL.c.tenant == self._tenant, _JOURNAL.c.run_id == run_id)
            .order_by(_JOURNAL.c.scope, _JOURNAL.c.number)
        )
        return [_entry(row) for row in await self._connection.execute(query)]

    async def account(self, run_id: UUID) -> list[dict[str, Any]]:
        """Return who was asked in a run, by scope and number, without what was said."""
        columns = [
            _JOURNAL.c[name]
            for name in (
                "scope",
                "number",
                "kind",
                "name",
                "request_sha256",
                "answer_sha256",
                "input_tokens",
                "output_tokens",
                "cost_usd",
                "took_ms",
                "created_at",
            )
        ]
        query = (
            select(*columns)
            .where(_JOURNAL.c.tenant == self._tenant, _JOURNAL.c.run_id == run_id)
            .order_by(_JOURNAL.c.created_at, _JOURNAL.c.scope, _JOURNAL.c.number)
        )
        return [dict(row._mapping) for row in await self._connection.execute(query)]


def _entry(row: Any) -> Entry:
    try:
        request, answer = zlib.decompress(row.request), zlib.decompress(row.answer)
    except zlib.error as error:
        raise JournalDamaged(
            f"entry {row.number} of {row.scope} in the journal of run {row.run_id} cannot be read",
            run_id=str(row.run_id),
            number=row.number,
        ) from error
    return Entry(
        run_id=RunId(row.run_id),
        scope=row.scope,
        number=row.number,
        kind=row.kind,
        name=row.name,
        request=request,
        request_sha256=row.request_sha256,
        answer=answer,
        answer_sha256=row.answer_sha256,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=row.cost_usd,
        took_ms=row.took_ms,
    )
