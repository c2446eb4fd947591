"""What a tenant's memory holds, read: single items, versions of a fact, lists, numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, Table, and_, func, or_, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import aliased

from aurora.kernel.errors import Conflict, NotFound
from aurora.kernel.evidence import Provenance
from aurora.kernel.untrusted import UntrustedText, quoted
from memory.hand import Hand, read_document, read_id, read_moment
from memory.items import Item, Source, State, Tier, Trust
from memory.models import EmbedderModel, ItemModel, LinkModel, SourceModel, VectorModel
from memory.namespaces import decode, encode

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_ITEMS = cast("Table", ItemModel.__table__)
_SOURCES = cast("Table", SourceModel.__table__)
_LINKS = cast("Table", LinkModel.__table__)
_VECTORS = cast("Table", VectorModel.__table__)
_EMBEDDERS = cast("Table", EmbedderModel.__table__)
Conditions = list[ColumnElement[bool]]
Found = list[Item]
"""In this module `list` is also the name of a method."""

COLUMNS = (
    "seq, id, tenant, tier, kind, namespace, key, subject, predicate, object, text, value, trust, state, importance,"
    " valid_from, valid_to, recorded_at, retired_at, superseded_by, expires_at, content_hash, tokens, version"
)
"""What `item_of` reads of a row of `memory_items`."""

_CHUNK = 1000
"""Items read at once."""
_ENDS = 6
"""Characters at the end of an id that name an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A memory in numbers."""

    by_tier: Mapping[str, int]
    """Of what stands and is active."""
    by_state: Mapping[str, int]
    by_trust: Mapping[str, int]
    """Of what stands and is active."""
    superseded: int
    """Items in whose place others stand."""
    sources: int
    """Different sources."""
    oldest: datetime | None
    newest: datetime | None
    vectors: Mapping[str, int]
    """Vectors by embedder."""


class Items:
    """Reads the items of one tenant in one transaction."""

    def __init__(self, connection: AsyncConnection, *, tenant: str) -> None:
        self._connection = connection
        self._hand = Hand(connection)
        self._tenant = tenant

    async def get(self, ids: Iterable[UUID]) -> dict[UUID, Item]:
        """Return the items of these ids that there are."""
        wanted = [self._hand.id(each) for each in dict.fromkeys(ids)]
        found = await self._fetch("id", "uuid", wanted)
        return {item.id: item for item in found.values()}

    async def rows(self, seqs: Sequence[int]) -> dict[int, Item]:
        """Return the items of these rows that there are, in the order in which they were asked for."""
        found = await self._fetch("seq", "bigint", seqs)
        return {seq: found[seq] for seq in seqs if seq in found}

    async def find(self, text: str) -> Item:
        """Return the item that an id, or the end of one, names.

        Raises:
            NotFound: there is none.
            Conflict: there are several; the message shows them.
        """
        end = text.strip().lower().replace("-", "").removeprefix("memory:")
        if len(end) < _ENDS or any(char not in "0123456789abcdef" for char in end):
            raise NotFound(f"{quoted(text)} is no id of an item; give the last {_ENDS} characters or more", field="id")
        hexed = func.replace(as_type(_ITEMS.c.id, String), "-", "")
        found = await self._where(hexed.like(f"%{end}"), limit=3)
        if not found:
            raise NotFound(f"there is no item {quoted(text)} in this memory", field="id")
        if len(found) > 1:
            shown = ", ".join(str(each.id) for each in found)
            raise Conflict(f"{quoted(text)} is the end of several ids: {shown}", field="id")
        return found[0]

    async def named(self, namespace: str, key: str) -> Item | None:
        """Return what stands under a name; the namespace as `memory.namespaces` encodes it."""
        named = (_ITEMS.c.namespace == namespace, _ITEMS.c.key == key, _ITEMS.c.retired_at.is_(None))
        return next(iter(await self._where(*named)), None)

    async def named_all(self, namespace: Sequence[str], keys: Sequence[str]) -> Mapping[str, Item]:
        """Return what stands under several keys of a namespace, by key."""
        found: dict[str, Item] = {}
        for start in range(0, len(keys), _CHUNK):
            named = (
                _ITEMS.c.namespace == encode(namespace),
                _ITEMS.c.key.in_(keys[start : start + _CHUNK]),
                _ITEMS.c.retired_at.is_(None),
            )
            found |= {item.key: item for item in await self._where(*named) if item.key is not None}
        return found

    async def history(self, subject: str, predicate: str | None = None) -> Found:
        """Return all that was ever held of a subject, the latest record first."""
        about: Conditions = [_ITEMS.c.subject == subject]
        if predicate is not None:
            about.append(_ITEMS.c.predicate == predicate)
        return await self._where(*about)

    async def true_at(
        self,
        subjects: Collection[str],
        predicate: str | None = None,
        *,
        now: datetime,
        at: datetime | None = None,
        as_of: datetime | None = None,
        limit: int | None = None,
    ) -> Found:
        """Return what is held to be true of subjects, the latest record first.

        Args:
            subjects: What it is about.
            predicate: What of it; `None`: anything.
            now: The present.
            at: True when, in the world; `None`: now, or at `as_of`.
            as_of: Held when; `None`: now.
            limit: So many at most.
        """
        about: Conditions = [_ITEMS.c.subject.in_([*subjects])]
        if predicate is not None:
            about.append(_ITEMS.c.predicate == predicate)
        columns = (_ITEMS.c.seq, _ITEMS.c.subject, _ITEMS.c.predicate, _ITEMS.c.state, _ITEMS.c.trust)
        query = self._query(*about, true_at(now=now, at=at, as_of=as_of), columns=columns)
        told, seqs = set(), []
        for seq, subject, of, state, trust in await self._connection.execute(query):
            if state != State.ACTIVE:  # not in the query: SQLite would go through all active items instead
                continue
            # What was held of a time that has passed gives way to what was recorded of it since.
            if of is None or (subject, of) not in told:
                told.add((subject, of))
                seqs.append((trust, seq))
        if limit is not None:  # no flood of what is trusted less hides the rest
            seqs = sorted(sorted(seqs, reverse=True)[:limit], key=lambda each: -each[1])
        return [*(await self.rows([seq for _, seq in seqs])).values()]

    async def list(
        self,
        *,
        tier: Tier | None = None,
        kind: str | None = None,
        state: State | None = None,
        source: str | None = None,
        superseded: bool = False,
        limit: int = 50,
    ) -> Found:
        """Return items, the latest record first; those in whose place others stand only if they are asked for."""
        wanted: Conditions = []
        if not superseded:
            wanted.append(_ITEMS.c.retired_at.is_(None))
        for column, value in ((_ITEMS.c.tier, tier), (_ITEMS.c.kind, kind), (_ITEMS.c.state, state)):
            if value is not None:
                wanted.append(column == value)
        if source is not None:
            wanted.append(_ITEMS.c.seq.in_(select(_SOURCES.c.seq).where(from_source(self._tenant, source))))
        return await self._where(*wanted, limit=limit)

    async def links(self, id: UUID) -> Sequence[tuple[str, UUID, UUID, float | None]]:
        """Return relation, from, to and score of all links of an item."""
        query = select(_LINKS.c.relation, _LINKS.c.from_id, _LINKS.c.to_id, _LINKS.c.score).where(
            _LINKS.c.tenant == self._tenant, or_(_LINKS.c.from_id == id, _LINKS.c.to_id == id)
        )
        return [(row[0], row[1], row[2], row[3]) for row in await self._connection.execute(query)]

    async def stats(self) -> Stats:
        """Return the memory in numbers."""
        mine = _ITEMS.c.tenant == self._tenant
        stands = and_(mine, _ITEMS.c.retired_at.is_(None), _ITEMS.c.state == State.ACTIVE)
        sources = select(func.count(func.distinct(_SOURCES.c.uri))).where(_SOURCES.c.tenant == self._tenant)
        ends = select(func.min(_ITEMS.c.recorded_at), func.max(_ITEMS.c.recorded_at)).where(mine)
        retired = select(func.count()).where(mine, _ITEMS.c.retired_at.is_not(None))
        vectors = (
            select(_EMBEDDERS.c.name, func.count())
            .join(_VECTORS, _VECTORS.c.embedder == _EMBEDDERS.c.id)
            .where(_VECTORS.c.tenant == self._tenant)
            .group_by(_EMBEDDERS.c.name)
        )
        oldest, newest = (await self._connection.execute(ends)).one()
        by_trust = await self._counted(_ITEMS.c.trust, stands)
        return Stats(
            by_tier=await self._counted(_ITEMS.c.tier, stands),
            by_state=await self._counted(_ITEMS.c.state, mine),
            by_trust={Trust(int(trust)).name.lower(): count for trust, count in by_trust.items()},
            superseded=(await self._connection.execute(retired)).scalar_one(),
            sources=(await self._connection.execute(sources)).scalar_one(),
            oldest=oldest,
            newest=newest,
            vectors={row[0]: row[1] for row in await self._connection.execute(vectors)},
        )

    async def pages(self, *, size: int = 500) -> AsyncIterator[Found]:
        """Yield all items in the order in which they were written."""
        last = 0
        while True:
            query = select(_ITEMS.c.seq).where(_ITEMS.c.tenant == self._tenant, _ITEMS.c.seq > last)
            seqs = (await self._connection.execute(query.order_by(_ITEMS.c.seq).limit(size))).scalars().all()
            if not seqs:
                return
            last = seqs[-1]
            yield [*(await self.rows(seqs)).values()]

    async def _counted(self, column: ColumnElement[Any], where: ColumnElement[bool]) -> dict[str, int]:
        query = select(column, func.count()).where(where).group_by(column)
        return {str(row[0]): row[1] for row in await self._connection.execute(query)}

    async def _where(self, *conditions: ColumnElement[bool], limit: int | None = None) -> Found:
        query = self._query(*conditions, columns=(_ITEMS.c.seq,)).limit(limit)
        return [*(await self.rows((await self._connection.execute(query)).scalars().all())).values()]

    def _query(self, *conditions: ColumnElement[bool], columns: tuple[ColumnElement[Any], ...]) -> Select[Any]:
        query = select(*columns).where(_ITEMS.c.tenant == self._tenant, *conditions)
        return query.order_by(_ITEMS.c.seq.desc())  # a tenant's rows are numbered as they are recorded

    async def _fetch(self, column: str, type: str, values: Sequence[object]) -> dict[int, Item]:
        hand, found = self._hand, {}
        mine = f"{hand.aside('tenant')} = $1 AND"
        of_items = f"SELECT {COLUMNS} FROM memory_items WHERE {mine} {column} {hand.among('$2', type)}"  # noqa: S608 - names
        of_sources = (
            f"SELECT seq, uri, provenance, span FROM memory_sources WHERE {mine} seq {hand.among('$2', 'bigint')}"  # noqa: S608
        )
        for start in range(0, len(values), _CHUNK):
            rows = await hand.fetch(of_items, self._tenant, hand.many(values[start : start + _CHUNK]))
            sources = defaultdict(list)
            if rows:
                for seq, uri, provenance, span in await hand.fetch(
                    of_sources, self._tenant, hand.many([row[0] for row in rows])
                ):
                    sources[seq].append(Source(uri=uri, provenance=Provenance(provenance), span=span))
            for row in rows:
                found[row[0]] = item_of(row, sorted(sources[row[0]], key=_uri))
        return found


def item_of(row: Sequence[Any], sources: Sequence[Source]) -> Item:
    """Return the item of a row of `memory_items` as a driver reads it, with the columns `COLUMNS` in their order."""
    return Item(
        id=read_id(row[1]),
        tenant=row[2],
        tier=Tier(row[3]),
        kind=row[4],
        namespace=decode(row[5]),
        key=row[6],
        subject=row[7],
        predicate=row[8],
        object=row[9],
        text=UntrustedText(row[10]),
        sources=tuple(sources),
        value=read_document(row[11]),
        trust=Trust(row[12]),
        state=State(row[13]),
        importance=row[14],
        valid_from=read_moment(row[15]),
        valid_to=None if row[16] is None else read_moment(row[16]),
        recorded_at=read_moment(row[17]),
        retired_at=None if row[18] is None else read_moment(row[18]),
        superseded_by=None if row[19] is None else read_id(row[19]),
        expires_at=None if row[20] is None else read_moment(row[20]),
        content_hash=bytes(row[21]),
        tokens=row[22],
        version=row[23],
    )


def _uri(source: Source) -> str:
    return source.uri


def true_at(*, now: datetime, at: datetime | None = None, as_of: datetime | None = None) -> ColumnElement[bool]:
    """Return what tells that an item of `memory_items` was held to be true.

    An item that was superseded from a moment on, since when something else is true, is still held to be true of the
    time before; as long as it stood, its end was not known.

    Args:
        now: The present.
        at: True when, in the world; `None`: now, or at `as_of`.
        as_of: Held when; `None`: now.
    """
    items, held = _ITEMS.c, as_of or now
    at = at or held
    heir = aliased(_ITEMS)
    is_cut = and_(
        items.superseded_by.is_not(None),
        select(heir.c.seq)
        .where(heir.c.id == items.superseded_by, heir.c.tenant == items.tenant, heir.c.valid_from == items.valid_to)
        .exists(),
    )
    # What is held now is told by the mark alone: the clock of another machine may be ahead of this one's.
    stood = items.retired_at.is_(None) if as_of is None else or_(items.retired_at.is_(None), items.retired_at > held)
    is_open = or_(items.valid_to.is_(None), items.valid_to > at)
    return and_(
        *(() if as_of is None else (items.recorded_at <= held,)),
        items.valid_from <= at,
        or_(items.expires_at.is_(None), items.expires_at > held),
        or_(and_(stood, or_(is_open, is_cut)), and_(is_open, is_cut)),
    )


def from_source(tenant: str, source: str) -> ColumnElement[bool]:
    """Return what tells that a row of `memory_sources` is of a source; one that ends in `*` names a beginning."""
    named: ColumnElement[bool] = _SOURCES.c.uri == source
    if source.endswith("*"):  # no LIKE: on SQLite it takes `A` for `a`
        named = func.substr(_SOURCES.c.uri, 1, len(source) - 1) == source[:-1]
    return and_(_SOURCES.c.tenant == tenant, named)
