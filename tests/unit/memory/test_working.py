"""The window under whatever may be added to it."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import DropReason, SlidingWindow
from memory.messages import answers, calls, role

CALLS = st.sampled_from(["a", "b", "c", "d"])
MESSAGES = st.one_of(
    st.just({"role": "user"}),
    st.just({"role": "system"}),
    st.sets(CALLS, max_size=4).map(
        lambda ids: {"role": "assistant", "tool_calls": [{"id": each} for each in sorted(ids)]}
    ),
    CALLS.map(lambda call: {"role": "tool", "tool_call_id": call}),
)
STEPS = st.lists(st.tuples(MESSAGES, st.sampled_from(["add", "add", "add", "pinned", "unpin", "clear"])), max_size=60)


def human(text: object) -> dict[str, object]:
    return {"role": "user", "content": str(text)}


def call(*ids: str) -> dict[str, object]:
    return {"role": "assistant", "tool_calls": [{"id": each} for each in ids]}


def result(id: str, text: str = "") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": id, "content": text}


def played(size, steps):
    """A window after `steps`, all that was added, and the positions that are pinned.

    Each message carries its position, so that equal ones can be told apart.
    """
    window, added, pinned = SlidingWindow(max_messages=size), [], set()
    for message, how in steps:
        if how == "clear":
            window.clear()
        elif how == "unpin" and pinned:
            position = min(pinned)
            pinned.remove(position)
            window.unpin(position)
        else:
            numbered = message | {"position": len(added)}
            added.append(numbered)
            position = window.add(numbered, pinned=how == "pinned")
            if how == "pinned" and numbered in window.get_all():
                pinned.add(position)
    return window, added, pinned


def units(kept):
    """The messages of `kept` by the position of what they belong to: a result belongs to the newest such call."""
    found: dict[int, list[dict[str, object]]] = {}
    owners: dict[str, int] = {}
    for message in kept:
        answered = answers(message)
        owner = message["position"] if answered is None else owners[answered]
        owners |= dict.fromkeys(calls(message), message["position"])
        found.setdefault(owner, []).append(message)
    return found


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 8), steps=STEPS)
def test_only_what_is_protected_exceeds_the_size(size, steps):
    window, added, pinned = played(size, steps)

    kept = window.get_all()

    assert len(window) == len(kept)
    if len(kept) > size:
        free = [
            unit
            for unit in units(kept).values()
            if not any(role(each) == "system" or each["position"] in pinned for each in unit)
        ]
        assert len(free) <= 1, "at most what was added last"
        assert added[-1] in free[0] if free else True


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 8), steps=STEPS)
def test_the_order_is_that_of_adding_and_nothing_is_lost_or_made_up(size, steps):
    window, added, _ = played(size, steps)

    positions = [message["position"] for message in window.get_all()]

    assert positions == sorted(set(positions))
    assert [added[position] for position in positions] == window.get_all()
    assert len(positions) + window.ledger.total == len(added)
    assert {each.position for each in window.ledger.latest}.isdisjoint(positions)


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 8), steps=STEPS)
def test_every_result_follows_a_call_that_waits_for_it(size, steps):
    window, _, _ = played(size, steps)

    waiting: list[str] = []
    for message in window.get_all():
        if (answered := answers(message)) is not None:
            assert answered in waiting, "a result whose call is gone, or its second"
            waiting.remove(answered)
        waiting += calls(message)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 8),
    steps=st.lists(st.tuples(st.sampled_from(["human", "call", "answer", "answer"]), st.integers(0, 5)), max_size=60),
)
def test_a_result_is_there_exactly_when_its_call_is(size, steps):
    window, numbers, open_calls, pairs = SlidingWindow(max_messages=size), count(), [], []
    for how, number in steps:
        if how == "human":
            window.add(human(number))
        elif how == "call":
            made = call(*(f"call {next(numbers)}" for _ in range(number)))
            window.add(made)
            open_calls += [(each, made) for each in calls(made)]
        elif open_calls:
            answered, made = open_calls.pop(number % len(open_calls))
            pairs.append((made, result(answered)))
            window.add(pairs[-1][1])

    kept = {id(message) for message in window.get_all()}

    assert [pair for pair in pairs if (id(pair[0]) in kept) != (id(pair[1]) in kept)] == []


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 8), steps=STEPS)
def test_protected_messages_are_always_there(size, steps):
    window, added, pinned = played(size, steps)

    positions = {message["position"] for message in window.get_all()}

    assert {each["position"] for each in added if role(each) == "system"} <= positions
    assert pinned <= positions


def test_the_latest_exchange_stays_whole_even_if_it_is_larger_than_the_window():
    window = SlidingWindow(max_messages=2)
    exchange = [call("a", "b", "c"), result("a"), result("b"), result("c")]

    for message in (human("before"), *exchange):
        window.add(message)

    assert window.get_all() == exchange


def test_an_exchange_larger_than_the_window_goes_with_the_next_message():
    window = SlidingWindow(max_messages=2)
    for message in (call("a", "b", "c"), result("a"), result("b"), result("c")):
        window.add(message)

    window.add(human("after"))

    assert window.get_all() == [human("after")]


def test_a_late_result_keeps_its_call_in_the_window():
    window = SlidingWindow(max_messages=3)
    for message in (call("a"), human(1), human(2)):
        window.add(message)

    window.add(result("a"))

    assert window.get_all() == [call("a"), human(2), result("a")]


def test_a_result_whose_call_is_gone_is_not_taken_in():
    window = SlidingWindow(max_messages=2)
    for message in (call("a"), human(1), human(2)):
        window.add(message)

    window.add(result("a"))

    assert window.get_all() == [human(1), human(2)]
    assert [each.reason for each in window.ledger.latest] == [DropReason.WINDOW_FULL, DropReason.ORPHAN_RESULT]


def test_the_result_of_a_step_that_was_run_again_is_taken_in_once():
    window = SlidingWindow()
    for message in (call("a"), result("a", "first"), result("a", "second")):
        window.add(message)

    assert window.get_all() == [call("a"), result("a", "first")]
    assert window.ledger.counts[DropReason.REPEATED_RESULT] == 1


def test_a_model_that_numbers_its_calls_anew_in_every_turn_gets_each_result_with_its_call():
    window = SlidingWindow(max_messages=3)
    for message in (call("call_0"), result("call_0", "old"), call("call_0"), result("call_0", "new")):
        window.add(message)

    assert window.get_all() == [call("call_0"), result("call_0", "new")]


def test_a_pinned_result_keeps_its_call():
    window = SlidingWindow(max_messages=3)
    window.add(call("a"))
    window.add(result("a"), pinned=True)

    for number in range(5):
        window.add(human(number))

    assert window.get_all() == [call("a"), result("a"), human(4)]


def test_a_message_may_be_pinned_afterwards():
    window = SlidingWindow(max_messages=2)
    position = window.add(human("the task"))

    window.pin(position)
    for number in range(5):
        window.add(human(number))

    assert window.get_all() == [human("the task"), human(4)]


@pytest.mark.parametrize("position", [0, 99, -1])
def test_what_is_not_in_the_window_cannot_be_pinned(position):
    window = SlidingWindow(max_messages=1)
    window.add(human(0))
    window.add(human(1))

    with pytest.raises(LookupError, match="does not hold"):
        window.pin(position)


def test_pins_beyond_the_size_leave_room_for_what_was_added_last():
    window = SlidingWindow(max_messages=2)
    for number in range(3):
        window.add(human(number), pinned=True)

    window.add(human("now"))
    window.add(human("later"))

    assert window.get_all() == [human(0), human(1), human(2), human("later")]


def test_two_equal_messages_are_two():
    window = SlidingWindow(max_messages=2)

    for _ in range(3):
        window.add(human("again"))

    assert len(window) == 2
    assert [each.position for each in window.ledger.latest] == [0]


def test_the_ledger_remembers_the_latest_in_detail_and_counts_all():
    window = SlidingWindow(max_messages=1)

    for number in range(500):
        window.add(human(number))

    assert (window.ledger.total, len(window.ledger.latest)) == (499, 100)
    assert window.ledger.latest[-1].position == 498
    assert window.ledger.latest[-1].role == "human"


def test_a_window_without_room_is_refused():
    with pytest.raises(ValueError, match="max_messages"):
        SlidingWindow(max_messages=0)
