"""How candidates are weighed, packed and explained."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.items import Tier, Trust
from memory.recall.explaining import why
from memory.recall.fusion import FRESH, HASHED, LEARNED, Mix, recency, relevance, scaled, share, weight
from memory.recall.packing import alike, collapsed, packed
from memory.recall.question import Coverage
from memory.recall.request import Request, RequestInvalid
from tests.unit.memory.recalling import NOON, fact, item

DAY = timedelta(days=1)


def test_values_are_scaled_between_the_least_and_the_greatest():
    assert scaled([0.2, None, 0.6, 0.4]) == pytest.approx([0.0, 0.0, 1.0, 0.5])


def test_what_differs_by_rounding_alone_counts_alike():
    assert scaled([0.51234, 0.51236, None]) == [1.0, 1.0, 0.0]
    assert scaled([0.51, 0.52]) == [0.0, 1.0]


def test_what_is_found_alone_counts_in_full():
    assert scaled([0.3]) == [1.0]
    assert scaled([]) == []
    assert scaled([None, None]) == [0.0, 0.0]


@given(st.lists(st.none() | st.floats(-1, 1), max_size=20))
def test_scaled_values_lie_between_0_and_1_and_keep_their_order(values):
    found = scaled(values)

    assert all(0.0 <= each <= 1.0 for each in found)
    known = [(value, each) for value, each in zip(values, found, strict=True) if value is not None]
    assert all(a[1] <= b[1] for a in known for b in known if a[0] < b[0])


def test_text_that_does_not_match_has_nothing_of_the_best():
    assert share(0.0, of=7.0) == 0.0
    assert share(7.0, of=7.0) == 1.0
    assert share(1.0, of=0.0) == 0.0


def test_half_of_what_is_new_is_gone_after_the_half_life():
    assert recency(Tier.EPISODIC, "case", 180 * DAY) == pytest.approx(1 - FRESH / 2)
    assert recency(Tier.EPISODIC, "case", 10_000 * DAY) == pytest.approx(1 - FRESH)
    assert recency(Tier.EPISODIC, "case", -DAY) == 1.0


def test_notes_do_not_age():
    assert recency(Tier.PROCEDURAL, "note", 10_000 * DAY) == 1.0


def test_ordinary_importance_weighs_nothing():
    assert weight(0.5) == 1.0
    assert weight(0.0) < 1.0 < weight(1.0)


def test_hashed_words_weigh_less_than_learned_vectors():
    assert Mix.of("hashing-512@1") is HASHED
    assert Mix.of("minilm-l6-int8@1") is LEARNED
    assert HASHED.alpha < 0.5 < LEARNED.alpha


def test_likeness_means_the_same_for_both():
    assert LEARNED.likeness(LEARNED.unlike - 1) == HASHED.likeness(HASHED.unlike) == 0.0
    assert LEARNED.likeness(LEARNED.alike) == HASHED.likeness(1.0) == 1.0


def test_an_exact_value_makes_an_item_relevant_whatever_else_the_question_says():
    assert relevance(coverage=0.01, likeness=0.0, is_exact=True) == 0.5
    assert relevance(coverage=0.9, likeness=0.7, is_exact=True) == pytest.approx(0.8)
    assert relevance(coverage=0.4, likeness=None, is_exact=False) == 0.4


def pair(first, second):
    return {frozenset((first.id, second.id))}


def test_of_two_that_say_the_same_the_better_trusted_stays():
    sensor, person = item(1, "a"), item(2, "b", trust=Trust.OPERATOR)

    assert collapsed(alike([sensor, person]), pair(sensor, person)) == {sensor.id: person.id}


def test_of_two_that_are_trusted_alike_the_better_answer_stays():
    first, second = item(1, "a"), item(2, "b")

    assert collapsed(alike([first, second]), pair(second, first)) == {second.id: first.id}


def test_what_reads_the_same_is_one_thing_without_a_vector():
    assert collapsed(alike([item(1), item(2), item(3, "other")]), set()) == {item(2).id: item(1).id}


def test_what_is_near_to_something_that_does_not_stand_stands():
    first, second, third = item(1, "a"), item(2, "b"), item(3, "c")

    assert collapsed(alike([first, second, third]), pair(first, second) | pair(second, third)) == {second.id: first.id}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (fact(1), fact(2, object="mail relay")),
        (item(1, subject="case:1"), item(2, subject="case:2")),
        (item(1, key="a"), item(2, key="b")),
        (item(1, kind="fact"), item(2, kind="indicator")),
    ],
)
def test_what_is_about_different_things_is_never_one(first, second):
    assert alike([first, second]) == []


def test_the_best_are_taken_where_there_is_room():
    assert packed([3.0, 2.0, 1.0], [10, 10, 10], limit=2, tokens=None) == [0, 1]


def test_what_says_more_for_its_tokens_is_taken_where_room_is_short():
    assert packed([1.0, 0.9, 0.8], [100, 50, 50], limit=8, tokens=100) == [1, 2]


def test_one_good_item_is_taken_before_many_poor_ones():
    assert packed([1.0, 0.1, 0.1], [100, 1, 1], limit=8, tokens=100) == [0]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), max_size=20),
    st.integers(1, 10),
    st.none() | st.integers(1, 100),
)
def test_no_limit_is_ever_exceeded(pairs, limit, tokens):
    pairs = sorted(pairs, reverse=True)
    costs = [cost for _, cost in pairs]

    taken = packed([score for score, _ in pairs], costs, limit=limit, tokens=tokens)

    assert taken == sorted(set(taken))
    assert len(taken) <= limit
    assert tokens is None or sum(costs[place] for place in taken) <= tokens


def test_the_reason_is_one_sentence_that_quotes_the_question():
    covered = Coverage(0.7, ("spraying", "vpn"), ("203.0.113.7",))

    told = why(item(), covered=covered, asked=5, cosine=0.714, is_alike=True, age=12 * DAY)

    assert told == (
        "has «203.0.113.7»; has 2 of 5 words («spraying», «vpn»); reads alike (cosine 0.71); 12 days old, "
        "trusted as tool_output"
    )


def test_no_word_of_a_question_steers_a_terminal_from_the_reason():
    covered = Coverage(0.7, (), ("\x1b[31mx\u202e",))

    told = why(item(), covered=covered, asked=1, cosine=None, is_alike=False, age=timedelta())

    assert "\x1b" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", 7),
        ("limit", 0),
        ("limit", 10_000),
        ("tokens", 0),
        ("floor", 1.5),
        ("floor", float("nan")),
        ("action_floor", Trust.TOOL_OUTPUT),
        ("at", NOON.replace(tzinfo=None)),
        ("as_of", NOON.replace(tzinfo=None)),
        ("namespace", ("a", "")),
    ],
)
def test_a_request_without_meaning_names_its_field(field, value):
    with pytest.raises(RequestInvalid, match=field):
        Request(**{"query": "x", field: value})
