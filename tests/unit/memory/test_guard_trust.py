"""Nothing raises trust: an item is trusted no further than the least of what it was made from."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from memory.guard.trust import OF_PROVENANCE, bound, memory_ids
from memory.items import Source, Trust

ITEM = UUID(int=7)


def source(provenance: Provenance, uri: str = "alert:1") -> Source:
    return Source(uri=uri, provenance=provenance)


@pytest.mark.parametrize("provenance", list(Provenance))
def test_each_provenance_has_its_trust(provenance: Provenance) -> None:
    assert bound([source(provenance)], asked=None, trusts={}).trust is OF_PROVENANCE[provenance]


def test_what_an_attacker_can_write_is_trusted_least_whoever_says_it_too() -> None:
    sources = [source(Provenance.HUMAN, "user:anna"), source(Provenance.ATTACKER_WRITABLE)]

    limit = bound(sources, asked=Trust.OPERATOR, trusts={})

    assert limit.trust is Trust.EXTERNAL_CONTENT
    assert limit.reason is not None
    assert "attacker_writable" in limit.reason


def test_what_was_made_from_an_item_is_trusted_no_more_than_that() -> None:
    sources = [source(Provenance.HUMAN, f"memory:{ITEM}")]

    limit = bound(sources, asked=Trust.OPERATOR, trusts={ITEM: Trust.TOOL_OUTPUT})

    assert limit.trust is Trust.TOOL_OUTPUT


@pytest.mark.parametrize("uri", [f"memory:{ITEM}", "memory:", "memory:no-id"])
def test_an_item_that_nobody_knows_is_trusted_least(uri: str) -> None:
    assert bound([source(Provenance.HUMAN, uri)], asked=None, trusts={}).trust is Trust.EXTERNAL_CONTENT


def test_less_may_be_asked_for_without_a_reason() -> None:
    limit = bound([source(Provenance.HUMAN)], asked=Trust.TOOL_OUTPUT, trusts={})

    assert (limit.trust, limit.reason) == (Trust.TOOL_OUTPUT, None)


def test_only_ids_are_looked_up() -> None:
    sources = [source(Provenance.HUMAN, uri) for uri in (f"memory:{ITEM}", "memory:x", "alert:1")]

    assert memory_ids(sources) == [ITEM]


@given(
    provenances=st.lists(st.sampled_from(list(Provenance)), min_size=1, max_size=4),
    asked=st.none() | st.sampled_from(list(Trust)),
    more=st.sampled_from(list(Provenance)),
)
def test_a_further_source_never_raises_trust(
    provenances: list[Provenance], asked: Trust | None, more: Provenance
) -> None:
    before = bound([source(each) for each in provenances], asked=asked, trusts={})

    after = bound([source(each) for each in (*provenances, more)], asked=asked, trusts={})

    assert after.trust <= before.trust
    assert all(before.trust <= OF_PROVENANCE[each] for each in provenances)
