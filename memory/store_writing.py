"""The write path of the store: values in one transaction, with text index, vectors, sources and events.

It keeps what `memory.writing` keeps, but for two things: a value that is not to be searched has neither words nor a
vector, and values are not linked to others that read alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from aurora.kernel.ids import IdFactory
from memory.chain import Chain
from memory.guard.instructions import instruction_patterns
from memory.guard.redaction import lines_of, redact_value
from memory.guard.trust import bound, memory_ids
from memory.hand import Hand, micros, read_moment
from memory.items import MAX_TEXT, Source, State, Tier, Trust
from memory.ports import Embedder, Redactor
from memory.preparing import content_hash, storable
from memory.rows import Held, Rows
from memory.schema import scope_of
from memory.store_ops import Name
from memory.store_values import Plain, enveloped, plain, read_key, read_namespace, texts_at
from memory.terms import exact_terms

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

KIND = "value"

log = logging.getLogger(__name__)

_IMPORTANCE = 0.5
_MANY = 5_000
_BETWEEN = "\n" * 5
"""More than any pattern of a redactor reaches over."""


@dataclass(slots=True, kw_only=True)
class Put:
    """A value, or that there is to be none, ready to be written under a name."""

    name: Name
    value: Plain | None
    """`None`: what is there is deleted."""
    sources: tuple[Source, ...]
    text: str = ""
    """What it is found by; empty: by nothing."""
    ttl: timedelta | None = None
    terms: str = ""
    tokens: int = 0


def prepared(
    name: Name,
    value: Mapping[str, Any],
    *,
    paths: Sequence[tuple[str, Sequence[str]]],
    sources: tuple[Source, ...],
    outside: Source,
    ttl: timedelta | None,
    redactor: Redactor,
    keep_secrets: bool,
) -> Put:
    """Return a value as it is written.

    Args:
        name: As it is kept.
        value: What was put.
        paths: What of it is searched, with their parts.
        sources: Where it comes from.
        outside: Also where it comes from, if text in it has the type of text from outside.
        ttl: How long it lives after it was last read or written.
        redactor: Takes secrets out.
        keep_secrets: Only out of the text, not out of the value.

    Raises:
        MemoryInvalid: it is no JSON object, or too long.
    """
    held = plain(value)
    text = texts_at(held.value, paths)
    if redactor(_BETWEEN.join((text, *lines_of(held.value)))).kinds:  # seldom: one look tells
        clean = redact_value(held.value, redactor, kinds=set())
        text = redactor(texts_at(clean, paths)).text
        if not keep_secrets:
            held.value = clean
    text = storable(text)[:MAX_TEXT]
    return Put(
        name=name,
        value=held,
        sources=(*sources, outside) if held.is_tainted else sources,
        text=text if text.strip() else "",
        ttl=ttl,
        terms=exact_terms(text),
    )


@dataclass(slots=True)
class _Written:
    """What one transaction has to write."""

    chain: Chain
    items: list[tuple[Held, Put, str]] = field(default_factory=list)
    sources: list[tuple[int, Source]] = field(default_factory=list)
    retired: list[Held] = field(default_factory=list)
    touched: list[Held] = field(default_factory=list)


class StoreWriting:
    """Writes the values of one tenant in one transaction, which the caller owns.

    Args:
        connection: It may write.
        tenant: From whoever opened the store, never from data.
        ids: For new items.
        now: When it is written.
        actor: Who does it, for the chain of events.
    """

    def __init__(self, connection: AsyncConnection, *, tenant: str, ids: IdFactory, now: datetime, actor: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._ids = ids
        self._now = now
        self._actor = actor
        self._rows = Rows(connection, tenant=tenant)
        self._hand = Hand(connection)
        self._scope = scope_of(tenant)

    async def write(self, puts: Sequence[Put], *, embedder: Embedder, vectors: Mapping[int, Any]) -> None:
        """Write values, each under a name of its own.

        Args:
            puts: As `prepared` makes them.
            embedder: It made the vectors.
            vectors: Of the texts, by place in `puts`.
        """
        chain = await Chain.lock(self._connection, tenant=self._tenant)
        held = {(each.namespace, each.key or ""): each for each in await self._rows.by_name([put.name for put in puts])}
        created = await self._created([each.seq for each in held.values()])
        named = {each for put in puts for each in memory_ids(put.sources)}
        trusts = {
            each: trust
            for each, (tenant, trust) in (await self._rows.known([*named])).items()
            if tenant == self._tenant
        }
        uris = await self._rows.sources_of([each.seq for each in held.values()])
        seqs = iter(await self._rows.next_seqs(len(puts)))
        done = _Written(chain)
        placed: dict[int, int] = {}
        for place, put in enumerate(puts):
            old = held.get(put.name)
            trust = bound(put.sources, asked=Trust.AGENT_DERIVED, trusts=trusts).trust
            if put.value is None:
                self._delete(done, old, trust)
                continue
            is_alive = old is not None and _is_alive(old, self._now)
            created_at = created.get(old.seq, self._now) if old is not None and is_alive else self._now
            envelope = enveloped(put.value, created_at=created_at, ttl=put.ttl)
            new = self._new(next(seqs), put, envelope, trust)
            if old is not None and is_alive and _is_same(old, new):
                self._join(done, old, new, put, uris.get(old.seq, set()))
            else:
                placed[new.seq] = place
                self._store(done, old, new, put, envelope)
        await self._flush(done)
        if found := {seq: vectors[place] for seq, place in placed.items() if place in vectors}:
            await self._put_vectors(found, embedder)
        await chain.flush()

    async def delete(self, names: Sequence[Name], *, why: str) -> int:
        """Delete what has expired under these names, and return how many values that were."""
        chain = await Chain.lock(self._connection, tenant=self._tenant)
        done = _Written(chain)
        for old in await self._rows.by_name(names):
            if old.expires_at is not None and old.expires_at <= self._now:
                self._retire(done, old, {"why": why})
        await self._rows.retire(done.retired)
        await chain.flush()
        return len(done.retired)

    def _new(self, seq: int, put: Put, envelope: str, trust: Trust) -> Held:
        namespace, key = put.name
        value = orjson.loads(envelope)
        content = (
            Tier.STORE.value,
            KIND,
            ("store", *read_namespace(namespace)),
            key,
            None,
            None,
            None,
            put.text,
            value,
        )
        return Held(
            seq=seq,
            id=self._ids(),
            trust=trust,
            state=State.ACTIVE,
            recorded_at=self._now,
            valid_from=self._now,
            valid_to=None,
            subject=None,
            predicate=None,
            namespace=namespace,
            key=key,
            content_hash=content_hash(*content),
            expires_at=None if put.ttl is None else self._now + put.ttl,
            is_new=True,
        )

    def _delete(self, done: _Written, old: Held | None, trust: Trust) -> None:
        if old is None:
            return
        if _is_alive(old, self._now) and old.trust > trust:
            log.warning("memory.store.kept", extra={"item": str(old.id), "trust": old.trust.name, "by": trust.name})
            return
        self._retire(done, old, {})

    def _retire(self, done: _Written, old: Held, details: Mapping[str, str]) -> None:
        old.retired_at = max(self._now, done.chain.at, old.recorded_at)
        old.version = done.chain.add("deleted", old.id, actor=self._actor, at=self._now, details=details)
        done.retired.append(old)

    def _join(self, done: _Written, old: Held, new: Held, put: Put, uris: set[str]) -> None:
        """Let an equal value stand. Outside content does not become a source of what is trusted more."""
        fresh: list[Source] = []
        if new.trust is not Trust.EXTERNAL_CONTENT or old.trust is Trust.EXTERNAL_CONTENT:
            fresh = [source for source in put.sources if source.uri not in uris]
        done.sources += ((old.seq, source) for source in fresh)
        old.expires_at = new.expires_at
        old.version = done.chain.add("joined", old.id, actor=self._actor, at=self._now, details={"sources": len(fresh)})
        done.touched.append(old)

    def _store(self, done: _Written, old: Held | None, new: Held, put: Put, envelope: str) -> None:
        # What is recorded in place of something cannot be recorded before it, wherever the clocks are.
        new.recorded_at = max(self._now, done.chain.at, self._now if old is None else old.recorded_at)
        operation = "stored"
        if new.trust is Trust.EXTERNAL_CONTENT and instruction_patterns(_told(put)):
            operation, new.state = "quarantined", State.QUARANTINED
        is_outranked = old is not None and _is_alive(old, self._now) and old.trust > new.trust
        details: dict[str, Any] = {"hash": new.content_hash.hex(), "tier": Tier.STORE.value, "trust": int(new.trust)}
        stands_beside = old is not None and _is_alive(old, self._now) and new.state is State.QUARANTINED
        if old is not None and (is_outranked or stands_beside):
            new.retired_at, new.superseded_by = new.recorded_at, old.id
            details["beside"] = old.id.hex
        new.version = done.chain.add(operation, new.id, actor=self._actor, at=self._now, details=details)
        if old is not None and new.retired_at is None:
            self._supersede(done, old, new)
        if new.retired_at is not None or new.state is State.QUARANTINED:
            log.warning("memory.store.withheld", extra={"item": str(new.id), "trust": new.trust.name, "as": operation})
        done.items.append((new, put, envelope))
        done.sources += ((new.seq, source) for source in put.sources)

    def _supersede(self, done: _Written, old: Held, new: Held) -> None:
        before = micros(old.valid_to)
        old.retired_at, old.superseded_by = new.recorded_at, new.id
        if old.valid_to is None and old.valid_from < new.valid_from:
            old.valid_to = new.valid_from
        old.version = done.chain.add(
            "superseded", old.id, actor=self._actor, at=self._now, details={"by": new.id.hex, "valid_to": before}
        )
        done.retired.append(old)

    async def _flush(self, done: _Written) -> None:
        # First what leaves its name, then what takes it.
        await self._rows.retire(done.retired)
        await self._rows.touch(done.touched)
        await self._rows.insert_items([self._row(*each) for each in done.items])
        await self._rows.insert_sources(
            [(seq, each.uri, self._tenant, each.provenance.value, each.span) for seq, each in done.sources]
        )

    async def _put_vectors(self, found: Mapping[int, Any], embedder: Embedder) -> None:
        number = await self._rows.embedder(embedder.name, dimensions=embedder.dimensions)
        await self._rows.insert_vectors(
            [(number, seq, self._tenant, vector.astype("<f2").tobytes()) for seq, vector in found.items()]
        )

    async def _created(self, seqs: Sequence[int]) -> dict[int, datetime]:
        """Return since when the values in these rows have their names."""
        created = "value ->> 'created_at'" if self._hand.is_postgres else "json_extract(value, '$.created_at')"
        statement = (
            f"SELECT seq, {created} FROM memory_items"  # noqa: S608 - one of two constants
            f" WHERE {self._hand.aside('tenant')} = $1 AND {self._hand.aside('tier')} = 'store'"
            f" AND seq {self._hand.among('$2', 'bigint')}"
        )
        found: dict[int, datetime] = {}
        for start in range(0, len(seqs), _MANY):
            some = seqs[start : start + _MANY]
            rows = await self._hand.fetch(statement, self._tenant, self._hand.many(some))
            found |= {seq: read_moment(int(moment)) for seq, moment in rows if moment is not None}
        return found

    def _row(self, held: Held, put: Put, envelope: str) -> tuple[object, ...]:
        return (
            held.seq,
            self._rows.id(held.id),
            self._tenant,
            self._scope,
            Tier.STORE.value,
            KIND,
            held.namespace,
            held.key,
            None,
            None,
            None,
            put.text,
            put.terms,
            envelope,
            int(held.trust),
            held.state.value,
            _IMPORTANCE,
            micros(held.valid_from),
            micros(held.valid_to),
            micros(held.recorded_at),
            micros(held.retired_at),
            self._rows.id(held.superseded_by),
            micros(held.expires_at),
            held.content_hash,
            put.tokens,
            held.version,
        )


def _told(put: Put) -> str:
    """Return all words of a value, as whoever reads it gets them: JSON has other signs for many of them."""
    words = [] if put.value is None else lines_of(put.value.value)
    return "\n".join((put.text, read_key(put.name[1]), *words))


def _is_alive(old: Held, now: datetime) -> bool:
    return old.stands and (old.expires_at is None or old.expires_at > now)


def _is_same(old: Held, new: Held) -> bool:
    return old.content_hash == new.content_hash and old.trust >= new.trust and old.state is State.ACTIVE
