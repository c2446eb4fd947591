"""Whatever is added: the ceiling holds, calls and results stay together, order stays, instructions stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import DropReason, SlidingWindow
from memory.composing import Carried, compose
from memory.messages import answers, calls, role
from memory.packing import NoRoom
from memory.tokens import ESTIMATE, TokenCounter

COUNT = TokenCounter()
ROUGH = TokenCounter(ESTIMATE)
WORDS = st.sampled_from(["", "short", "203.0.113.77 is benign. " * 8, "word " * 60, "x" * 900])
CALLS = st.sampled_from(["a", "b", "c"])
MESSAGES = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, WORDS),
    st.builds(lambda text: {"role": "system", "content": text[:40]}, WORDS),
    st.builds(
        lambda ids, text: {
            "role": "assistant",
            "content": text,
            "tool_calls": [{"id": each, "name": "f", "args": {"q": text}} for each in sorted(ids)],
        },
        st.sets(CALLS, min_size=1, max_size=3),
        WORDS,
    ),
    st.builds(lambda call, text: {"role": "tool", "tool_call_id": call, "content": text}, CALLS, WORDS),
)
STEPS = st.lists(st.tuples(MESSAGES, st.sampled_from([False, False, False, True])), max_size=40)


def human(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def played(steps, *, tokens, count):
    """A window after `steps`, and what it took in; each message carries its position."""
    window, added = SlidingWindow(max_messages=8, max_tokens=tokens, count=count), []
    for message, pinned in steps:
        numbered = message | {"position": len(added)}
        before = window.get_all()
        try:
            window.add(numbered, pinned=pinned)
            added.append((numbered, pinned))
        except NoRoom:
            assert window.get_all() == before, "what was refused changed something"
    return window, added


def pairs_are_whole(messages):
    waiting: list[str] = []
    for message in messages:
        if (answered := answers(message)) is not None:
            assert answered in waiting, "a result whose call is gone, or its second"
            waiting.remove(answered)
        waiting += calls(message)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, tokens=st.integers(40, 1200), count=st.sampled_from([COUNT, ROUGH]))
def test_a_window_keeps_ceiling_order_pairs_and_instructions(steps, tokens, count):
    window, added = played(steps, tokens=tokens, count=count)

    shown = window.get_all()

    assert sum(count.count_message(each) for each in shown) == window.tokens <= tokens
    positions = [each["position"] for each in shown]
    assert positions == sorted(set(positions))
    pairs_are_whole(shown)
    taken = {each["position"]: each for each in shown}
    assert all(taken.get(each["position"]) == each for each, _ in added if role(each) == "system")
    refused = {e.position for e in window.ledger.latest if e.reason is not DropReason.SHORTENED}
    assert all(each["position"] in taken for each, pinned in added if pinned and each["position"] not in refused)
    assert len(shown) + window.ledger.total == len(added)
    for each in shown:
        original = added[each["position"]][0]
        assert each == original or "left out" in str(each), "shortened without a mark"


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, room=st.integers(60, 1200), carried=st.sampled_from(["", "It was closed. " * 9]))
def test_a_context_keeps_ceiling_order_pairs_and_instructions(steps, room, carried):
    window, added = played(steps, tokens=1500, count=COUNT)

    try:
        done = compose(
            window.units,
            latest=window.latest,
            room=room,
            summary_tokens=room // 4,
            carried=Carried(text=carried, messages=3 if carried else 0),
            count=COUNT,
        )
    except NoRoom:
        return

    shown = [*done.messages(is_system=False)]
    summary = [done.summary.message()] if done.summary is not None else []
    parts = [*done.messages(is_system=True), *summary, *shown]
    assert sum(COUNT.count_message(each) for each in parts) == done.tokens <= room
    pairs_are_whole(shown)
    positions = [each["position"] for each in shown]
    assert positions == sorted(set(positions))
    assert list(done.messages(is_system=True)) == [each for each, _ in added if role(each) == "system"]
    assert role(summary[0]) != "system" if summary else True
    gone = {each.position for each in done.left_out if each.reason is not DropReason.SHORTENED}
    held = {entry.position for unit in window.units for entry in unit.entries}
    assert gone == held - {each["position"] for each in parts if "position" in each}
    if done.summary is not None:
        assert done.summary.messages == len(gone) + (3 if carried else 0)


def test_the_oldest_go_when_the_tokens_are_spent_and_the_ledger_says_why():
    window = SlidingWindow(max_tokens=100, count=COUNT)

    for _ in range(10):
        window.add(human("word " * 20))

    assert len(window) == 4
    assert window.ledger.counts[DropReason.TOKEN_CEILING] == 6
    assert window.tokens <= 100


def test_what_does_not_fit_alone_is_shown_without_its_middle_and_leaves_room_for_the_question():
    window = SlidingWindow(max_tokens=400, count=COUNT)
    window.add(human("What does the log say about 203.0.113.77?"))

    window.add(human("line " * 5000))

    question, log = window.get_all()
    assert question == human("What does the log say about 203.0.113.77?")
    assert "characters left out" in log["content"]
    assert window.ledger.counts[DropReason.SHORTENED] == 1
    assert window.ledger.total == 0, "it is there"


def test_a_shortened_message_stands_in_the_ledger_once():
    window = SlidingWindow(max_tokens=400, count=COUNT)
    window.add(human("line " * 5000))

    for number in range(5):
        window.add(human(f"turn {number}"))

    assert window.ledger.counts[DropReason.SHORTENED] == 1
    assert window.get_all()[0]["content"].startswith("line line")


def test_a_system_message_is_never_cut_but_refused_when_it_has_no_room():
    window = SlidingWindow(max_tokens=100, count=COUNT)
    window.add(human("kept"))

    with pytest.raises(NoRoom, match="system messages have") as refused:
        window.add({"role": "system", "content": "rule " * 200})

    assert refused.value.context["room"] == 100
    assert window.get_all() == [human("kept")]
    assert window.add(human("next")) == 1, "the refused one has no position"


def test_pins_that_fit_in_no_form_are_refused():
    window = SlidingWindow(max_tokens=60, count=COUNT)
    for _ in range(5):
        window.add(human("word " * 40), pinned=True)

    with pytest.raises(NoRoom, match="unpin"):
        window.add(human("word " * 40), pinned=True)

    assert window.tokens <= 60


def test_a_refused_result_can_be_added_again():
    window = SlidingWindow(max_tokens=60, count=COUNT)
    window.add({"role": "assistant", "content": "", "tool_calls": [{"id": "a", "name": "f"}]}, pinned=True)
    answer = {"role": "tool", "tool_call_id": "a", "content": "x"}
    with pytest.raises(NoRoom):
        window.add(answer | {"name": "word " * 60})

    window.add(answer)

    assert window.get_all()[-1] == answer


def test_the_current_turn_has_a_quarter_even_where_pins_would_take_all():
    window = SlidingWindow(max_tokens=400, count=COUNT)
    window.add(human("pin " * 390), pinned=True)

    window.add(human("now " * 200))

    pin, now = window.get_all()
    assert "left out" in pin["content"]
    assert COUNT.count_message(now) > 80


def test_a_turn_with_more_calls_than_room_goes_and_leaves_a_trace():
    window = SlidingWindow(max_tokens=50, count=COUNT)
    window.add(human("before"))

    window.add({"role": "assistant", "tool_calls": [{"id": f"call {n}", "name": "f", "args": {}} for n in range(90)]})

    assert window.get_all() == [human("before")]
    assert window.ledger.counts[DropReason.TOKEN_CEILING] == 1


def test_a_restored_window_goes_on_as_the_one_before():
    first, second = (SlidingWindow(max_messages=4, max_tokens=300, count=COUNT) for _ in range(2))
    for number in range(6):
        first.add(human(f"turn {number}"), pinned=number == 3)

    second.restore([entry for unit in first.units for entry in unit.entries], pins={3})

    for window in (first, second):
        window.add(human("next"))
        window.add(human("and one more"))
    assert second.get_all() == first.get_all()


@pytest.mark.parametrize("tokens", [0, -1])
def test_a_ceiling_without_room_is_refused(tokens):
    with pytest.raises(ValueError, match="max_tokens"):
        SlidingWindow(max_tokens=tokens)
