"""verify: drop what does not hold, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import analyst
from aurora.kernel.models import Contribution
from graphs.nodes.view import view_of

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def verify(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Keep contributions whose evidence exists and whose techniques ATT&CK knows. Deterministic."""
    contributions = [Contribution.model_validate(each) for each in state["contributions"]]
    kept, dropped = analyst.verify(view_of(state), contributions, runtime.context.knowledge.attack)
    return {
        "kept": [each.model_dump(mode="json") for each in kept],
        "dropped": [each.model_dump(mode="json") for each in dropped],
    }
