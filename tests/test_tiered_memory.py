"""What an agent remembers: the window of its thread, its presets, and going on without the other tiers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import MagicMock

import pytest

from aurora.kernel.errors import StorageUnavailable
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Observable, ObservableType
from aurora.kernel.untrusted import UntrustedText
from memory import (
    ANALYST_MEMORY,
    DEFAULT_MEMORY,
    HUNTER_MEMORY,
    ORCHESTRATOR_MEMORY,
    PRESETS,
    RESPONDER_MEMORY,
    DropReason,
    Gap,
    MemoryPreset,
    SlidingWindow,
    Tier,
    TieredAgentMemory,
)

SYSTEM = {"role": "system", "content": "You weigh evidence."}
ADDRESS = Observable(type=ObservableType.IP, value="203.0.113.77")


def human(text: object) -> dict[str, object]:
    return {"role": "user", "content": str(text)}


def call(*ids: str) -> dict[str, object]:
    return {"role": "assistant", "content": "", "tool_calls": [{"id": each, "name": "lookup"} for each in ids]}


def result(id: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": id, "content": "nothing known"}


def finding(text: str) -> Finding:
    return Finding(kind="past_verdict", provenance=Provenance.AGENT_DERIVED, text=UntrustedText(text))


class Cases:
    """An episodic tier with three cases."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def recall(self, query, *, limit):
        self.asked.append((query, limit))
        return [finding(f"case {number}") for number in range(3)]


class Intelligence:
    """A threat intel tier that knows each value it is asked about."""

    async def lookup(self, observables, *, limit):
        return [finding(f"{each.value} is a known relay") for each in observables]


class TestSlidingWindow:
    def test_it_holds_twenty_messages_unless_told_otherwise(self):
        assert SlidingWindow().max_messages == 20

    def test_messages_come_back_in_the_order_in_which_they_were_added(self):
        window = SlidingWindow()
        messages = [human(number) for number in range(5)]

        for message in messages:
            window.add(message)

        assert window.get_all() == messages

    def test_the_oldest_messages_go_when_it_is_full(self):
        window = SlidingWindow(max_messages=3)

        for number in range(5):
            window.add(human(number))

        assert window.get_all() == [human(2), human(3), human(4)]

    def test_get_all_returns_a_copy(self):
        window = SlidingWindow()
        window.add(human("kept"))

        window.get_all().clear()

        assert window.get_all() == [human("kept")]

    def test_a_reset_forgets_everything(self):
        window = SlidingWindow(max_messages=2)
        for message in (SYSTEM, human(1), human(2)):
            window.add(message, pinned=message is SYSTEM)

        window.reset()

        assert (window.get_all(), len(window), window.ledger.total) == ([], 0, 0)
        assert window.add(human("first again")) == 0

    def test_a_system_message_never_falls_out(self):
        window = SlidingWindow(max_messages=3)
        window.add(SYSTEM)

        for number in range(50):
            window.add(human(number))

        assert window.get_all() == [SYSTEM, human(48), human(49)]

    def test_a_pinned_message_stays_until_it_is_unpinned(self):
        window = SlidingWindow(max_messages=2)
        position = window.add(human("the task"), pinned=True)
        for number in range(5):
            window.add(human(number))
        assert window.get_all() == [human("the task"), human(4)]

        window.unpin(position)
        window.add(human(5))

        assert window.get_all() == [human(4), human(5)]

    def test_a_tool_call_goes_together_with_its_results(self):
        window = SlidingWindow(max_messages=4)
        for message in (call("a", "b"), result("a"), result("b"), human("thanks")):
            window.add(message)

        window.add(human("next"))

        assert window.get_all() == [human("thanks"), human("next")]

    def test_what_was_dropped_is_counted_with_its_reason(self):
        window = SlidingWindow(max_messages=2)
        for number in range(5):
            window.add(human(number))

        window.add(result("never called"))

        assert window.ledger.total == 4
        assert window.ledger.counts[DropReason.WINDOW_FULL] == 3
        assert window.ledger.counts[DropReason.ORPHAN_RESULT] == 1

    def test_a_message_of_any_shape_is_kept(self):
        window = SlidingWindow(max_messages=2)
        messages = [MagicMock() for _ in range(3)]

        for message in messages:
            window.add(message)

        assert window.get_all() == messages[1:]


class TestPresets:
    @pytest.mark.parametrize(
        ("preset", "size"),
        [
            (DEFAULT_MEMORY, 20),
            (HUNTER_MEMORY, 30),
            (RESPONDER_MEMORY, 40),
            (ANALYST_MEMORY, 50),
            (ORCHESTRATOR_MEMORY, 100),
        ],
        ids=lambda value: getattr(value, "name", value),
    )
    def test_a_preset_sets_the_size_of_the_window(self, preset, size):
        memory = TieredAgentMemory(preset)

        for number in range(size + 5):
            memory.add(human(number))

        assert memory.max_messages == len(memory.get_all()) == size
        assert memory.get_all()[0] == human(5)

    def test_the_default_preset_is_taken_when_none_is_named(self):
        assert TieredAgentMemory().preset is DEFAULT_MEMORY

    def test_content_finds_presets_by_name(self):
        assert {name: each.max_messages for name, each in PRESETS.items()} == {
            "default": 20,
            "hunter": 30,
            "responder": 40,
            "analyst": 50,
            "orchestrator": 100,
        }

    def test_a_preset_without_room_is_refused(self):
        with pytest.raises(ValueError, match="max_messages"):
            MemoryPreset(name="nothing", max_messages=0)


class TestContext:
    async def test_instructions_come_first_then_what_was_recalled_then_the_turns(self):
        memory = TieredAgentMemory(ANALYST_MEMORY, episodic=Cases(), threat_intel=Intelligence())
        for message in (human("look at this"), SYSTEM, call("a"), result("a")):
            memory.add(message)

        context = await memory.context(query="dns tunnel", observables=[ADDRESS])

        assert context.messages == [SYSTEM, human("look at this"), call("a"), result("a")]
        assert [each.text for each in context.recalled] == ["case 0", "case 1", "case 2"]
        assert [each.text for each in context.intelligence] == ["203.0.113.77 is a known relay"]
        assert context.gaps == {}

    async def test_what_was_recalled_stays_outside_text(self):
        memory = TieredAgentMemory(episodic=Cases())

        context = await memory.context(query="dns tunnel")

        assert all(isinstance(each.text, UntrustedText) for each in context.recalled)
        assert context.messages == [], "it is no message before somebody frames it"

    async def test_without_the_other_tiers_it_goes_on_and_says_what_is_missing(self):
        memory = TieredAgentMemory()
        memory.add(human("look at this"))

        context = await memory.context(query="dns tunnel", observables=[ADDRESS])

        assert context.messages == [human("look at this")]
        assert (context.recalled, context.intelligence) == ((), ())
        assert context.gaps == {Tier.EPISODIC: Gap.ABSENT, Tier.THREAT_INTEL: Gap.ABSENT}

    async def test_a_tier_that_was_not_wanted_is_no_gap(self):
        assert (await TieredAgentMemory().context()).gaps == {}

    async def test_a_tier_that_fails_leaves_a_gap_and_the_other_still_answers(self):
        class Down:
            async def recall(self, query, *, limit):
                raise StorageUnavailable("the database is locked")

        memory = TieredAgentMemory(episodic=Down(), threat_intel=Intelligence())

        context = await memory.context(query="dns tunnel", observables=[ADDRESS])

        assert context.gaps == {Tier.EPISODIC: Gap.FAILED}
        assert len(context.intelligence) == 1

    async def test_a_tier_that_takes_too_long_leaves_a_gap(self):
        class Slow:
            async def lookup(self, observables, *, limit):
                await asyncio.Event().wait()

        memory = TieredAgentMemory(threat_intel=Slow(), patience=timedelta(milliseconds=1))

        assert (await memory.context(observables=[ADDRESS])).gaps == {Tier.THREAT_INTEL: Gap.TIMEOUT}

    async def test_a_mistake_in_a_tier_is_not_taken_for_an_outage(self):
        class Broken:
            async def recall(self, query, *, limit):
                raise TypeError("unexpected")

        with pytest.raises(TypeError):
            await TieredAgentMemory(episodic=Broken()).context(query="dns tunnel")

    async def test_no_tier_brings_in_more_than_was_asked_for(self):
        cases = Cases()

        context = await TieredAgentMemory(episodic=cases).context(query="dns tunnel", limit=2)

        assert cases.asked == [("dns tunnel", 2)]
        assert len(context.recalled) == 2

    async def test_the_context_says_how_much_of_the_thread_is_gone(self):
        memory = TieredAgentMemory()
        for number in range(25):
            memory.add(human(number))

        assert (await memory.context()).dropped == 5

    def test_clearing_keeps_instructions_and_pins(self):
        memory = TieredAgentMemory()
        memory.add(SYSTEM)
        memory.add(human("the task"), pinned=True)
        memory.add(human("chatter"))

        memory.clear()

        assert memory.get_all() == [SYSTEM, human("the task")]
        assert memory.ledger.counts[DropReason.CLEARED] == 1
