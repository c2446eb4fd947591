"""correlate: which other alerts name the same rare entities."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from aurora.kernel.ids import AlertId

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def correlate(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Put related alerts into the state: rows of alerts, never verdicts, so the order of work changes nothing."""
    found = await runtime.context.correlator.related(AlertId(UUID(state["alert_id"])))
    return {"related": [each.model_dump(mode="json") for each in found]}
