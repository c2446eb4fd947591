"""The few statements of a recall, by hand: here SQLAlchemy would take longer than the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from memory.hand import Hand, micros, read_id
from memory.items import Item, State, Tier, Trust
from memory.namespaces import bounds
from memory.reading import Items
from memory.recall.request import Request

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    Rows = Sequence[Sequence[Any]]

_LIGHT = "i.seq, i.id, i.tier, i.kind, i.trust, i.importance, i.valid_from, i.recorded_at"
_SAYING = 1_000
"""Items that are read for what else says the same."""


_TIERS = {tier.value: tier for tier in Tier}
_TRUSTS = {int(trust): trust for trust in Trust}


@dataclass(frozen=True, slots=True)
class Light:
    """What ranking needs of an item, as the driver reads it."""

    seq: int
    raw_id: Any
    tier: Tier
    kind: str
    trust: Trust
    importance: float
    valid_from: int
    recorded_at: int

    @property
    def id(self) -> UUID:
        return read_id(self.raw_id)

    def age(self, now: int) -> timedelta:
        """Return how old it is at `now`, in microseconds: since it happened, or since somebody last vouched for it."""
        since = self.valid_from if self.tier is Tier.EPISODIC else self.recorded_at
        return timedelta(microseconds=now - since)


@dataclass(frozen=True, slots=True)
class Head:
    """How much there is."""

    rows: int
    """Items that were ever written, by all tenants."""
    events: int
    """Events of this tenant: at least one for each item."""
    embedder: int | None
    is_mixed: bool
    """Whether this tenant has vectors of another embedder than the memory's."""
    is_alone: bool
    """Whether all items are this tenant's: nobody else ever wrote."""


class Values:
    """The values of one statement, each bound where it is named."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self.all: list[object] = []

    def __call__(self, value: object) -> str:
        """Bind a value and return its mark."""
        self.all.append(value)
        return f"${len(self.all)}"

    def any_of(self, values: Iterable[object], *, type: str = "text") -> str:
        """Bind values and return what comes after a column that must have one of them."""
        return self._hand.among(self(self._hand.many([*values])), type)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which items of whom may answer."""

    tenant: str
    request: Request
    now: datetime
    least: Trust = Trust.EXTERNAL_CONTENT
    """Trusted at least so far."""

    def trusting(self, least: Trust) -> Scope:
        """Return the same with another least trust."""
        return replace(self, least=least)

    @property
    def looks_back(self) -> bool:
        """Whether what something else stands for now may answer too."""
        return self.request.at is not None or self.request.as_of is not None

    def condition(self, values: Values, *, is_postgres: bool, by_row: bool = True) -> str:
        """Return what an item, named `i`, meets to be recalled at all, as `memory.reading.true_at` has it.

        What is in quarantine, was rolled back or erased never meets it.

        Args:
            values: Of the statement.
            is_postgres: Which database it is for.
            by_row: Whether the rows are named already; SQLite must not look them up in other ways then.
        """
        plus = "+" if by_row and not is_postgres else ""
        request = self.request
        states = [State.ACTIVE, State.ARCHIVED] if request.include_archived else [State.ACTIVE]
        said = [
            f"{plus}i.tenant = {values(self.tenant)}",
            f"{plus}i.state IN ({', '.join(repr(state.value) for state in states)})",
            self._true(values),
        ]
        if request.tiers is not None:
            said.append(f"{plus}i.tier {values.any_of([tier.value for tier in request.tiers])}")
        if request.kinds is not None:
            said.append(f"{plus}i.kind {values.any_of(request.kinds)}")
        if (within := bounds(request.namespace)) is not None:
            column = 'i.namespace COLLATE "C"' if is_postgres else f"{plus}i.namespace"
            said.append(f"{column} >= {values(within[0])} AND {column} < {values(within[1])}")
        if request.subject is not None:
            said.append(f"{plus}i.subject = {values(request.subject)}")
        if self.least > Trust.EXTERNAL_CONTENT:
            said.append(f"i.trust >= {values(int(self.least))}")
        if request.exclude_sources:
            excluded = _from_any(request.exclude_sources, values)
            said.append(f"NOT EXISTS (SELECT 1 FROM memory_sources s WHERE s.seq = i.seq AND ({excluded}))")
        return " AND ".join(said)

    def _true(self, values: Values) -> str:
        request = self.request
        held = values(micros(request.as_of or self.now))
        at = values(micros(request.at or request.as_of or self.now))
        told = f"i.valid_from <= {at} AND (i.expires_at IS NULL OR i.expires_at > {held})"
        is_open = f"(i.valid_to IS NULL OR i.valid_to > {at})"
        if not self.looks_back:
            return f"{told} AND {is_open} AND i.retired_at IS NULL"
        is_cut = (
            "(i.superseded_by IS NOT NULL AND EXISTS (SELECT 1 FROM memory_items heir WHERE heir.id = i.superseded_by"
            " AND heir.tenant = i.tenant AND heir.valid_from = i.valid_to))"
        )
        stood = "i.retired_at IS NULL"
        if request.as_of is not None:
            told += f" AND i.recorded_at <= {held}"
            stood = f"(i.retired_at IS NULL OR i.retired_at > {held})"
        return f"{told} AND (({stood} AND ({is_open} OR {is_cut})) OR ({is_open} AND {is_cut}))"


def _from_any(uris: Iterable[str], values: Values) -> str:
    """Return what a source, named `s`, meets to be one of these; one that ends in `*` names a beginning."""
    said = [f"s.uri {values.any_of([uri for uri in uris if not uri.endswith('*')])}"]
    for uri in uris:
        if uri.endswith("*"):
            beginning = f"CAST({values(uri[:-1])} AS text)"
            said.append(f"substr(s.uri, 1, length({beginning})) = {beginning}")
    return " OR ".join(said)


class Statements:
    """Runs the statements of one recall, in its transaction."""

    def __init__(self, connection: AsyncConnection, *, tenant: str) -> None:
        self.connection = connection
        self.tenant = tenant
        self.hand = Hand(connection)
        self.is_postgres = self.hand.is_postgres

    def values(self) -> Values:
        """Return room for the values of a statement."""
        return Values(self.hand)

    async def fetch(self, statement: str, values: Values) -> Rows:
        """Run a statement and return its rows as the driver makes them."""
        return await self.hand.fetch(statement, *values.all)

    async def head(self, embedder: str, *, own: str) -> Head:
        """Return how much there is, and the id of an embedder if it has vectors here.

        Args:
            embedder: Name of the one that made the vector of the question.
            own: Name of the memory's, under which new items are written.
        """
        values = self.values()
        tenant = values(self.tenant)
        statement = (
            "SELECT (SELECT coalesce(max(seq), 0) FROM memory_items),"
            f" (SELECT number FROM memory_heads WHERE tenant = {tenant}),"
            f" (SELECT id FROM memory_embedders WHERE name = {values(embedder)}),"
            " (SELECT count(*) FROM (SELECT 1 FROM memory_heads LIMIT 2) heads),"
            # One step into an index for each other embedder; of a plain EXISTS the planner may make a join of all.
            f" (SELECT count(*) FROM memory_embedders e WHERE e.name <> {values(own)} AND (SELECT 1"
            f" FROM memory_vectors v WHERE v.tenant = {tenant} AND v.embedder = e.id LIMIT 1) = 1)"
        )
        ((rows, events, number, heads, others),) = await self.fetch(statement, values)
        return Head(rows, events or 0, number, is_mixed=others > 0, is_alone=heads == 1 and bool(events))

    async def light(self, seqs: Iterable[int], scope: Scope) -> dict[int, Light]:
        """Return those of some items that may be recalled."""
        values = self.values()
        statement = (
            f"SELECT {_LIGHT} FROM memory_items i WHERE i.seq {values.any_of(seqs, type='bigint')}"
            f" AND {scope.condition(values, is_postgres=self.is_postgres)}"
        )
        return {
            row[0]: Light(row[0], row[1], _TIERS[row[2]], row[3], _TRUSTS[row[4]], row[5], row[6], row[7])
            for row in await self.fetch(statement, values)
        }

    async def admitted(self, scope: Scope, *, limit: int) -> list[int]:
        """Return the rows of the items that may be recalled, at most `limit`, the newest first."""
        values = self.values()
        condition = scope.condition(values, is_postgres=self.is_postgres, by_row=False)
        statement = f"SELECT i.seq FROM memory_items i WHERE {condition} ORDER BY i.seq DESC LIMIT {values(limit)}"
        return [row[0] for row in await self.fetch(statement, values)]

    async def items(self, seqs: Sequence[int]) -> dict[int, Item]:
        """Return items with their sources."""
        return await Items(self.connection, tenant=self.tenant).rows(seqs) if seqs else {}

    async def saying(self, items: Sequence[Item]) -> list[Item]:
        """Return the active items, superseded ones too, that have the subject and predicate or the content of some.

        What outsiders can write is not among them: it cannot vouch for anything, nor can a flood of it hide what does.
        """
        values = self.values()
        tenant, least = values(self.tenant), values(int(Trust.EXTERNAL_CONTENT))
        hashes = ", ".join([values(each) for each in dict.fromkeys(item.content_hash for item in items)])
        facts = dict.fromkeys(
            (i.subject, i.predicate) for i in items if i.subject is not None and i.predicate is not None
        )
        says = [f"content_hash IN ({hashes})"]
        says += [f"(subject = {values(subject)} AND predicate = {values(predicate)})" for subject, predicate in facts]
        statement = " UNION ".join(
            f"SELECT seq FROM memory_items WHERE tenant = {tenant} AND state = 'active' AND trust > {least} AND {each}"
            for each in says
        )
        rows = await self.fetch(f"{statement} ORDER BY seq DESC LIMIT {values(_SAYING)}", values)
        return [*(await self.items([row[0] for row in rows])).values()]

    async def near(self, items: Sequence[Item], *, least: float) -> set[frozenset[UUID]]:
        """Return the pairs among some items that are linked as nearly the same."""
        values = self.values()
        ids = [self.hand.id(item.id) for item in items]
        statement = (
            f"SELECT from_id, to_id FROM memory_links WHERE tenant = {values(self.tenant)} AND relation = 'near'"
            f" AND score >= {values(least)} AND from_id {values.any_of(ids, type='uuid')}"
        )
        return {frozenset((read_id(first), read_id(second))) for first, second in await self.fetch(statement, values)}
