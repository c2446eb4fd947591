"""The rows of a thread. Every statement names the tenant and the thread, and runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from memory.items import Json, Trust
from memory.ledger import FELL, DropReason
from memory.models import MessageModel, ThreadModel

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_M: Any = MessageModel.__table__
_T: Any = ThreadModel.__table__
_AT_ONCE = 500
"""Values of one `IN`: both databases take more, but plan worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The thread itself."""

    next_position: int = 0
    summary: str = ""
    summarised_to: int = 0
    trust: Trust = Trust.OPERATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message."""

    position: int
    role: str
    content: Json
    tokens: int
    encoding: str
    trust: Trust
    is_pinned: bool = False
    dropped: DropReason | None = None


class Rows:
    """A thread's rows in one transaction.

    Args:
        connection: Open, with the transaction begun; owned by the caller.
        tenant: Whose thread it is.
        thread: Its name.
    """

    def __init__(self, connection: AsyncConnection, *, tenant: str, thread: str) -> None:
        self._connection = connection
        self._key = {"tenant": tenant, "thread": thread}

    async def lock(self, now: datetime) -> Head:
        """Return the thread's head, made if need be; until the transaction ends no other writer has it."""
        dialect: Any = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        first = {**self._key, "next_position": 0, "summary": "", "summarised_to": 0, "updated_at": now}
        statement = dialect.insert(_T).values(**first, trust=int(Trust.OPERATOR)).on_conflict_do_nothing()
        await self._connection.execute(statement)
        return await self.head(is_locked=True) or Head()

    async def head(self, *, is_locked: bool = False) -> Head | None:
        """Return the thread's head; `None`: nobody ever wrote to it."""
        statement = select(_T.c.next_position, _T.c.summary, _T.c.summarised_to, _T.c.trust).where(*self._mine(_T))
        found = (await self._connection.execute(statement.with_for_update() if is_locked else statement)).first()
        if found is None:
            return None
        return Head(
            next_position=found.next_position,
            summary=found.summary,
            summarised_to=found.summarised_to,
            trust=Trust(found.trust),
        )

    async def set_head(self, head: Head, now: datetime) -> None:
        """Write the thread's head."""
        await self._connection.execute(
            update(_T)
            .where(*self._mine(_T))
            .values(
                next_position=head.next_position,
                summary=head.summary,
                summarised_to=head.summarised_to,
                trust=int(head.trust),
                updated_at=now,
            )
        )

    async def window(self) -> list[Row]:
        """Return the messages that are in the window, oldest first."""
        found = await self._connection.execute(
            select(_M).where(*self._mine(_M), _M.c.dropped.is_(None)).order_by(_M.c.position)
        )
        return [_row(each) for each in found]

    async def known(self, ids: Collection[str]) -> dict[str, int]:
        """Return the positions of the messages with these ids, fallen ones too."""
        name = _M.c.message_id
        found: dict[str, int] = {}
        wanted = sorted(ids)
        for at in range(0, len(wanted), _AT_ONCE):
            statement = select(name, _M.c.position).where(*self._mine(_M), name.in_(wanted[at : at + _AT_ONCE]))
            found.update((id_, position) for id_, position in await self._connection.execute(statement))
        return found

    async def lost(self) -> dict[DropReason, int]:
        """Return how many messages are out of the window, by reason."""
        statement = select(_M.c.dropped, func.count()).where(*self._mine(_M), _M.c.dropped.is_not(None))
        found = await self._connection.execute(statement.group_by(_M.c.dropped))
        return {DropReason(reason): number for reason, number in found}

    async def append(self, rows: Sequence[Row], now: datetime) -> None:
        """Write new messages."""
        if rows:
            await self._connection.execute(
                insert(_M), [{**self._key, **_values(row), "created_at": now} for row in rows]
            )

    async def drop(self, reasons: Mapping[int, DropReason]) -> None:
        """Write why messages are out of the window, by position."""
        await self._change("dropped", reasons.items())

    async def clear(self) -> None:
        """Write that nobody remembers, in a summary, what fell out."""
        fell = [reason.value for reason in FELL]
        statement = update(_M).where(*self._mine(_M), _M.c.dropped.in_(fell))
        await self._connection.execute(statement.values(dropped=DropReason.CLEARED.value))

    async def pin(self, position: int, *, is_pinned: bool) -> None:
        """Write whether a message is pinned."""
        await self._change("is_pinned", [(position, is_pinned)])

    async def recount(self, rows: Iterable[Row]) -> None:
        """Write what messages cost by another encoding."""
        rows = list(rows)
        await self._change("tokens", [(row.position, row.tokens) for row in rows])
        await self._change("encoding", [(row.position, row.encoding) for row in rows])

    async def erase(self) -> int:
        """Delete the thread with all its messages; return how many there were."""
        deleted = await self._connection.execute(delete(_M).where(*self._mine(_M)))
        await self._connection.execute(delete(_T).where(*self._mine(_T)))
        return deleted.rowcount

    async def _change(self, column: str, values: Iterable[tuple[int, object]]) -> None:
        changes = [{"at": position, "new": value} for position, value in values]
        if changes:
            statement = update(_M).where(*self._mine(_M), _M.c.position == bindparam("at"))
            await self._connection.execute(statement.values({column: bindparam("new")}), changes)

    def _mine(self, table: Any) -> tuple[Any, Any]:
        return table.c.tenant == self._key["tenant"], table.c.thread == self._key["thread"]


def _values(row: Row) -> Json:
    return {
        "position": row.position,
        "role": row.role,
        "message_id": row.content.get("id"),
        "content": row.content,
        "tokens": row.tokens,
        "encoding": row.encoding,
        "trust": int(row.trust),
        "is_pinned": row.is_pinned,
        "dropped": row.dropped.value if row.dropped is not None else None,
    }


def _row(found: Any) -> Row:
    return Row(
        position=found.position,
        role=found.role,
        content=found.content,
        tokens=found.tokens,
        encoding=found.encoding,
        trust=Trust(found.trust),
        is_pinned=found.is_pinned,
        dropped=DropReason(found.dropped) if found.dropped is not None else None,
    )
