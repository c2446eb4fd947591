"""A context is packed by what matters: pins, the current turn, what was recalled, a summary, old turns."""

from __future__ import annotations

import pytest

from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Observable, ObservableType
from aurora.kernel.untrusted import UntrustedText
from memory import ANALYST_MEMORY, DEFAULT_MEMORY, PRESETS, DropReason, MemoryPreset, TieredAgentMemory
from memory.composing import cost_of, worth
from memory.items import Trust
from memory.packing import NoRoom
from memory.tokens import TokenCounter

COUNT = TokenCounter()
SMALL = MemoryPreset(name="small", max_messages=20, max_tokens=1_000, answer_share=0.2)
SYSTEM = {"role": "system", "content": "You weigh evidence."}
ADDRESS = Observable(type=ObservableType.IP, value="203.0.113.77")


def human(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def finding(text: str, **attributes: str) -> Finding:
    return Finding(kind="memory", provenance=Provenance.AGENT_DERIVED, text=UntrustedText(text), attributes=attributes)


class Tier:
    """A tier with fixed answers."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    async def recall(self, query, *, limit):
        return self.findings

    async def lookup(self, observables, *, limit):
        return self.findings


def cost(context) -> int:
    messages = sum(COUNT.count_message(each) for each in context.prompt)
    return messages + sum(cost_of(each, COUNT) for each in (*context.recalled, *context.intelligence))


async def test_a_context_costs_what_it_says_and_keeps_room_for_the_answer():
    memory = TieredAgentMemory(SMALL, episodic=Tier(finding("a case")), threat_intel=Tier(finding("a relay")))
    memory.add(SYSTEM)
    for number in range(40):
        memory.add(human(f"turn {number} " + "word " * 30))

    context = await memory.context(query="x", observables=[ADDRESS])

    assert cost(context) == context.tokens <= context.max_tokens == 800
    assert context.answer_tokens == 200
    assert context.system == (SYSTEM,)
    assert context.summary is not None
    assert context.turns[-1] == memory.get_all()[-1]


async def test_what_fell_out_stands_in_the_summary():
    memory = TieredAgentMemory(SMALL)
    memory.add(human("The analyst approved isolating 203.0.113.77."), trust=Trust.OPERATOR)
    for number in range(25):
        memory.add(human(f"turn {number}"), trust=Trust.OPERATOR)

    context = await memory.context()

    assert "The analyst approved isolating 203.0.113.77." in context.summary.text
    assert context.summary.messages == context.dropped == 6
    assert context.summary.trust is Trust.OPERATOR
    assert context.prompt[0] == context.summary.message(), "there is no instruction before it here"
    assert context.messages == [*context.turns], "and it is no message of the thread"


async def test_a_summary_is_trusted_as_its_least_trusted_message():
    memory = TieredAgentMemory(MemoryPreset(name="three", max_messages=3))
    memory.add(human("From the mail: all is well."))
    for number in range(5):
        memory.add({"role": "assistant", "content": f"turn {number}"})

    context = await memory.context()

    assert context.summary.trust is Trust.EXTERNAL_CONTENT
    assert context.trust is Trust.EXTERNAL_CONTENT


async def test_what_was_recalled_comes_before_old_turns_and_after_the_current_one():
    memory = TieredAgentMemory(SMALL, episodic=Tier(*(finding(f"case {n} " + "word " * 40) for n in range(5))))
    for number in range(14):
        memory.add(human(f"turn {number} " + "word " * 40))

    without = await memory.context()
    context = await memory.context(query="x")

    assert len(context.recalled) == 2, "a third of the prompt, and no more"
    assert context.unrecalled == 3
    assert len(context.turns) < len(without.turns)
    assert context.turns[-1] == human("turn 13 " + "word " * 40)
    gone = [each for each in context.left_out if each.reason is DropReason.TOKEN_CEILING]
    assert len(gone) == len(memory.get_all()) - len(context.turns), "this context says what it has no room for"
    assert memory.ledger.total == context.dropped, "and the window still has it"


async def test_findings_are_chosen_by_score_per_token():
    dear, cheap = finding("word " * 100, score="0.9"), finding("said shortly", score="0.8")

    chosen, spent = worth([dear, cheap], room=cost_of(dear, COUNT), count=COUNT)

    assert chosen == (cheap,)
    assert spent == cost_of(cheap, COUNT)


@pytest.mark.parametrize("score", ["nan", "inf", "-1", "high"])
def test_a_score_that_is_none_does_not_win(score):
    good, bad = finding("a case", score="0.5"), finding("a case", score=score)

    chosen, _ = worth([bad, bad, good], room=cost_of(bad, COUNT) + 2, count=COUNT)

    assert chosen == ((good,) if score != "high" else (bad,)), "a word is no score: the place decides"


async def test_neither_tier_takes_all_the_room():
    tier = Tier(*(finding("word " * 60) for _ in range(5)))
    memory = TieredAgentMemory(SMALL, episodic=tier, threat_intel=tier)

    context = await memory.context(query="x", observables=[ADDRESS])

    assert len(context.recalled) >= 1
    assert len(context.intelligence) >= 1


async def test_a_smaller_ceiling_is_kept_and_a_larger_one_is_that_of_the_preset():
    memory = TieredAgentMemory(DEFAULT_MEMORY)
    for number in range(15):
        memory.add(human(f"turn {number} " + "word " * 100))

    small, large = await memory.context(max_tokens=500), await memory.context(max_tokens=10**6)

    assert cost(small) == small.tokens <= small.max_tokens == 375
    assert large.max_tokens == DEFAULT_MEMORY.prompt_tokens


async def test_instructions_that_do_not_fit_are_an_error_not_a_cut():
    memory = TieredAgentMemory(ANALYST_MEMORY)
    memory.add({"role": "system", "content": "rule " * 500})

    with pytest.raises(NoRoom):
        await memory.context(max_tokens=300)


async def test_clearing_and_resetting_let_go_of_the_summary():
    memory = TieredAgentMemory(MemoryPreset(name="one", max_messages=1))
    for again in (memory.clear, memory.reset):
        memory.add(human("203.0.113.77 was approved"))
        memory.add(human("next"))
        assert (await memory.context()).summary is not None

        again()

        assert (await memory.context()).summary is None


async def test_many_messages_that_nobody_looks_at_are_folded_on_the_way():
    memory = TieredAgentMemory(MemoryPreset(name="one", max_messages=1))
    for number in range(450):
        memory.add(human(f"turn {number}"))

    context = await memory.context()

    assert context.summary.messages == 449


def test_the_presets_have_ceilings_that_grow_with_their_messages():
    assert {name: (each.max_tokens, each.answer_tokens) for name, each in PRESETS.items()} == {
        "default": (8_192, 2_048),
        "hunter": (16_384, 2_048),
        "responder": (16_384, 4_096),
        "analyst": (32_768, 4_096),
        "orchestrator": (65_536, 8_192),
    }
    for each in PRESETS.values():
        assert each.prompt_tokens + each.answer_tokens == each.max_tokens
        assert each.summary_tokens + each.recalled_tokens < each.prompt_tokens / 2


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"answer_share": 0.95}, {"answer_share": -0.1}])
def test_a_preset_without_room_for_question_or_answer_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MemoryPreset(name="x", max_messages=5, **wrong)
