"""The journal of a run: every answer of a model or a tool, kept, so that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

Json = dict[str, Any]

Kind = Literal["model", "tool"]


class Journal(Protocol):
    """Knows what was answered in a run so far. One object an attempt; calls of one scope come one after the other."""

    async def answer(
        self, *, scope: str, kind: Kind, name: str, request: Json, perform: Callable[[], Awaitable[Json]]
    ) -> Json:
        """Return the answer to a request: the one that was journalled, or that of `perform`, journalled first.

        Entries are known by scope and number of the call within it; the hash of the request must match.
        What comes back has gone through JSON and back, journalled or not, so both are equal.

        Args:
            scope: Where in the run: the agent, and what tells apart its calls at the same time.
            kind: Who answers.
            name: The model, or the tool.
            request: All that the answer depends on, JSON values.
            perform: Asks. A failure is an answer too: return it as JSON, do not raise. Numbers under the keys
                `input_tokens`, `output_tokens`, `took_ms` and text under `cost_usd` are kept as columns too.

        Raises:
            LeaseLost: another worker owns the run; nothing was written.
            ReplayDiffers: (in a replay) the request is not the one that was recorded here.
            StorageUnavailable: the answer could not be kept.
        """
