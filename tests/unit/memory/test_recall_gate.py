"""What may move an action: an operator's word, or two witnesses whom an adversary cannot be."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from memory.items import Source, State, Trust
from memory.recall.gate import is_corroborated, refusal
from tests.unit.memory.recalling import AURORA, DIRECTORY, MAIL, NOON, PERSON, SANDBOX, SENSOR, fact, item

SOURCES = st.lists(
    st.builds(
        lambda number, provenance: Source(uri=f"alert:{number}", provenance=provenance),
        st.integers(0, 4),
        st.sampled_from(Provenance),
    ),
    min_size=1,
    max_size=6,
)


def test_what_an_operator_said_may_move_an_action_without_a_second_witness():
    assert refusal(item(trust=Trust.OPERATOR, sources=(PERSON,))) is None


@pytest.mark.parametrize("trust", [Trust.TOOL_OUTPUT, Trust.AGENT_DERIVED])
def test_what_one_witness_says_moves_none(trust):
    reason = refusal(item(trust=trust))

    assert reason == f"trusted as {trust.name.lower()}, below operator, and only sensor vouches for it"


def test_two_witnesses_of_two_classes_suffice():
    assert refusal(item(sources=(SENSOR, DIRECTORY))) is None


def test_two_witnesses_of_one_class_are_one():
    twice = (SENSOR, replace(SENSOR, uri="alert:2"))

    assert refusal(item(sources=twice)) is not None


def test_one_record_is_one_witness_whatever_parts_of_it_are_named():
    parts = (replace(SENSOR, uri="alert:1#host"), replace(DIRECTORY, uri="ALERT:1#user"))

    assert refusal(item(sources=parts)) is not None


@pytest.mark.parametrize("second", [MAIL, AURORA])
def test_neither_an_outsider_nor_aurora_itself_is_a_witness(second):
    assert not is_corroborated([SENSOR, second])


@pytest.mark.parametrize("uri", ["memory:0196f3a0-0000-7000-8000-000000000001", " Memory:x"])
def test_a_memory_that_is_quoted_is_no_witness(uri):
    quoted = Source(uri=uri, provenance=Provenance.IDENTITY_SERVER)

    assert not is_corroborated([SENSOR, quoted])
    assert refusal(item(sources=(SENSOR, quoted))) is not None


def test_what_was_concluded_from_two_witnesses_is_not_said_by_them():
    concluded = item(trust=Trust.TOOL_OUTPUT, sources=(SENSOR, DIRECTORY, AURORA))

    assert "nobody but Aurora itself says so" in str(refusal(concluded))


def test_what_outsiders_had_a_hand_in_moves_nothing_however_many_vouch_for_it():
    summary = item(trust=Trust.EXTERNAL_CONTENT, sources=(SENSOR, DIRECTORY, SANDBOX, PERSON))

    assert "whoever caused an event may have written it" in str(refusal(summary))


def test_two_items_that_state_the_same_fact_vouch_for_each_other():
    first, second = fact(1, text="web1 is a scanner"), fact(2, text="scanner: web1", sources=(DIRECTORY,))

    assert refusal(first, [first, second]) is None


def test_another_statement_about_the_same_thing_vouches_for_nothing():
    assert refusal(fact(1), [fact(2, object="mail relay", sources=(DIRECTORY,))]) is not None


def test_an_item_of_another_tenant_vouches_for_nothing():
    assert refusal(fact(1), [fact(2, sources=(DIRECTORY,), tenant="t2")]) is not None


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_what_is_not_active_neither_moves_nor_vouches(state):
    assert refusal(item(trust=Trust.OPERATOR, state=state)) is not None
    assert refusal(fact(1), [fact(2, sources=(DIRECTORY,), state=state)]) is not None


def test_what_was_superseded_in_other_words_still_vouches():
    old = fact(1, sources=(DIRECTORY,), retired_at=NOON, superseded_by=UUID(int=2))
    middle = fact(2, retired_at=NOON, superseded_by=UUID(int=3))

    assert refusal(fact(3), [old, middle]) is None


def test_what_something_else_had_replaced_in_between_vouches_no_more():
    old = fact(1, sources=(DIRECTORY,), retired_at=NOON, superseded_by=UUID(int=2))
    between = fact(2, object="mail relay", retired_at=NOON, superseded_by=UUID(int=3))

    assert refusal(fact(3), [old, between]) is not None


def test_items_that_supersede_each_other_in_a_ring_vouch_for_nothing():
    ring = [
        fact(1, sources=(DIRECTORY,), retired_at=NOON, superseded_by=UUID(int=2)),
        fact(2, sources=(DIRECTORY,), retired_at=NOON, superseded_by=UUID(int=1)),
    ]

    assert refusal(fact(3), ring) is not None


def test_the_floor_may_be_lowered_to_what_aurora_concluded():
    assert refusal(item(trust=Trust.AGENT_DERIVED, sources=(AURORA,)), floor=Trust.AGENT_DERIVED) is None


@given(SOURCES)
def test_only_sources_of_two_trusted_classes_and_two_records_corroborate(sources):
    expected = any(
        first.provenance.is_trusted
        and second.provenance.is_trusted
        and first.provenance != second.provenance
        and first.uri != second.uri
        for first, second in combinations(sources, 2)
    )

    assert is_corroborated(sources) is expected


@given(st.lists(st.sampled_from([MAIL, AURORA, SENSOR]), min_size=1), st.sampled_from([Trust(0), Trust(1), Trust(2)]))
def test_no_number_of_outsiders_and_conclusions_moves_an_action(sources, trust):
    many = [item(number, sources=tuple(sources), trust=trust) for number in range(1, 5)]

    assert all(refusal(each, many) is not None for each in many)
