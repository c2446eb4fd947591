"""How much each kind of agent keeps in mind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPreset:
    """The size of a memory, in messages and in tokens: whichever is reached first.

    The sizes in tokens go by what a message costs here. Alerts and logs have two characters a token, so a look-up's
    result of 2 kB is 1,000 tokens, while most turns of a model have less than 200: some 400 a message.

    Raises:
        ValueError: there is no room for a single message, or none for an answer.
    """

    name: str
    """The word by which content asks for it."""

    max_messages: int
    """Messages that the working tier holds; see `memory.tiers.working.SlidingWindow` for what may exceed it."""

    max_tokens: int = 8_192
    """Prompt and answer together. Nothing exceeds it."""

    answer_share: float = 0.25
    """Of `max_tokens`, what is kept free for the answer; 0 to 0.9."""

    def __post_init__(self) -> None:
        if self.max_messages < 1:
            raise ValueError(f"max_messages={self.max_messages!r} must be >= 1")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens!r} must be >= 1")
        if not 0.0 <= self.answer_share <= 0.9:
            raise ValueError(f"answer_share={self.answer_share!r} must be in [0, 0.9]")

    @property
    def answer_tokens(self) -> int:
        """Tokens that are kept free for the answer."""
        return int(self.max_tokens * self.answer_share)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of everything that is put before the model."""
        return self.max_tokens - self.answer_tokens

    @property
    def summary_tokens(self) -> int:
        """Tokens of the summary of what fell out, at most. An eighth of the prompt: turns say more than their gist."""
        return self.prompt_tokens // 8

    @property
    def recalled_tokens(self) -> int:
        """Tokens of what the other tiers recall, at most. A third of the prompt: the case at hand comes first."""
        return self.prompt_tokens // 3


DEFAULT_MEMORY = MemoryPreset(name="default", max_messages=20, max_tokens=8_192, answer_share=0.25)
"""For an agent with one short question. It fits the smallest windows that are in use, those of local models of 8 k;
a quarter for the answer is 2,048 tokens, about three pages."""
HUNTER_MEMORY = MemoryPreset(name="hunter", max_messages=30, max_tokens=16_384, answer_share=0.125)
"""For pivots along one hypothesis: long results of look-ups, and short answers, each the next query or a finding."""
RESPONDER_MEMORY = MemoryPreset(name="responder", max_messages=40, max_tokens=16_384, answer_share=0.25)
"""For a plan and the outcomes of its steps: the outcomes are short, the plan is long and is written anew as a whole."""
ANALYST_MEMORY = MemoryPreset(name="analyst", max_messages=50, max_tokens=32_768, answer_share=0.125)
"""For an alert, its look-ups and the thinking about them: up to twenty raw results of 1,000 tokens; the answer of
4,096 is a verdict with its claims."""
ORCHESTRATOR_MEMORY = MemoryPreset(name="orchestrator", max_messages=100, max_tokens=65_536, answer_share=0.125)
"""For the reports of all the others, each of up to 600 tokens; half of what today's common windows of 128 k hold, as
models lose what stands in the middle of a full one. The answer of 8,192 is the report of a case."""

PRESETS: Mapping[str, MemoryPreset] = MappingProxyType(
    {each.name: each for each in (DEFAULT_MEMORY, HUNTER_MEMORY, RESPONDER_MEMORY, ANALYST_MEMORY, ORCHESTRATOR_MEMORY)}
)
"""All presets by name."""
