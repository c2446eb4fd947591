"""assess: the deterministic analyst weighs the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import analyst
from graphs.nodes.view import view_of

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def assess(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Let every rule speak; keep what each adds to the weight, for or against."""
    contributions = analyst.assess(view_of(state), runtime.context.rules)
    return {"contributions": [each.model_dump(mode="json") for each in contributions]}
