"""Two times at once: whatever is stated in whatever order, each moment's truth is told as it was held at any other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.testing import ManualClock
from memory.connections import open_database
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory

HOUR = timedelta(hours=1)
REACH = 3

statements = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-REACH, REACH), st.sampled_from("ab")), min_size=1, max_size=5
)
"""Hours since the statement before, since when it is true relative to now, and of which subject."""


def stated(number: int, subject: str, clock: ManualClock, since: int) -> NewItem:
    return NewItem(
        tier=Tier.SEMANTIC,
        kind="fact",
        text=f"{subject} is {number}",
        sources=(Source(uri="alert:1", provenance=Provenance.SENSOR),),
        subject=subject,
        predicate="is",
        object=str(number),
        valid_from=clock.now() + since * HOUR,
    )


@settings(max_examples=15, deadline=None)
@given(statements)
@example([(0, 0, "a"), (1, 3, "a"), (1, -1, "a")])
@example([(0, 0, "a"), (0, 0, "a"), (0, -1, "a")])
def test_the_last_word_on_a_moment_is_what_is_held_of_it(made: list[tuple[int, int, str]]) -> None:
    asyncio.run(_check(made))


async def _check(made: list[tuple[int, int, str]]) -> None:
    clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    start = clock.now()
    said = []
    async with open_database("sqlite://") as transactions:
        memory = Memory(
            transactions, tenant="t1", clock=clock, ids=Uuid7Factory(clock=clock), embedder=HashingEmbedder()
        )
        for number, (wait, since, subject) in enumerate(made):
            clock.advance(wait * HOUR)
            await memory.remember([stated(number, subject, clock, since)], actor="test")
            said.append((clock.now(), clock.now() + since * HOUR, subject, str(number)))
        clock.advance(HOUR)

        for subject in {about for _, _, about, _ in said}:
            for hours in range(-REACH, 2 * REACH + 2):
                at = start + hours * HOUR
                for held in {clock.now(), *(recorded for recorded, *_ in said)}:
                    words = [
                        number
                        for recorded, since, about, number in said
                        if recorded <= held and since <= at and about == subject
                    ]
                    found = await memory.true_at(subject, "is", at=at, as_of=held)
                    assert [item.object for item in found] == words[-1:], (subject, hours, held)
                    if held == clock.now():
                        assert await memory.true_at(subject, "is", at=at) == found
