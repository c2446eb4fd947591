"""Standing again: what something had superseded that is taken back, and what a person lets out of quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aurora.kernel.errors import Conflict
from memory.chain import Chain
from memory.hand import Hand, micros, read_document, read_id
from memory.items import Item, Trust
from memory.namespaces import encode

_SUPERSEDED = (
    "SELECT id, superseded_by, trust, state, recorded_at, valid_from, valid_to, subject, predicate, namespace, key"
    " FROM memory_items WHERE tenant = $1 AND superseded_by {} AND retired_at IS NOT NULL"
    " AND state IN ('active', 'quarantined', 'archived') ORDER BY seq"
)
_ENDS = (
    "SELECT item_id, details FROM memory_events WHERE tenant = $1 AND item_id {} AND operation = 'superseded'"
    " ORDER BY number"
)
_HEIRS = "SELECT id, recorded_at, valid_from FROM memory_items WHERE {} = $1 AND id {}"
_RIVALS = (
    "SELECT id, recorded_at, valid_from, valid_to, subject, predicate, namespace, key, trust FROM memory_items"
    " WHERE tenant = $1 AND retired_at IS NULL AND {}"
)
_CHANGE = (
    "UPDATE memory_items SET retired_at = $1, superseded_by = $2, valid_to = $3, version = $4"
    " WHERE tenant = $5 AND id = $6"
)
_STAND = (
    "UPDATE memory_items SET retired_at = NULL, superseded_by = NULL, valid_to = $1, recorded_at = $2"
    " WHERE tenant = $3 AND id = $4"
)


@dataclass(slots=True, kw_only=True)
class _Version:
    """An item beside others in whose place it might stand. Moments as they are stored."""

    id: UUID
    recorded_at: int
    valid_from: int
    valid_to: int | None = None
    subject: str | None = None
    predicate: str | None = None
    namespace: str = ""
    key: str | None = None
    trust: int = 0

    def excludes(self, other: _Version) -> bool:
        """Whether the two cannot both stand: they have one name, or state the same fact of the same time."""
        if self.key is not None and (self.namespace, self.key) == (other.namespace, other.key):
            return True
        if self.subject is None or self.predicate is None:
            return False
        if (self.subject, self.predicate) != (other.subject, other.predicate):
            return False
        return not (_ends_before(self, other) or _ends_before(other, self))


@dataclass(slots=True, kw_only=True)
class _Superseded(_Version):
    """An item in whose place one stood that is taken back."""

    by: UUID
    rank: tuple[bool, int, int]
    """By which of two that may stand again one does: not in quarantine, trusted more, recorded later."""


class Restoring:
    """Lets items of one tenant stand again, in the caller's transaction.

    Args:
        hand: On the connection of a transaction that may write.
        tenant: Whose memory.
        chain: Locked in this transaction; the caller flushes it.
    """

    def __init__(self, hand: Hand, *, tenant: str, chain: Chain) -> None:
        self._hand = hand
        self._tenant = tenant
        self._chain = chain

    async def restore(self, gone: Sequence[Item], *, actor: str, now: datetime) -> Sequence[UUID]:
        """Let stand what would stand if some items had never been there. Return which do.

        What was recorded after them in the same place takes that place; of several that they stood before, the one
        that is trusted most does.

        Args:
            gone: Items that were taken back.
            actor: Who took them back.
            now: When.
        """
        lost = {item.id: item for item in gone}
        # They leave their names to what stood before them.
        await self._hand.each(
            "UPDATE memory_items SET retired_at = $1 WHERE tenant = $2 AND id = $3 AND retired_at IS NULL",
            [(micros(now), self._tenant, self._hand.id(each)) for each in lost],
        )
        waiting = await self._superseded(lost)
        heirs = await self._heirs({heir for each in waiting if (heir := _heir(each.by, lost))})
        standing = await self._rivals(waiting)
        changed, restored = [], []
        for each in sorted(waiting, key=lambda one: one.rank, reverse=True):
            heir = _heir(each.by, lost)
            after = heirs.get(heir) if heir else next((one for one in standing if one.excludes(each)), None)
            details: dict[str, Any] = {"instead_of": each.by.hex}
            if after is None:
                standing.append(each)
                restored.append(each.id)
                row: tuple[object, ...] = (None, None, each.valid_to)
            else:
                details |= {"by": after.id.hex, "valid_to": each.valid_to}
                is_cut = each.valid_to is None and each.valid_from < after.valid_from
                ends = after.valid_from if is_cut else each.valid_to
                row = (max(each.recorded_at, after.recorded_at), self._hand.id(after.id), ends)
            operation = "restored" if after is None else "superseded"
            version = self._chain.add(operation, each.id, actor=actor, at=now, details=details)
            changed.append((*row, version, self._tenant, self._hand.id(each.id)))
        await self._hand.each(_CHANGE, changed)
        return restored

    async def stand(self, item: Item, *, actor: str, now: datetime) -> None:
        """Let an item stand that is retired, from now on, in the place of what stands there and is trusted no more.

        Args:
            item: Retired.
            actor: Who lets it.
            now: When.

        Raises:
            Conflict: what stands in its place is trusted more.
        """
        hand, own_id = self._hand, self._hand.id(item.id)
        ends = await self._ends([own_id])
        own = _Version(
            id=item.id,
            recorded_at=_micros(item.recorded_at),
            valid_from=_micros(item.valid_from),
            valid_to=ends.get(item.id, micros(item.valid_to)),
            subject=item.subject,
            predicate=item.predicate,
            namespace=encode(item.namespace),
            key=item.key,
        )
        rivals = [each for each in await self._rivals([own]) if each.excludes(own)]
        above = next((each for each in rivals if each.trust > item.trust), None)
        if above is not None:
            raise Conflict(
                f"item {item.id} cannot stand: {above.id} stands in its place and is trusted more "
                f"({Trust(above.trust).name.lower()}); nothing was changed. If that is wrong, state what is right",
                field="id",
                stands=str(above.id),
            )
        changed = []
        for each in rivals:
            details = {"by": item.id.hex, "valid_to": each.valid_to}
            version = self._chain.add("superseded", each.id, actor=actor, at=now, details=details)
            is_cut = each.valid_to is None and each.valid_from < own.valid_from
            end = own.valid_from if is_cut else each.valid_to
            changed.append((micros(now), own_id, end, version, self._tenant, hand.id(each.id)))
        await hand.each(_CHANGE, changed)
        await hand.fetch(_STAND, own.valid_to, micros(now), self._tenant, own_id)

    async def _superseded(self, lost: dict[UUID, Item]) -> list[_Superseded]:
        """Return what was superseded by something that is lost, each with the end that it had before."""
        among = self._hand.among("$2", "uuid")
        ids = self._hand.many([self._hand.id(each) for each in lost])
        rows = await self._hand.fetch(_SUPERSEDED.format(among), self._tenant, ids)
        if not rows:
            return []
        ends = await self._ends([row[0] for row in rows])
        return [
            _Superseded(
                id=(own := read_id(item)),
                by=read_id(by),
                rank=(state != "quarantined", trust, recorded_at),
                recorded_at=recorded_at,
                valid_from=valid_from,
                valid_to=ends.get(own, valid_to),
                subject=subject,
                predicate=predicate,
                namespace=namespace,
                key=key,
                trust=trust,
            )
            for item, by, trust, state, recorded_at, valid_from, valid_to, subject, predicate, namespace, key in rows
        ]

    async def _ends(self, ids: Sequence[object]) -> dict[UUID, int | None]:
        """Return the end that each of these had before it was superseded."""
        query = _ENDS.format(self._hand.among("$2", "uuid"))
        told = await self._hand.fetch(query, self._tenant, self._hand.many(ids))
        return {read_id(item): read_document(details)["valid_to"] for item, details in told}

    async def _heirs(self, ids: set[UUID]) -> dict[UUID, _Version]:
        if not ids:
            return {}
        query = _HEIRS.format(self._hand.aside("tenant"), self._hand.among("$2", "uuid"))
        rows = await self._hand.fetch(query, self._tenant, self._hand.many([self._hand.id(each) for each in ids]))
        found = [_Version(id=read_id(item), recorded_at=recorded, valid_from=valid) for item, recorded, valid in rows]
        return {each.id: each for each in found}

    async def _rivals(self, waiting: Sequence[_Version]) -> list[_Version]:
        """Return what stands and has a subject or a name of one of these."""
        found: dict[UUID, _Version] = {}
        for column in ("subject", "key"):
            values = sorted({value for each in waiting if (value := getattr(each, column)) is not None})
            if not values:
                continue
            query = _RIVALS.format(f"{column} {self._hand.among('$2', 'text')}")
            for item, *rest in await self._hand.fetch(query, self._tenant, self._hand.many(values)):
                recorded_at, valid_from, valid_to, subject, predicate, namespace, key, trust = rest
                found[read_id(item)] = _Version(
                    id=read_id(item),
                    recorded_at=recorded_at,
                    valid_from=valid_from,
                    valid_to=valid_to,
                    subject=subject,
                    predicate=predicate,
                    namespace=namespace,
                    key=key,
                    trust=trust,
                )
        return list(found.values())


def _micros(moment: datetime) -> int:
    return micros(moment) or 0


def _heir(by: UUID, lost: dict[UUID, Item]) -> UUID | None:
    """Return what stands, or stood, after something that is lost and all that is lost with it."""
    seen = set()
    heir: UUID | None = by
    while heir is not None and heir in lost and heir not in seen:
        seen.add(heir)
        heir = lost[heir].superseded_by
    return None if heir in lost else heir


def _ends_before(first: _Version, second: _Version) -> bool:
    return first.valid_to is not None and first.valid_to <= second.valid_from
