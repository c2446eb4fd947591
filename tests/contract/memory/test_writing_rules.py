"""Rules that hold for every history of statements: two times, trust, and tenants that never meet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.connections import open_database
from memory.embed.hashing import HashingEmbedder
from memory.items import Fate, NewItem, Source, Tier
from memory.memory import Memory
from memory.ports import Transactions
from memory.recall import Request
from tests.contract.memory.made import open_memory

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SAID_BY = {0: Provenance.ATTACKER_WRITABLE, 1: Provenance.SENSOR, 2: Provenance.AGENT_DERIVED, 3: Provenance.HUMAN}


@dataclass(frozen=True)
class Statement:
    """Somebody says who owns the host."""

    owner: str
    trust: int
    since: int
    """Days from the moment it is said."""
    until: int | None


statements = st.builds(
    Statement,
    owner=st.sampled_from(["ops", "dev", "lab"]),
    trust=st.sampled_from([0, 1, 3]),
    since=st.integers(-3, 1),
    until=st.none() | st.integers(2, 4),
)


def opened(database: object, *, tenant: str, clock: ManualClock) -> Memory:
    ids = Uuid7Factory(clock=clock, generator=random.Random(tenant))
    embedder = HashingEmbedder(dimensions=64)
    return Memory(database, tenant=tenant, clock=clock, ids=ids, embedder=embedder)  # type: ignore[arg-type]


def fact(told: Statement, now: datetime, *, by: str) -> NewItem:
    return NewItem(
        tier=Tier.SEMANTIC,
        kind="fact",
        text=f"the host is owned by {told.owner}",
        sources=(Source(uri=by, provenance=SAID_BY[told.trust]),),
        subject="host",
        predicate="owner",
        object=told.owner,
        valid_from=now + told.since * DAY,
        valid_to=None if told.until is None else now + told.until * DAY,
    )


@given(said=st.lists(statements, min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_was_held_at_a_moment_is_told_for_ever_and_lesser_trust_changes_nothing(said: Sequence[Statement]) -> None:
    async def check() -> None:
        clock = ManualClock(BEGAN)
        async with open_database("sqlite://") as database:
            memory = opened(database, tenant="t", clock=clock)
            days = [BEGAN + day * DAY + DAY / 2 for day in range(-3, 9, 2)]
            held: list[tuple[datetime, list[list[str | None]]]] = []
            fates: list[Fate] = []
            for number, told in enumerate(said):
                before = await memory.true_at("host", "owner")
                [kept] = await memory.remember([fact(told, clock.now(), by=f"source:{number}")], actor="test")
                fates.append(kept.fate)
                after = {item.id for item in await memory.true_at("host", "owner")}
                for item in before:
                    assert item.id in after or item.trust <= told.trust, "only as much trust takes a place"
                moment = clock.now() + DAY / 4
                clock.advance(DAY / 2)
                held.append((moment, [[i.object for i in await memory.true_at("host", at=day)] for day in days]))
                clock.advance(DAY / 2)

            for moment, then in held:
                told_now = [[i.object for i in await memory.true_at("host", at=day, as_of=moment)] for day in days]
                assert told_now == then
            history = await memory.history("host", "owner")
            assert len(history) == len(said) - fates.count(Fate.DUPLICATE), "nothing that was said is lost"
            assert (await memory.verify_chain()).ok

    asyncio.run(check())


@given(
    said=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["one", "two", "three"])), max_size=8),
    gone=st.sampled_from(["one", "two"]),
)
@settings(max_examples=30, deadline=None)
def test_a_tenant_is_the_same_whatever_another_does(said: Sequence[tuple[str, str]], gone: str) -> None:
    async def told(only: frozenset[str]) -> list[object]:
        """Return all that can be read of tenant `a`, where only these tenants do anything."""
        clock = ManualClock(BEGAN)
        async with open_database("sqlite://") as database:
            memories = {tenant: opened(database, tenant=tenant, clock=clock) for tenant in ("a", "b")}
            for tenant, words in said:
                clock.advance(DAY)
                if tenant in only:
                    item = NewItem(
                        tier=Tier.SEMANTIC,
                        kind="fact",
                        text=f"{words} of the host",
                        sources=(Source(uri=words, provenance=Provenance.SENSOR),),
                        subject="host",
                        predicate="is",
                        object=words,
                        namespace=("n",),
                        key="k",
                    )
                    await memories[tenant].remember([item], actor="test")
            if "b" in only:
                await memories["b"].rollback(source=gone, actor="test", reason="test")
                await memories["b"].forget(before=clock.now(), actor="test", reason="test")
            mine = memories["a"]
            recalled = await mine.recall(Request(query="one two three host", floor=0.0))
            return [
                *[record async for record in mine.export()],
                [(hit.item.id, hit.item.text) for hit in recalled.items],
                await mine.stats(),
                await mine.verify_chain(),
            ]

    async def check() -> None:
        assert await told(frozenset({"a", "b"})) == await told(frozenset({"a"}))

    asyncio.run(check())


async def test_what_is_written_after_the_clock_was_set_back_is_not_recorded_before_what_was_there(
    transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    memory = open_memory(transactions, clock=clock, ids=ids)
    sensor = (Source(uri="alert:1", provenance=Provenance.SENSOR),)
    first = NewItem(tier=Tier.EPISODIC, kind="run", text="first", sources=sensor)
    await memory.remember([first], actor="test")
    late = clock.now()
    slow = open_memory(transactions, clock=ManualClock(late - timedelta(hours=1)), ids=ids)
    facts = [
        NewItem(
            tier=Tier.SEMANTIC,
            kind="fact",
            text=name,
            sources=sensor,
            subject="host:web01",
            predicate="owner",
            object=name,
        )
        for name in ("ops", "dev")
    ]

    [ops, dev] = [(await slow.remember([fact], actor="test"))[0].id for fact in facts]

    items = [await memory.get(each) for each in (ops, dev)]
    assert [(item.recorded_at, item.retired_at) for item in items if item] == [(late, late), (late, None)]
    held = await memory.true_at("host:web01", at=late, as_of=late)
    assert [item.id for item in held] == [dev]
    assert await memory.true_at("host:web01", at=late, as_of=late - timedelta(minutes=30)) == []
